#!/usr/bin/python3
"""run.py GROUP [TEXT]: runs the cases of GROUP (whose name contains TEXT)."""
import importlib
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

from harness import run_group  # noqa: E402

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that all is tidied up
module = importlib.import_module("cases_" + sys.argv[1])
sys.exit(1 if run_group(sys.argv[1], module.CASES, *sys.argv[2:],
                     top_level=getattr(module, "TOP_LEVEL", None)) else 0)
