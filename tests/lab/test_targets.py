"""Targets at run time: under traffic, and what the peer knows of them."""
import time
from concurrent.futures import ThreadPoolExecutor

import testing
from failover import check_story, failover
from lab import NODES, SLACK, WEB_PORT, Prober, address, pair_config, wait_until
from testing import TestLab

WEB1, WEB2, WEB3 = (address(web, WEB_PORT) for web in ("web1", "web2", "web3"))
POOLS = ("web", "known")


def two_webs(primary="node1"):
    config = pair_config(primary)
    for pool in POOLS:
        config["pools"][pool]["targets"] = [WEB1, WEB2]
    return config


def targets(node, pool="web"):
    """{address: what the API says}"""
    found = node.api.get(f"/v1/pools/{pool}")
    return {target["address"]: target for target in found["targets"]} if found else {}


def seen(node, pool="web"):
    """What both nodes must agree on."""
    return {text: (target["state"], target["weight"], target["max_connections"], target["origin"],
                   target["leaving"], target["drain_left_ms"] is not None)
            for text, target in targets(node, pool).items()}


def requests(lab, source=None):
    return {name: len(web.requests(source=source)) for name, web in lab.webs.items()}


def served(lab, before, more):
    """Waits until so many more requests were served, by all; how many by each."""
    def now():
        return {name: n - before[name] for name, n in requests(lab).items()}
    wait_until(lambda: sum(now().values()) >= more, 30 * SLACK, f"{more} requests")
    return now()


def test_targets_traffic(checks):
    """A target comes, gets its share, another one, and goes, while clients ask: none fails."""
    with TestLab() as lab:
        config = two_webs()
        del config["pools"]["web"]["sticky"]
        active, standby = lab.start_pair(config=config)
        prober = Prober(lab)
        prober.wait_ok()
        checks.section("added")
        begun = time.monotonic()
        active.ctl("add", "web", WEB3)
        checks.note("yokectl add, ms", 1000 * (time.monotonic() - begun))
        active.wait(lambda: targets(active)[WEB3]["state"] == "up", 5, "its checks are good")
        shares = served(lab, requests(lab), 300)
        checks.true(f"each gets a third: {shares}", all(0.28 < n / sum(shares.values()) < 0.39
                                                        for n in shares.values()))
        checks.section("another weight")
        active.ctl("weight", "web", WEB3, "4")
        shares = served(lab, requests(lab), 300)
        checks.true(f"it gets two thirds: {shares}",
                    0.6 < shares["web3"] / sum(shares.values()) < 0.73)
        checks.section("reloads keep it")
        for _ in range(3):
            active.ctl("reload")
        checks.equal("weight", targets(active)[WEB3]["weight"], 4)
        checks.equal("differs from the file", active.status()["run_time_changes"],
                     {"added": 1, "changed": 0, "removed": 0, "peer_takes_them": True})
        checks.section("removed, one of the file, too")
        for target in (WEB3, WEB1):
            active.ctl("remove", "web", target)
        active.wait(lambda: list(targets(active)) == [WEB2], 5, "they are gone")
        shares = served(lab, requests(lab), 100)
        checks.equal("who serves", [name for name, n in shares.items() if n], ["web2"])
        standby.wait(lambda: list(targets(standby)) == [WEB2], 5, "the Backup has the same")
        prober.wait_ok()
        checks.none_failed("requests that failed", prober.stop(), lab)
        events = [e for e in active.events("pool web target") if "operator" in e["reason"]]
        checks.true(f"{len(events)} events say who", len(events) >= 4)


def test_targets_failover(checks):
    """What the operator has changed is the same on the new Active, deadlines too: sticky clients stay
    with a target that drains over the failover, until its time is over."""
    deadline = 15 * SLACK ** 0.5
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            first, second = lab.start_pair(primary, two_webs(primary))
            for pool in POOLS:
                first.ctl("add", pool, WEB3, "--weight", "3", "--max-connections", "500")
                first.ctl("weight", pool, WEB2, "2")
            first.wait(lambda: all(targets(first, pool)[WEB3]["state"] == "up" for pool in POOLS),
                       5, "its checks are good")
            learned = lab.sticky("learn")
            checks.equal("clients known by address", learned["source"]["clients"], 120)
            status, answer = second.api.request("POST", "/v1/pools/web/targets", {"address": WEB3})
            checks.equal("the Backup refuses", (status, answer["error"]),
                         (409, "this node is Backup: ask the Active one"))
            for pool in POOLS:
                first.ctl("drain", pool, WEB1, "--drain-timeout", f"{deadline:.0f}s")
                first.ctl("remove", pool, WEB3, "--drain-timeout", f"{deadline:.0f}s")
            begun = time.monotonic()
            for pool in POOLS:
                second.wait(lambda pool=pool: seen(second, pool) == seen(first, pool), 5,
                            "the Backup has the same")
            checks.equal("what both have", seen(second), {
                WEB1: ("draining", 1, 0, "file", False, True), WEB2: ("up", 2, 0, "file", False, False),
                WEB3: ("draining", 3, 500, "run_time", True, True)})
            known = seen(first)
            story = failover(lab, first, second, first.kill_all, clients=False)
            checks.equal("the new Active has the same", seen(second), known)
            left = targets(second)[WEB1]["drain_left_ms"] / 1000
            checks.at_most("its deadline is off, s",
                           abs(left - (deadline - (time.monotonic() - begun))), 0.5, SLACK)
            check_story(checks, story, 400, clients=False)
            for kind, row in lab.sticky("check").items():
                checks.equal(f"{kind}: kept their backend", row["kept"], row["clients"])
            checks.true("they were asked before the end", time.monotonic() - begun < deadline)
            second.wait(lambda: seen(second).get(WEB1, [""])[0] == "disabled"
                        and WEB3 not in seen(second), deadline + 5, "the drains end")
            checks.at_most("from the order to the end, s", time.monotonic() - begun, deadline + 1, SLACK)
            ends = [(e["object"].split()[-1], e["to"], e["reason"]) for e in second.events("pool web")
                    if "drain is over" in e["reason"]]
            checks.equal("how they ended", sorted(end[:2] for end in ends),
                         sorted([(WEB1, "disabled"), (WEB3, "removed")]))


STORM, CLIENTS = 1000, 16


def test_targets_storm(checks):
    """Many changes at once: none is lost, also not on the peer, traffic and the pair's connection do not
    notice, and what else happened can still be read."""
    with TestLab() as lab:
        config = two_webs()
        config["pools"]["bulk"] = {"targets": [address("web1", 9)], "balance": "source_hash"}
        first, second = lab.start_pair(config=config)
        connects = first.status()["sync"]["epoch"]
        prober = Prober(lab)
        prober.wait_ok()
        path = "/v1/pools/bulk/targets"
        wanted = [f"198.51.{n >> 8}.{n & 255}:80" for n in range(STORM)]

        def all_of(what, ask):
            begun = time.monotonic()
            with ThreadPoolExecutor(CLIENTS) as threads:
                answers = list(threads.map(ask, wanted))
            checks.note(f"{what}, a second", STORM / (time.monotonic() - begun))
            checks.equal(f"{what}: other answers than 200",
                         [answer for answer in answers if answer[0] != 200][:3], [])
        all_of("added", lambda text: first.api.request("POST", path, {"address": text}, 30))
        checks.equal("targets", len(targets(first, "bulk")), STORM + 1)
        all_of("weights", lambda text: first.api.request("PATCH", f"{path}/{text}", {"weight": 2}, 30))
        second.wait(lambda: seen(second, "bulk") == seen(first, "bulk"), 10, "the Backup has the same")
        weights = [target["weight"] for target in targets(second, "bulk").values()]
        checks.equal("with the new weight", weights.count(2), STORM)
        prober.wait_ok()
        checks.none_failed("requests that failed", prober.stop(), lab)
        for node in (first, second):
            checks.equal(f"{node.name}: disconnected", node.status()["sync"]["last_disconnect"], None)
        checks.equal("the same epoch", first.status()["sync"]["epoch"], connects)
        events = first.events()
        checks.true("the start can be read", any(event["object"] == "config" for event in events))
        checks.true("how many changes are in the log only",
                    any("in the log only" in event["reason"] for event in events))
        checks.true("they are in the log", first.log().count("added by the operator") == STORM)
        first.kill_all()
        second.wait_state("active")
        checks.equal("targets of the new Active", len(targets(second, "bulk")), STORM + 1)


def test_targets_restart(checks):
    """A proxy that dies gets them back from its peer, on either node; with the peer gone then, it has
    them all the same."""
    with TestLab() as lab:
        first, second = lab.start_pair(config=two_webs())
        first.ctl("add", "web", WEB3, "--weight", "3", "--backup", "--max-connections", "50")
        first.ctl("remove", "web", WEB2, "--force")
        first.ctl("disable", "web", WEB1)
        first.ctl("drain", "web", WEB3, "--drain-timeout", "1h")
        known = seen(first)
        checks.equal("what there is", known, {WEB1: ("disabled", 1, 0, "file", False, False),
                                              WEB3: ("draining", 3, 50, "run_time", False, True)})
        second.wait(lambda: seen(second) == known, 5, "the Backup has the same")
        for node, name in ((second, "the Backup's"), (first, "the Active's")):
            checks.section(f"SIGKILL of {name} proxy")
            pid = node.pid_of("yoke-proxy")
            node.kill("yoke-proxy")
            node.wait(lambda n=node: pid not in n.processes() and n.status(), 10, "another proxy")
            node.wait_in_sync()
            checks.equal(f"{node.name} has the same", seen(node), known)
        second.wait_state("active")
        checks.equal("and the other one", seen(second), known)
        second.kill_all()
        first.wait_state("active")
        checks.equal("alone", seen(first), known)
        left = targets(first)[WEB3]["drain_left_ms"]
        checks.true(f"{left} ms of an hour are left", 3000000 < left < 3600000)


if __name__ == "__main__":
    testing.main(globals())
