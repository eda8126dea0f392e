#!/usr/bin/env python3
"""yoke beside keepalived + haproxy: what a client notices of every kind of failure, measured in the
same lab by the same prober, in turns. Prints Markdown tables; see README.md."""
import argparse
import dataclasses
import json
import os
import platform
import random
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lab"))

from contenders import CONTENDERS  # pylint: disable=wrong-import-position
from faults import ALL, FAULTS
from lab import NODES, VIP, ArpWatch, Lab, LabError, Prober
from report import Run, of_arp, of_traffic, table

LATER_S = 1.5


def sleep_until(moment):
    time.sleep(max(0, moment - time.monotonic()))


def watch(lab, pair, fault):
    """Strikes under the eyes of a client and of one who asks by ARP: (moment, traffic, answers)."""
    arp, prober = ArpWatch(lab), Prober(lab, deadline_ms=fault.deadline_ms)
    for tool in (arp, prober):
        # Hosts of their own they would be, with nobody to wait for.
        os.sched_setscheduler(tool.process.pid, os.SCHED_RR, os.sched_param(1))
    prober.wait_ok(100)
    # Faults come whenever they like: adverts and the checks of a second have another phase each time.
    time.sleep(random.random())
    struck = fault.strike(pair)
    # The client has just forgotten where the VIP is, and again when all should be over.
    lab.flush_arp("client", VIP)
    sleep_until(struck + LATER_S)
    lab.flush_arp("client", VIP)
    sleep_until(struck + fault.watch_s)
    try:
        prober.wait_ok(100, timeout=6)
    except LabError:
        pass  # It is not served again: that is a result.
    arp.stop()
    return struck, prober.stop(), arp


def once(name, contender, advertise, primary):
    fault = FAULTS[name]
    with Lab() as lab, CONTENDERS[contender](lab, primary, advertise) as pair:
        fault.prepare(pair)
        holder = lab.mac(pair.first)
        struck, traffic, arp = watch(lab, pair, fault)
    return Run(name, contender, advertise, primary, **of_traffic(traffic, struck, fault.partial),
               **of_arp(arp.asked, arp.announced, struck, holder))


def plan(args):
    """Every run in its order: the contenders take turns."""
    for name in args.rows:
        fault = FAULTS[name]
        for advertise in args.advertise:
            for turn in range(args.runs if advertise in fault.advertise else 0):
                for primary in args.primaries:
                    for contender in args.contenders:
                        if contender in fault.contenders:
                            yield turn, name, contender, advertise, primary


def machine():
    def version(*words):
        return subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False).stdout.splitlines()[0]
    return {"kernel": platform.release(), "cpus": os.cpu_count(),
            "keepalived": version("keepalived", "--version"), "haproxy": version("haproxy", "-v")}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="ROW",
                        help=", ".join(FAULTS))
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS),
                        metavar="NAME", help=", ".join(CONTENDERS))
    parser.add_argument("--advertise", nargs="+", choices=ALL, default=list(ALL), help="intervals")
    parser.add_argument("--primaries", nargs="+", choices=NODES, default=list(NODES),
                        help="which node is the Active at first")
    parser.add_argument("--runs", type=int, default=5, help="of each, for each primary")
    parser.add_argument("--json", metavar="FILE", help="write every run, too")
    args = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: it makes network namespaces")
    return args


def main():
    args = arguments()
    runs, broken, todo = [], 0, list(plan(args))
    for number, (turn, *what) in enumerate(todo, 1):
        progress = f"{number}/{len(todo)} {' '.join(what)}, run {turn + 1}"
        try:
            runs.append(once(*what))
            print(f"{progress}: outage {runs[-1].outage_ms}, moves {runs[-1].moves}, "
                  f"twice {runs[-1].doubles}", file=sys.stderr, flush=True)
        except LabError as error:
            broken += 1
            print(f"{progress}: failed: {error}", file=sys.stderr, flush=True)
    about = machine()
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"machine": about, "runs": [dataclasses.asdict(run) for run in runs]}, file,
                      indent=1)
    print(f"{args.runs} runs of each, median (least..most). " + ", ".join(
        f"{key}: {value}" for key, value in about.items()))
    for advertise in args.advertise:
        print(f"\nAdverts every {advertise}:\n\n" + table(runs, FAULTS, advertise))
    if broken:
        print(f"\n{broken} runs failed and are in no figure")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
