#!/usr/bin/env python3
"""How long is a failover? Medians over several runs, for either node as the Active, as a Markdown
table.  measure.py [--runs N] [--advertise 100ms] [SCENARIO...]"""
import argparse
import os
import statistics
import sys

from failover import failover
from lab import NODES, Lab, LabError, pair_config

SCENARIOS = {
    "power_off": ("power off: link cut and SIGKILL", 400, lambda node: node.power_off()),
    "sigkill_all": ("SIGKILL of all, link up", 400, lambda node: node.kill_all()),
    "sigkill_proxy": ("SIGKILL of yoke-proxy", 100, lambda node: node.kill("yoke-proxy")),
    "sigkill_vrrp": ("SIGKILL of yoke-vrrp", 100, lambda node: node.kill("yoke-vrrp")),
    "sigkill_yoked": ("SIGKILL of yoked", 100, lambda node: node.kill("yoked")),
    "sigterm": ("SIGTERM", 100, lambda node: node.sigterm()),
}


def once(strike, primary, flush, advertise, arp):
    with Lab() as lab:
        dying, survivor = lab.start_pair(primary, pair_config(primary, advertise))
        return failover(lab, dying, survivor, lambda: strike(dying), flush=flush, arp=arp,
                        deadline_ms=3000)


def spread(values):
    return f"{statistics.median(values):.0f} ({min(values):.0f}..{max(values):.0f})"


def kept(stories, kind):
    rows = [story.sticky[kind] for story in stories]
    return f"{sum(r['kept'] for r in rows)}/{sum(r['clients'] for r in rows)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--advertise", default="100ms")
    parser.add_argument("--remember", action="store_true",
                        help="do not flush the client's ARP cache")
    parser.add_argument("--no-arp", action="store_true", help="do not watch ARP: quicker")
    args = parser.parse_args()
    if set(args.scenarios) - set(SCENARIOS):
        parser.error(f"scenarios are {', '.join(SCENARIOS)}")
    if os.geteuid() != 0:
        parser.error("needs root: it makes network namespaces")
    print(f"adverts every {args.advertise}, {args.runs} runs each, median (min..max)\n")
    print("| scenario | Active | outage ms | takeover ms | failed requests | slowest ms "
          "| two answer ARP until ms | cookie kept | source kept |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    broken = 0
    for name in args.scenarios or SCENARIOS:
        title, promise, strike = SCENARIOS[name]
        for primary in NODES:
            stories = []
            for turn in range(args.runs):
                print(f"# {name} {primary} {turn + 1}/{args.runs}", file=sys.stderr)
                try:
                    stories.append(once(strike, primary, not args.remember, args.advertise,
                                        not args.no_arp))
                except LabError as error:
                    broken += 1
                    print(f"# failed: {error}", file=sys.stderr)
            if not stories:
                print(f"| {title} | {primary} | no run succeeded |||||||", flush=True)
                continue
            outages = [story.outage_ms for story in stories]
            late = "" if statistics.median(outages) <= promise else f" **> {promise}**"
            double = "" if args.no_arp else spread([s.double_arp_ms for s in stories])
            print(f"| {title} | {primary} | {spread(outages)}{late} "
                  f"| {spread([s.takeover_ms for s in stories])} "
                  f"| {spread([s.failed for s in stories])} "
                  f"| {spread([1000 * s.traffic.slowest() for s in stories])} | {double} "
                  f"| {kept(stories, 'cookie')} | {kept(stories, 'source')} |", flush=True)
    if broken:
        print(f"\n{broken} runs failed and are in no figure")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
