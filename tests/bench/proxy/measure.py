#!/usr/bin/python3
"""yoke beside haproxy and nginx: processor time per request, latency, memory, system calls, measured
in turns on loopback. Prints Markdown tables; see README.md."""
import argparse
import dataclasses
import json
import os
import platform
import shutil
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[1:1] = [os.path.join(HERE, "..", "..", "lab")]

import bed as beds  # pylint: disable=wrong-import-position
import plots
import report
from contenders import Haproxy, Nginx, Yoke
from scenarios import GROUPS, SCENARIOS
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


def chosen(args):
    """The scenarios that are named, by key or by group."""
    return [scenario for scenario in SCENARIOS.values()
            if {scenario.key, scenario.group} & set(args.scenarios) and
            not (args.quick and scenario.slow)]


def plan(args, who):
    """Every run in its order: the contenders take turns, and who begins changes."""
    for turn in range(args.rounds):
        for scenario in chosen(args):
            able = [one for one in who if one.PRODUCT in scenario.products]
            # The number of system calls does not depend on the minute.
            most = 1 if scenario.figure == "syscalls" else 2 if scenario.slow else args.rounds
            if turn >= most:
                continue
            for i in range(len(able)):
                yield turn, scenario, able[(i + turn) % len(able)]


def machine(who):
    """Where it was measured, and what."""
    with open("/proc/cpuinfo", encoding="ascii") as file:
        model = next((line.split(":")[1].strip() for line in file if "model name" in line), "CPU")
    return ", ".join([time.strftime("%Y-%m-%d"), f"{os.cpu_count()} × {model}",
                      f"kernel {platform.release()}",
                      *(f"{one.PRODUCT} {one.version}" for one in who)])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenarios", nargs="+", choices=[*GROUPS, *SCENARIOS], default=GROUPS,
                        metavar="NAME", help=f"groups: {', '.join(GROUPS)}; or one of: "
                        f"{', '.join(SCENARIOS)}")
    parser.add_argument("--contenders", nargs="+", metavar="NAME",
                        help="those whose names begin so: yoke haproxy nginx")
    parser.add_argument("--quick", action="store_true",
                        help="two rounds of 0.3 s, without what is slow to prepare")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of each measurement")
    parser.add_argument("--proxy-cpus", default="0", help="of the proxy, as taskset has it")
    parser.add_argument("--load-cpus", default="1", help="of backend and clients")
    parser.add_argument("--out", metavar="DIR",
                        help="write results.md, runs.json and the plots there, too")
    parser.add_argument("--again", metavar="DIR", help="read runs.json there instead of measuring")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 2, 0.3
    if os.geteuid() != 0 and not args.again:
        parser.error("needs root: it makes namespaces")
    return args


def measure(args, who):
    """The runs, and what was said of those that were refused."""
    runs, refused, todo = [], [], list(plan(args, who))
    with beds.Bed(args.proxy_cpus, args.load_cpus) as bed:
        for number, (turn, scenario, contender) in enumerate(todo, 1):
            what = f"{scenario.key}, {contender.name}, round {turn + 1}"
            try:
                run = bed.measure(contender, scenario, turn, args.seconds)
                runs.append(run)
                say(f"{number}/{len(todo)} {what}: {report.brief(run, scenario)}")
            except LabError as error:
                refused.append(f"{what}: {error}")
                say(f"{number}/{len(todo)} refused: {refused[-1]}")
            except KeyboardInterrupt:
                refused.append(f"{what} and all after it: interrupted")
                break
    return runs, refused


def main():
    args = arguments()
    if args.again:
        with open(os.path.join(args.again, "runs.json"), encoding="utf-8") as file:
            results = json.load(file)
        results["runs"] = [report.Run(**run) for run in results["runs"]]
    else:
        beds.enter()
        who = contenders(args.contenders)
        runs, refused = measure(args, who)
        how = f"{args.rounds} rounds of {args.seconds:g} s in turns: median (least..most)"
        results = {"about": f"{how}. {machine(who)}.", "runs": runs, "refused": refused}
    text = report.text(SCENARIOS, **results)
    print(text)
    out = args.out or args.again
    if out:
        os.makedirs(out, exist_ok=True)
        write(out, "results.md", text + "\n")
        write(out, "runs.json", json.dumps(results, default=dataclasses.asdict, indent=1) + "\n")
        plots.draw(out, SCENARIOS, results["runs"])
    return 1 if results["refused"] else 0


def write(directory, name, text):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main())
