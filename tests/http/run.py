#!/usr/bin/python3
"""run.py GROUP [TEXT]: runs the cases of GROUP (whose name contains TEXT).
run.py --count: how many cases and shapes there are.
run.py --features: what can be configured and the cases that show it; fails if one is missing."""
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


def list_features():
    """Each feature with the number of cases where it applies, where it does not, malformed."""
    from features import FEATURES
    names = []
    for path in sorted(glob.glob(os.path.join(sys.path[0], "cases_*.py"))):
        group = os.path.basename(path)[6:-3]
        names += [f"{group}: {case.name}" for case in importlib.import_module("cases_" + group).CASES]
    missing, shown = 0, set()
    for feature, others, *parts in FEATURES:
        found = [[name for name in names if part in name] for part in parts]
        shown.update(*found)
        missing += sum(not cases for cases in found)
        print(f"{feature:36} {' '.join('%3d' % len(cases) for cases in found)}  ({others})")
        for part, cases in zip(parts, found):
            if not cases:
                print(f"FAILED: no case \"{part}\"")
    print(f"{len(FEATURES)} features, shown by {len(shown)} cases of {len(names)}")
    return 1 if missing else 0


if sys.argv[1:] == ["--features"]:
    sys.exit(list_features())
if sys.argv[1:] == ["--count"]:
    sys.exit(count())
if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that all is tidied up
module = importlib.import_module("cases_" + sys.argv[1])
sys.exit(1 if run_group(sys.argv[1], module.CASES, *sys.argv[2:],
                     top_level=getattr(module, "TOP_LEVEL", None),
                     nofile=getattr(module, "NOFILE", None)) else 0)
