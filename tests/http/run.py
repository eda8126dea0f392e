#!/usr/bin/python3
"""run.py GROUP [TEXT]: runs the cases of GROUP (whose name contains TEXT).
run.py --count: how many cases and shapes there are."""
import glob
import importlib
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from harness import run_group  # noqa: E402



def count():
    """A case is a row of a table here: what runs with other ways or bytes is counted once."""
    total = 0
    for path in sorted(glob.glob(os.path.join(sys.path[0], "cases_*.py"))):
        name = os.path.basename(path)[:-3]
        n = len(importlib.import_module(name).CASES)
        print(f"{n:5} {name[6:]}")
        total += n
    print(f"{total:5} cases")
    for side in ("requests", "responses"):
        rows = importlib.import_module("attacks_" + side).ROWS
        print(f"{len(rows):5} shapes of attacks, {side}")


if sys.argv[1:] == ["--count"]:
    sys.exit(count())
if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that all is tidied up
module = importlib.import_module("cases_" + sys.argv[1])
sys.exit(1 if run_group(sys.argv[1], module.CASES, *sys.argv[2:],
                     top_level=getattr(module, "TOP_LEVEL", None)) else 0)
