"""What one node knows of the targets, the other knows when it takes over."""
import time

import testing
from failover import check_story, failover
from lab import (NODES, SLACK, VIP, WEB_PORT, address, pair_config, wait_until)
from testing import TestLab


def test_health_known(checks):
    """One target failed its checks and one was disabled by the operator before the failover: the
    new Active shows it at once and sends neither a single request."""
    down, disabled = address("web3", WEB_PORT), address("web2", WEB_PORT)
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            first, second = lab.start_pair(primary)
            lab.webs["web3"].set_healthy(False)
            for pool in ("web", "known"):
                first.ctl("disable", pool, disabled)

            def seen(node):
                pools = node.pools() or {}
                return all(pools.get(pool, {}).get(down) == "down"
                           and pools[pool].get(disabled) == "disabled" for pool in ("web", "known"))
            for node in (first, second):
                node.wait(lambda n=node: seen(n), 5, "one target down, one disabled")
            story = failover(lab, first, second, first.kill_all, clients=False)
            check_story(checks, story, 400, clients=False)
            checks.equal("state of the target that is down",
                         story.pools_at_once["web"][down], "down")
            checks.equal("state of the disabled target",
                         story.pools_at_once["web"][disabled], "disabled")
            for name in ("web2", "web3"):
                sent = lab.webs[name].requests(source=address(second.name))
                checks.equal(f"requests of the survivor to {name}", len(sent), 0)
            sent = lab.webs["web1"].requests(source=address(second.name))
            checks.true("requests of the survivor to web1", len(sent) > 100)

            checks.section("the survivor checks now")
            wall = time.time()
            lab.webs["web3"].set_healthy(True)
            second.wait(lambda n=second: n.pools()["web"][down] == "up", 5, "the target up again")
            checks.true("its own checks", lab.webs["web3"].requests(
                wall, address(second.name), checks=True))


def test_health_counted(checks):
    """Results in a row are counted on by the new Active: a target that has failed most of its checks
    there needs only the rest here."""
    fall = 8
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            config = pair_config(primary)
            for name in ("web", "sql"):
                config["pools"][name]["health"] = {"tcp": {}}
            config["pools"]["known"]["health"] |= {"interval": "300ms", "fall": fall}
            first, second = lab.start_pair(primary, config)
            wall = time.time()

            def failed(node):
                return len(lab.webs["web3"].requests(wall, address(node.name), checks=True))
            lab.webs["web3"].set_healthy(False)
            wait_until(lambda: failed(first) >= fall - 3, 10 * SLACK, "most checks have failed")
            first.kill_all()
            before = failed(first)
            second.wait_state("active")
            second.wait(lambda: second.pools()["known"][address("web3", WEB_PORT)] == "down", 10,
                        "the target down")
            checks.note("checks that failed before", before)
            checks.true("it was not down before", before < fall)
            checks.at_most("and after", failed(second), fall - before + 1)


EJECTION_S = 20


def test_ejection_known(checks):
    """A target that the Active has ejected gets nothing from the new Active either, until its time is
    over: then it does."""
    out = address("web3", WEB_PORT)
    with TestLab() as lab:
        config = pair_config()
        config["pools"]["web"]["outlier"] = {"ejection_time": f"{EJECTION_S}s"}
        first, second = lab.start_pair(config=config)
        web3 = lab.webs["web3"]
        begun = time.time()
        web3.set_failing(True)

        def ejected(node):
            return node.pools()["web"][out] == "ejected"
        wait_until(lambda: lab.fetch_status() and ejected(first), 10 * SLACK, "it is ejected")
        web3.set_failing(False)
        second.wait(lambda: ejected(second), 5, "the peer knows")
        checks.equal("the checks say nothing against it",
                     first.api.get("/v1/pools/web")["targets"][2]["health"], "up")
        story = failover(lab, first, second, first.kill_all, clients=False)
        check_story(checks, story, 400, clients=False)
        checks.equal("its state at once", story.pools_at_once["web"][out], "ejected")

        def asked():
            lab.fetch_status()
            return web3.requests(begun, address(second.name))
        wait_until(asked, (EJECTION_S + 10) * SLACK, "a request to it", pause=0.02)
        when = asked()[0][0] - begun
        checks.true(f"the first one came after {when:.1f} s", when >= EJECTION_S)
        # At the next tick, and with the next few requests.
        checks.at_most("after it was ejected, s", when, EJECTION_S + 2, 5 * SLACK)
        events = [(e["from"], e["to"]) for e in second.api.get("/v1/events")
                  if e["object"] == f"pool web target {out}" and e["node"] == second.name]
        checks.true(f"its events: {events}", ("in", "ejected") in events
                    and events[-1] == ("ejected", "in"))


OPEN_S = 20


def test_circuit_known(checks):
    """A circuit that has opened on the Active is open on the new one for what is left: until then its
    targets get nothing, then the trials."""
    with TestLab() as lab:
        config = pair_config()
        config["pools"]["web"]["circuit_breaker"] = {"min_requests": 10, "trials": 3,
                                                     "open_time": f"{OPEN_S}s"}
        first, second = lab.start_pair(config=config)

        def circuit(node):
            return node.api.get("/v1/pools/web")["circuit"]
        for web in lab.webs.values():
            web.set_failing(True)
        begun = time.time()
        wait_until(lambda: lab.fetch_status() and circuit(first)["state"] == "open", 10 * SLACK,
                   "it is open")
        second.wait(lambda: circuit(second)["state"] == "open", 5, "the peer knows")
        checks.equal("why", circuit(second)["reason"], "told by the Active peer")
        for web in lab.webs.values():
            web.set_failing(False)
        first.kill_all()
        second.wait_state("active")

        def sent():
            return sorted(t - begun for w in lab.webs.values()
                          for t, _ in w.requests(begun, address(second.name)))
        refused = 0

        def is_served():
            nonlocal refused
            status = lab.fetch_status()
            refused += status == "503"
            return status == "200"
        wait_until(is_served, (OPEN_S + 10) * SLACK, "service again", pause=0.02)
        checks.note("requests that the new Active has refused", refused)
        checks.true(f"its targets got the first one after {sent()[0]:.1f} s", sent()[0] >= OPEN_S)
        # At the next tick, and with the next request.
        checks.at_most("after it opened, s", sent()[0], OPEN_S + 2, 5 * SLACK)
        wait_until(lambda: lab.fetch_status() and circuit(second)["state"] == "closed", 5 * SLACK,
                   "it is closed")
        checks.equal("its events", [(e["from"], e["to"]) for e in second.events("pool web circuit")],
                     [("closed", "open"), ("open", "half-open"), ("half-open", "closed")])


POOLS, INTERVAL = 40, 4  # of three targets each; seconds


def most_in(seconds, times):
    """The most moments in so many seconds."""
    times = sorted(times)
    return max((sum(begin <= t < begin + seconds for t in times[i:])
                for i, begin in enumerate(times)), default=0)


def test_health_pace(checks):
    """The new Active knows every target's state from the first moment on, and checks begin at the rate
    that the old one had: no storm."""
    with TestLab() as lab:
        config = pair_config()
        web = config["pools"]["web"]
        web["health"]["interval"] = f"{INTERVAL}s"
        config["pools"] |= {f"web{n}": dict(web) for n in range(POOLS)}
        for n in range(POOLS):
            del config["pools"][f"web{n}"]["sticky"]
        for name in ("known", "sql"):
            config["pools"][name]["health"] = {"tcp": {}, "interval": "1s"}
        lab.webs["web3"].set_healthy(False)
        lab.write_config(config)
        first, second = lab.nodes["node1"], lab.nodes["node2"]

        def all_known(node):
            states = [s for pool in (node.pools() or {"": {"": "unknown"}}).values()
                      for s in pool.values()]
            return "unknown" not in states and states.count("down") == POOLS + 1

        def checks_of(node, after):
            return [t for w in lab.webs.values()
                    for t, _ in w.requests(after, address(node.name), checks=True)]
        first.start()
        first.wait_state("active", 10)
        first.wait(lambda: all_known(first), 10, "every target was checked")
        second.start()
        second.wait_in_sync()
        second.wait(lambda: second.pools() == first.pools(), 5, "the same health on both")
        begun = time.time()
        checks.equal("own checks of the Backup", sum(
            pool["checked_by"] != "peer" for pool in second.api.get("/v1/pools").values()), 0)
        wait_until(lambda: time.time() > begun + INTERVAL, INTERVAL + 5, "a round", pause=0.05)
        steady = checks_of(first, begun)
        known = second.pools()
        first.kill_all()
        struck = time.time()
        seen = []

        def look():
            seen.append((second.state(), second.pools()))
            return seen[-1][0] == "active"
        wait_until(look, 5 * SLACK, "the other one is Active", pause=0.001)
        wait_until(lambda: look() and time.time() > struck + INTERVAL + 1, INTERVAL + 6, "a round",
                   pause=0.02)
        checks.true(f"looked {len(seen)} times", len(seen) > 50)
        checks.equal("moments with another health than before", sum(p != known for _, p in seen), 0)
        after = checks_of(second, struck)
        pace = 3 * (POOLS + 1) / INTERVAL
        checks.note("checks a second that are due", pace)
        checks.true("every target was checked", len(after) >= 3 * (POOLS + 1))
        for what, times in (("before", steady), ("after", after)):
            checks.at_most(f"most in a second, {what}", most_in(1, times), 1.5 * pace, 1.5)


def test_all_down(checks):
    """503 at once, and service again when a target is back."""
    with TestLab() as lab:
        first, _ = lab.start_pair()
        for web in lab.webs.values():
            web.set_healthy(False)
        first.wait(lambda: "up" not in first.pools()["web"].values(), 5, "all targets down")
        begun = time.monotonic()
        checks.equal("status without a target", lab.fetch_status(), "503")
        checks.in_time("time to the answer, ms", 1000 * (time.monotonic() - begun), 500, begun, factor=1)
        lab.webs["web2"].set_healthy(True)
        wait_until(lambda: lab.fetch_status() == "200", 5 * SLACK, "service with one target")
        checks.equal("who serves", lab.run_in("client", "curl", "-s", f"http://{VIP}/").strip(),
                     "web2")


def since_ms(node, name):
    targets = node.api.get("/v1/pools/web")["targets"]
    return next(t["since_ms"] for t in targets if t["address"] == address(name, WEB_PORT))


def test_slow_start(checks):
    """A node that was started after a target had come up is told since when it is up, so the target
    starts as slowly on it as on the other one."""
    slow_start = 8
    with TestLab() as lab:
        config = pair_config()
        config["pools"]["web"] |= {"balance": "round_robin", "slow_start": f"{slow_start}s"}
        config["pools"]["web"].pop("sticky", None)
        first, second = lab.start_pair("node1", config)
        second.power_off()
        wait_until(lambda: since_ms(first, "web1") > 1000 * slow_start + 500, 30 * SLACK,
                   "others are warm")
        lab.webs["web3"].set_healthy(False)
        first.wait(lambda: first.pools()["web"][address("web3", WEB_PORT)] == "down", 5, "down")
        lab.webs["web3"].set_healthy(True)
        first.wait(lambda: first.pools()["web"][address("web3", WEB_PORT)] == "up", 5, "up")
        second.power_on()
        second.wait_in_sync()
        second.wait_pools()
        for name in ("web1", "web3"):
            theirs, ours = since_ms(second, name), since_ms(first, name)
            checks.in_time(f"{name}: apart, ms", abs(ours - theirs), 1000, factor=1)
        checks.true("web1 was up before the node was",
                    since_ms(second, "web1") > second.status()["uptime_ms"])
        before, wall = since_ms(second, "web3"), time.time()
        first.kill_all()
        second.wait_state("active")
        for _ in range(40):
            lab.run_in("client", "curl", "-s", f"http://{VIP}/")
        counts = {name: len(lab.webs[name].requests(wall, address(second.name))) for name in lab.webs}
        after = since_ms(second, "web3")
        checks.note("requests", counts)
        # With the tenths that it had at the beginning and at the end.
        tenths = [min(10, max(1, 10 * ms // (1000 * slow_start))) for ms in (before, after)]
        shares = [40 * tenth / (20 + tenth) for tenth in tenths]
        checks.true(f"web3 has {counts['web3']}, wanted {shares[0]:.1f} to {shares[1]:.1f}",
                    shares[0] - 2 <= counts["web3"] <= shares[1] + 2)


SLOW_START_S = 12
WEB1, WEB2, WEB3 = (address(web, WEB_PORT) for web in ("web1", "web2", "web3"))


def slow_pair(lab, targets, **more):
    """A pair with the pool's targets, web1 warm, and the Backup off."""
    config = pair_config()
    config["pools"]["web"] |= {"balance": "round_robin", "targets": targets,
                               "slow_start": f"{SLOW_START_S}s", **more}
    config["pools"]["web"].pop("sticky")
    first, second = lab.start_pair(config=config)
    second.power_off()
    wait_until(lambda: since_ms(first, "web1") > 1000 * SLOW_START_S + 500, 30 * SLACK, "web1 is warm")
    return first, second


def happens(do, done):
    """When it happened: (not before, not after)."""
    before = time.time()
    do()
    wait_until(done, 20 * SLACK, "it has happened", pause=0.01)
    return before, time.time()


def tenth(seconds):
    return min(10, max(1, int(10 * seconds / SLOW_START_S)))


def check_shares(checks, lab, first, second, ready, warm):
    """A node that comes in the middle of their slow start and takes over has so many warm targets, and
    gives those in `ready`, {name: when it happened}, what their age says."""
    youngest = max(when[1] for when in ready.values())
    wait_until(lambda: tenth(time.time() - youngest) >= 4, SLOW_START_S, "the middle of it")
    second.power_on()
    second.wait_in_sync()
    second.wait(lambda: second.pools()["web"] == first.pools()["web"], 5, "the same targets")
    first.kill_all()
    second.wait_state("active")
    begun = time.time()
    for _ in range(40):
        lab.run_in("client", "curl", "-s", f"http://{VIP}/")
    ended = time.time()
    counts = {name: len(lab.webs[name].requests(begun, address(second.name))) for name in lab.webs}
    low = {name: tenth(begun - when[1]) for name, when in ready.items()}
    high = {name: tenth(ended - when[0]) for name, when in ready.items()}
    checks.note("requests", counts)
    checks.note("tenths of their weights", {name: (low[name], high[name]) for name in ready})
    for name in ready:
        others = [10 * warm + sum(bound.values()) - bound[name] for bound in (low, high)]
        least = 40 * low[name] / (others[1] + low[name])
        most = 40 * high[name] / (others[0] + high[name])
        checks.true(f"{name} has {counts[name]}, wanted {least:.1f} to {most:.1f}",
                    least - 2 <= counts[name] <= most + 2)


def test_slow_start_ready(checks):
    """A target that was added at run time, and one that the operator has made ready, start as slowly on
    a new Active that was not there then."""
    with TestLab() as lab:
        first, second = slow_pair(lab, [WEB1, WEB3])
        first.ctl("disable", "web", WEB3)

        def is_up(target):
            return lambda: first.pools()["web"].get(target) == "up"
        ready = {"web3": happens(lambda: first.ctl("ready", "web", WEB3), is_up(WEB3)),
                 "web2": happens(lambda: first.ctl("add", "web", WEB2), is_up(WEB2))}
        check_shares(checks, lab, first, second, ready, warm=1)


def test_slow_start_ejected(checks):
    """The same of one that was let in again after an ejection."""
    with TestLab() as lab:
        first, second = slow_pair(lab, [WEB1, WEB2, WEB3],
                                  outlier={"ejection_time": "1s", "consecutive_failures": 3})

        def is_now(state):
            return lambda: lab.fetch_status() and first.pools()["web"][WEB3] == state
        lab.webs["web3"].set_failing(True)
        wait_until(is_now("ejected"), 30 * SLACK, "it is ejected")
        ready = {"web3": happens(lambda: lab.webs["web3"].set_failing(False), is_now("up"))}
        check_shares(checks, lab, first, second, ready, warm=2)


if __name__ == "__main__":
    testing.main(globals())
