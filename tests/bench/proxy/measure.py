#!/usr/bin/env python3
"""yoke beside haproxy and nginx: processor time per request, latency, memory, measured in turns on
loopback. Prints Markdown tables; see README.md."""
import argparse
import dataclasses
import json
import os
import platform
import shutil
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[1:1] = [os.path.join(HERE, "..", "..", "lab")]

import bed as beds  # pylint: disable=wrong-import-position
import report
from contenders import Haproxy, Nginx, Yoke
from scenarios import SCENARIOS
from segment import LabError


def say(text):
    print(text, file=sys.stderr, flush=True)


def contenders(words):
    """Of Debian, and what the environment names; `words`: only those whose names begin so."""
    found = [Yoke(os.path.join(beds.BIN_DIR, "yoked"))]
    for make, name in ((Haproxy, "haproxy"), (Nginx, "nginx")):
        # Out of the environment: nginx takes NGINX for sockets that it inherits.
        for program in (shutil.which(name), os.environ.pop(name.upper(), None)):
            if program:
                found.append(make(program))
    chosen = [one for one in found if not words or one.name.startswith(tuple(words))]
    return list({one.name: one for one in chosen}.values())


def plan(args, who):
    """Every run in its order: the contenders take turns, and who begins changes."""
    for turn in range(args.rounds):
        for key in args.scenarios:
            for i in range(len(who)):
                yield turn, SCENARIOS[key], who[(i + turn) % len(who)]


def machine(who):
    """One line about where it was measured, and what."""
    with open("/proc/cpuinfo", encoding="ascii") as file:
        model = next((line.split(":")[1].strip() for line in file if "model name" in line), "CPU")
    return ", ".join([f"{os.cpu_count()} × {model}", f"kernel {platform.release()}",
                      *(f"{one.PRODUCT} {one.version}" for one in who)])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS),
                        metavar="KEY", help=", ".join(SCENARIOS))
    parser.add_argument("--contenders", nargs="+", metavar="NAME",
                        help="those whose names begin so: yoke haproxy nginx")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--proxy-cpus", default="0", help="where the proxy runs")
    parser.add_argument("--load-cpus", default="1", help="where backend and clients run")
    parser.add_argument("--json", metavar="FILE", help="write every run, too")
    args = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: it makes namespaces")
    return args


def main():
    args = arguments()
    beds.enter()
    who, runs, broken = contenders(args.contenders), [], []
    todo = list(plan(args, who))
    with beds.Bed(args.proxy_cpus, args.load_cpus) as bed:
        for number, (turn, scenario, contender) in enumerate(todo, 1):
            progress = f"{number}/{len(todo)} {scenario.key}, {contender.name}, round {turn + 1}"
            try:
                run = bed.measure(contender, scenario, turn, args.seconds)
                runs.append(run)
                say(f"{progress}: {getattr(run, scenario.figure):.1f} {scenario.unit}")
            except LabError as error:
                broken.append(progress)
                say(f"{progress}: refused: {error}")
    about = machine(who)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"machine": about, "runs": [dataclasses.asdict(run) for run in runs]}, file,
                      indent=1)
    how = f"{args.rounds} rounds of {args.seconds:g} s in turns, median (least..most)"
    print(report.text(about, how, SCENARIOS, runs))
    if broken:
        print(f"\n{len(broken)} runs were refused and are in no figure: " + "; ".join(broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
