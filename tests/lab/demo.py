#!/usr/bin/env python3
"""The demonstration behind packaging/quickstart: a pair under traffic, its Active killed, and the
story of it in words. --keep leaves the pair up, --down removes it."""
import argparse
import os
import sys
import time

from failover import failover
from lab import (COOKIE_CLIENTS, COOKIE_PORT, SOURCE_CLIENTS, VIP, Lab, LabError, bin_dir,
                 pair_config, program)
from segment import PREFIX, sweep

WALL_MINUS_MONOTONIC = time.time() - time.monotonic()


def kept_labs():
    names = os.listdir("/run")
    return sorted(int(name[len(PREFIX):-len("-kept")]) for name in names
                  if name.startswith(PREFIX) and name.endswith("-kept"))


def down():
    labs = kept_labs()
    if not labs:
        print("nothing to remove")
    for pid in labs:
        sweep(include=pid)
        print(f"removed the lab {PREFIX}{pid}")
    return 0


def progress(text):
    print(f"  {text} ...", flush=True)


def timeline(story, dying, survivor):
    """[(milliseconds since the kill, text)] from the prober and the survivor's own events."""
    lines = [(0.0, f"SIGKILL of every yoke process on {dying}, under traffic")]
    for event in story.transitions:
        moment = event["time_ms"] / 1000 - WALL_MINUS_MONOTONIC
        lines.append((1000 * (moment - story.struck),
                      f"{survivor}: {event['from']} -> {event['to']}: {event['reason']}"))
    gap, began = story.traffic.outage(story.struck)
    first = story.traffic.first_after(began + gap - 0.0005)
    lines.append((1000 * (began - story.struck), "the last request that was answered before"))
    lines.append((1000 * (first - story.struck), f"first request served by {survivor}"))
    return sorted(lines, key=lambda line: line[0])


def tell(story, dying, survivor):
    print(f"\nBefore: {dying} was Active and held {VIP}; {survivor} was its Backup.\n")
    for moment, text in timeline(story, dying, survivor):
        print(f"  {moment:+8.0f} ms  {text}")
    rows = story.traffic.rows
    sticky = story.sticky
    print(f"""
  outage             {story.outage_ms:.0f} ms without an answered request
  failed requests    {story.failed} of {len(rows)} ({story.traffic.failures_text()})
  sticky by cookie   {sticky['cookie']['kept']} of {sticky['cookie']['clients']} clients kept their backend
  sticky by address  {sticky['source']['kept']} of {sticky['source']['clients']} clients kept their backend
  backend health     {'known at once' if story.pools_at_once == story.pools_before else 'DIFFERENT'} on the new Active
""")


def how_to_look(lab, survivor):
    node = lab.nodes[survivor]
    web = f"ip netns exec {lab.name('client')} curl -s http://{VIP}:{COOKIE_PORT}/"
    print(f"""The pair stays up. Look at it:
  {web}
  {program('yokectl')} --run-dir {node.run_dir} status
  {program('yokectl')} --run-dir {node.run_dir} events
  ip -n {lab.name(survivor)} addr show eth0
  less {node.log_path}
Remove it:
  packaging/quickstart --down
""")


def succeeded(story):
    return all(row["kept"] == row["clients"] for row in story.sticky.values())


def show(keep):
    print("A pair of load balancers, and the Active one dies.\n")
    with Lab() as lab:
        progress("the lab is up: a switch, a client, two nodes, three web servers (nginx)")
        config = pair_config("node1")
        config["cluster"] = "quickstart"
        dying, survivor = lab.start_pair("node1", config)
        progress(f"the pair is up: {dying.name} is Active with {VIP}, {survivor.name} is Backup "
                 "and in sync")
        progress(f"{COOKIE_CLIENTS} clients with a cookie and {SOURCE_CLIENTS} clients known by "
                 "their address come for the first time")
        story = failover(lab, dying, survivor, dying.kill_all, arp=False, say=progress)
        tell(story, dying.name, survivor.name)
        if keep:
            dying.start()
            dying.wait_state("backup", 10)
            dying.wait_in_sync()
            progress(f"{dying.name} was started again: it is Backup and in sync")
            print()
            how_to_look(lab, survivor.name)
            lab.keep()
        else:
            progress("cleaning up")
    if not keep:
        print("Everything is removed. `packaging/quickstart --keep` leaves the pair up.")
    return 0 if succeeded(story) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the pair up")
    parser.add_argument("--down", action="store_true", help="remove what --keep left up")
    args = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root: it makes network namespaces")
    if args.down:
        return down()
    if not os.access(program("yoked"), os.X_OK):
        parser.error(f"yoked is not in {bin_dir()}: build it first")
    try:
        return show(args.keep)
    except LabError as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
