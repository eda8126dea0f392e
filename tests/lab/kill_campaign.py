#!/usr/bin/python3
"""Kills the Active of a pair under load as often as you like, and says what the survivor lacked:

    sudo YOKE_BIN_DIR=build/release/bin tests/lab/kill_campaign.py --mode acked --kills 200

About half a second a kill. Exit status 0: nothing that was promised is missing. See README.md."""
import argparse
import random
import sys

from kills import campaign
from testing import Checks


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["acked", "async"], default="acked")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rate", type=int, default=300, help="new clients a second")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    args = parser.parse_args()
    checks = Checks()
    campaign(checks, args.mode, args.kills, args.rate, args.seed)
    for what in checks.failed:
        print(f"FAILED: {what}")
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
