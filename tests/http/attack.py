#!/usr/bin/python3
"""Attacks on how messages are read, through the running daemon.

  attack.py table [TEXT]      each published shape (attacks_*.py), in each way it can arrive
  attack.py mutations [--count N] [--seed S] [--side SIDE]
                              random changes of them, against the second reader (strict.py)
"""
import argparse
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import attack_mutations  # noqa: E402
import attack_table  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    table = what.add_parser("table")
    table.add_argument("text", nargs="?", default="", help="rows whose technique contains this")
    mutations = what.add_parser("mutations")
    mutations.add_argument("--count", type=int, default=3000, help="of each side")
    mutations.add_argument("--seed", type=int, default=time.time_ns() & 0xffffffff)
    mutations.add_argument("--side", choices=sorted(attack_mutations.SIDES))
    return parser.parse_args()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that all is tidied up
    args = arguments()
    if args.what == "table":
        failed = attack_table.run(args.text)
    else:
        sides = [args.side] if args.side else sorted(attack_mutations.SIDES)
        failed = sum(attack_mutations.run(side, args.count, args.seed) for side in sides)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
