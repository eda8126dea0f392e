#!/usr/bin/env python3
"""What replication costs and how far it is behind, HAProxy's peers beside it in the same run. Prints a
Markdown table; see README.md."""
import argparse
import json
import os
import platform
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lab"))

import haproxy  # pylint: disable=wrong-import-position
import yoke
from lab import Lab

# Key, row, goal.
ROWS = (("snapshot s", "snapshot to a fresh Backup, s", 1),
        ("snapshot active us", "CPU a session, Active, µs", None),
        ("snapshot backup us", "CPU a session, Backup, µs", None),
        ("rate", "new sessions a second", None),
        ("lag p50 ms", "lag, median, ms", None),
        ("lag p99 ms", "lag, 99 %, ms", 20),
        ("lag max ms", "lag, most, ms", None),
        ("lag entries", "lag, most, entries", None),
        ("insert active us", "CPU a new session, Active, µs", None),
        ("insert backup us", "CPU a new session, Backup, µs", None),
        ("active bytes", "memory a session, Active, bytes", 150),
        ("backup bytes", "memory a session, Backup, bytes", 150),
        ("backup peak bytes", "the most of it during the snapshot", None),
        ("p99 without", "HTTP p99, µs", None),
        ("p99 beside", "HTTP p99 beside it, µs", None),
        ("failed", "failed requests", 0))


def table(columns):
    lines = ["| | goal | " + " | ".join(columns) + " |", "| --- |" + " --: |" * (len(columns) + 1)]
    for key, text, goal in ROWS:
        cells = [number(column.get(key)) for column in columns.values()]
        lines.append(f"| {text} | {'' if goal is None else f'≤ {goal}'} | {' | '.join(cells)} |")
    lines.append("| HTTP p99: beside / without | ≤ 1.2 | " + " | ".join(
        f"{column['p99 beside'] / column['p99 without']:.2f}" if "p99 beside" in column else ""
        for column in columns.values()) + " |")
    return "\n".join(lines)


def number(value):
    if value is None:
        return ""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(args):
    columns = {}
    with Lab() as lab:
        say("yoke: the channel without the proxy")
        columns["yoke: channel alone"] = yoke.channel(lab, args.sessions, args.rate, args.seconds)
    with Lab() as lab:
        say("yoke: a real Backup, fed by a program")
        pair = yoke.RealPair(lab, args.sessions)
        feeder, figures = pair.fill()
        columns["yoke: real Backup, fed"] = figures | pair.follow(feeder, args.rate, args.seconds)
        feeder.stop()
    with Lab() as lab:
        pair = yoke.RealPair(lab, args.sessions)
        pair.fill()[0].stop()
        pair.promote()
        say("yoke: a real pair, a fresh Backup joins")
        columns["yoke: real pair"] = pair.joins(args.joins)
        say("yoke: a real pair, new clients")
        columns["yoke: new clients, acked"] = pair.new_clients(args.clients, args.seconds)
    if not args.no_haproxy:
        with Lab() as lab:
            say("haproxy: peers")
            columns["haproxy peers"] = haproxy.steps(lab, args.sessions, args.rate, args.seconds,
                                                     args.joins)
    return columns


def about():
    version = subprocess.run(["haproxy", "-v"], text=True, capture_output=True, check=False).stdout
    return f"kernel {platform.release()}, {os.cpu_count()} CPUs, {version.splitlines()[0]}"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--rate", type=int, default=100_000, help="new sessions a second")
    parser.add_argument("--clients", type=int, default=4000,
                        help="new clients a second, end to end")
    parser.add_argument("--seconds", type=int, default=5, help="of each insert")
    parser.add_argument("--joins", type=int, default=5, help="snapshots in a real pair")
    parser.add_argument("--no-haproxy", action="store_true")
    parser.add_argument("--json", metavar="FILE", help="write the figures, too")
    args = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: it makes network namespaces")
    return args


def main():
    args = arguments()
    columns = measure(args)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(columns, file, indent=1)
    print(f"{args.sessions:,} sessions. {about()}\n\n{table(columns)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
