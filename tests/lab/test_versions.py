"""A pair is upgraded node after node, from the version whose programs are in YOKE_OLD_BIN_DIR."""
import json
import os
import sys

import testing
from failover import check_story, cut_limit, failover
from lab import (NODES, SLACK, WEB_PORT, Prober, address, other, pair_config, program,
                 run, wait_until)
from testing import SKIP, TestLab

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
    checks.equal("sessions of the one and the other", sessions(standby), sessions(active))
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
        prober = Prober(lab, deadline_ms=8000)
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
        checks.at_most("failed requests of three moves", len(traffic.failed()), 3 * cut_limit(checks, 0))
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


LATER = {"outlier": {"consecutive_failures": 3, "ejection_time": "1h", "max_ejection_time": "1h"},
         "circuit_breaker": {"min_requests": 50, "error_rate": "100%"}, "slow_start": "1h"}


def write_configs(lab, primary):
    """To a node whose programs do not know it, the file without what came later; has it?"""
    config = pair_config(primary)
    lab.write_config(config)
    config["pools"]["web"] |= LATER
    knows = {}
    for node in lab.nodes.values():
        path = node.config_path + ".later"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        found = run(program("yoked", node.bin_dir), "--check", "--config", path, "--node", node.name,
                    check=False)
        knows[node.name] = "unknown key" not in found
        if knows[node.name]:
            os.replace(path, node.config_path)
    return knows


def test_upgrade_targets(checks):
    """One node is upgraded, either one, and Active: what the Active knows of targets, ejections and
    changes at run time, too, the other one knows as far as its version goes, and takes over with it."""
    old, added, out = old_bin_dir(), address("web3", 9), address("web3", WEB_PORT)
    for upgraded in NODES:
        checks.section(f"the Active is {'new' if upgraded == 'node1' else 'old'}")
        with TestLab() as lab:
            lab.nodes[other(upgraded)].bin_dir = old
            knows = write_configs(lab, "node1")
            first, second = lab.start_pair("node1", write=False)
            both = all(knows.values())
            checks.note("the old one knows of ejections", both)
            lab.sticky("learn")
            first.ctl("disable", "known", address("web2", WEB_PORT))
            if knows[first.name]:
                lab.webs["web3"].set_failing(True)
                wait_until(lambda: lab.fetch_status() and first.pools()["web"][out] == "ejected",
                           20 * SLACK, "it is ejected")
            changed, _ = first.api.request("POST", "/v1/pools/known/targets", {"address": added})
            checks.note("POST of a target", changed)
            lab.webs["web1"].set_healthy(False)

            def expected():
                """What the other one must have."""
                pools = {name: dict(targets) for name, targets in first.pools().items()}
                if changed == 200 and not takes_targets(first):
                    del pools["known"][added]
                if pools["web"][out] == "ejected" and not both:
                    pools["web"][out] = "up"
                return pools
            first.wait(lambda: all(first.pools()[pool][address("web1", WEB_PORT)] == "down"
                                   for pool in ("web", "known")), 10, "web1 is down")
            second.wait(lambda: second.pools() == expected(), 10, "the same targets")
            known, count = second.pools(), sessions(second)
            checks.note("it knows", known)
            checks.equal("sessions of the one and the other", count, sessions(first))
            for node in (first, second):
                checks.equal(f"{node.name}: was disconnected",
                             node.status()["sync"]["last_disconnect"], None)
                node.wait(lambda node=node: node.status()["sync"]["digest_equal"], 10, "equal digests")
            first.kill_all()
            second.wait_state("active")
            checks.equal("the new Active knows the same", second.pools(), known)
            checks.equal("sessions", sessions(second), count)
            checks.equal("service", lab.fetch_status(), "200")


def sessions(node):
    return node.api.get("/v1/sessions?limit=1")["count"]


def takes_targets(node):
    changes = node.status().get("run_time_changes")
    return bool(changes and changes["peer_takes_them"])


if __name__ == "__main__":
    testing.main(globals())
