"""A pair is upgraded node after node, from the version whose programs are in YOKE_OLD_BIN_DIR."""
import os
import sys

import testing
from failover import check_story, failover
from lab import NODES, SLACK, Prober, other, program, run
from testing import SKIP, TestLab

# By a planned move, on a busy machine: see test_failover.py.
CUT_MAX = 2 * SLACK
SILENCE_MS = 400


def check_pair(checks, active, standby, title):
    """Both talk, and both know that they have the same."""
    checks.section(title)
    active.wait_state("active")
    standby.wait_state("backup")
    for node in (active, standby):
        node.wait_in_sync()
        node.wait(lambda node=node: node.status()["sync"]["digest_equal"] is not None, 10,
                  "a comparison of what they have")
        sync = node.status()["sync"]
        checks.note(f"{node.name} ({node.status()['version']})", sync["reason"])
        checks.true(f"{node.name}: equal digests", sync["digest_equal"])
        checks.true(f"{node.name}: equal configurations", sync["config_equal"])
    counts = [node.api.get("/v1/sessions?limit=1")["count"] for node in (active, standby)]
    checks.equal("sessions of the one and the other", counts, [counts[0]] * 2)
    checks.equal("both see the same targets", standby.pools(), active.pools())


def check_sticky(checks, lab):
    for kind, row in lab.sticky("check").items():
        checks.equal(f"{kind}: kept their backend", row["kept"], row["clients"])
        checks.true(f"{kind}: at least 100 clients", row["clients"] >= 100)


def exchange_programs(node, bin_dir):
    node.sigterm()
    node.wait_exit()
    node.bin_dir = bin_dir
    node.start()
    node.wait_pools("up", 10)


def move(source, destination):
    source.ctl("failover")
    destination.wait_state("active")


def old_bin_dir():
    directory = os.environ.get("YOKE_OLD_BIN_DIR")
    if not directory:
        print("needs the programs of the version before, in YOKE_OLD_BIN_DIR")
        sys.exit(SKIP)
    return directory


def test_upgrade(checks):
    """The Backup, a planned move, the other one; and a move back in between."""
    old = old_bin_dir()
    for place in (old, None):
        checks.note("version", run(program("yoked", place), "--version").strip())
    with TestLab() as lab:
        for node in lab.nodes.values():
            node.bin_dir = old
        first, second = lab.start_pair("node1")
        lab.sticky("learn")
        prober = Prober(lab, deadline_ms=3000)
        prober.wait_ok(100)
        check_pair(checks, first, second, "both are old")

        exchange_programs(second, None)
        check_pair(checks, first, second, "the Active is old, the Backup new")
        move(first, second)
        check_pair(checks, second, first, "the Active is new, the Backup old")
        check_sticky(checks, lab)
        lab.sticky("learn")
        check_pair(checks, second, first, "it has learned from the new one")
        move(second, first)
        check_pair(checks, first, second, "the Active is old again")
        check_sticky(checks, lab)
        move(first, second)
        exchange_programs(first, None)
        check_pair(checks, second, first, "both are new")
        check_sticky(checks, lab)

        prober.wait_ok(100)
        traffic = prober.stop()
        checks.section("what clients and operators saw")
        checks.note("requests", len(traffic.rows))
        checks.note("failed requests", traffic.failures_text())
        checks.at_most("failed requests of three moves", len(traffic.failed()), 3 * CUT_MAX)
        checks.note("longest time without service, ms", 1000 * traffic.outage()[0])
        for node in (first, second):
            refused = [line for line in node.log().splitlines() if "protocol version" in line]
            checks.equal(f"{node.name}: refused a version", refused, [])
            for event in node.events("sync"):
                print(f"      {node.name}: {event['from']} -> {event['to']}: {event['reason']}")


def test_upgrade_power_off(checks):
    """The Active dies while only one of them is upgraded: either version is the survivor once."""
    for upgraded in NODES:
        checks.section(f"{upgraded} is upgraded")
        with TestLab() as lab:
            lab.nodes[other(upgraded)].bin_dir = old_bin_dir()
            dying, survivor = lab.start_pair("node1")
            story = failover(lab, dying, survivor, dying.power_off)
            check_story(checks, story, SILENCE_MS, reason="no advert for")


if __name__ == "__main__":
    testing.main(globals())
