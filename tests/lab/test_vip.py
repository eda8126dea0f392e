"""Others meddle with the VIP: administrators, stray hosts."""
import os
import time

import testing
from lab import (HERE, LINK_LOCAL6, PYTHON, SLACK, VIP, VIP6, ArpWatch, Prober, add_ipv6, address,
                 pair_config, wait_until)
from testing import TestLab


def has_vip(lab, node):
    return f"inet {VIP}/32" in lab.run_in(node.name, "ip", "addr", "show", "dev", "eth0")


def remove_vip(lab, node):
    lab.run_in(node.name, "ip", "addr", "del", f"{VIP}/32", "dev", "eth0")


def test_vip_removed(checks):
    """Put back at once; who removes it again and again makes the node resign."""
    with TestLab(ipv6=True) as lab:
        first, second = lab.start_pair("node1", add_ipv6(pair_config("node1")))
        prober = Prober(lab)
        prober.wait_ok(50)
        before = len(first.transitions())
        # Nothing but the event of the removal can be so quick: the refresh comes every 250 ms.
        for count in range(1, 6):
            moment = time.monotonic()
            remove_vip(lab, first)
            wait_until(lambda: has_vip(lab, first), 2, "the VIP is back")
            checks.in_time("back after, ms", 1000 * (time.monotonic() - moment), 150, moment, factor=1)
            checks.true(f"logged, with the count {count}", f"put back ({count} of" in first.log())
        prober.wait_ok(100)
        traffic = prober.stop()
        checks.equal("transitions", len(first.transitions()), before)
        # What arrives in the moment without the VIP is lost, and TCP's second try comes too late.
        checks.at_most("failed requests", len(traffic.failed()), 5)

        for vip in (VIP6, LINK_LOCAL6):
            moment = time.monotonic()
            lab.run_in(first.name, "ip", "addr", "del", f"{vip}/128", "dev", "eth0")
            wait_until(lambda: f"{vip}/128" in lab.run_in(first.name, "ip", "-6", "addr"), 2,
                       "the IPv6 VIP is back")
            checks.in_time("back after, ms", 1000 * (time.monotonic() - moment), 150, moment, factor=1)

        checks.section("once more")
        remove_vip(lab, first)
        second.wait_state("active", 5)
        change = next(event for event in first.transitions()[before:]
                      if event["object"] == "virtual_router front")
        checks.equal("its state", change["to"], "fault")
        reason = change["reason"]
        checks.note("why", reason)
        checks.true("the reason names the deed", f"somebody removed {VIP} 6 times" in reason)
        first.wait_state("backup", 10)
        checks.true("it has no VIP", not has_vip(lab, first))

        checks.section("somebody gives the VIP to the Backup")
        lab.run_in(first.name, "ip", "addr", "add", f"{VIP}/32", "dev", "eth0")
        wait_until(lambda: not has_vip(lab, first), 2 * SLACK, "it is removed")
        checks.true("logged", f"somebody added {VIP}: removed" in first.log())
        checks.equal("states", [node.state() for node in (first, second)], ["backup", "active"])


def claim(lab, address, *words):
    """The observer says that it has that address."""
    lab.run_in("observer", PYTHON, os.path.join(HERE, "tools", "claim.py"), address, *words)


def rounds(watch, mac, begin, end):
    """When that host announced the VIP, by requests or replies; each round counts once."""
    found = []
    for moment, sender in watch.announced:
        if sender == mac and begin <= moment < end and (not found or moment - found[-1] > 0.005):
            found.append(moment)
    return found


def test_announce(checks):
    """After a promotion, then at each refresh, and when somebody else says that he has the VIP."""
    config = add_ipv6(pair_config("node1"))
    for router in config["virtual_routers"].values():
        router["announce"] = {"refresh": "1s"}
    with TestLab(ipv6=True) as lab:
        watch = ArpWatch(lab)
        first, second = lab.start_pair("node1", config)
        macs = [lab.owner_mac(node) for node in (first, second)]
        moved = time.monotonic()
        first.ctl("failover", "front")
        active = second.wait_state("active")

        # The burst pauses between 1.1 and 5 s.
        wait_until(lambda: time.monotonic() > active + 1.6, 3, "a pause of the burst")

        checks.section("a foreign ARP, and a foreign neighbour advertisement")
        remarks = len(second.remarks())
        claim(lab, address("web1"))  # not one of ours: nobody cares
        claimed = time.monotonic()
        claim(lab, VIP)
        claim(lab, VIP6)
        claim(lab, LINK_LOCAL6)
        wait_until(lambda: len(second.remarks()) > remarks, 5 * SLACK, "an event")
        wait_until(lambda: len(first.remarks()) > 0, 5 * SLACK, "an event of the other family")
        text = f"{lab.mac('observer')} says that it has"
        checks.equal("events", [second.remarks()[-1], first.remarks()[0]],
                     [f"{text} {VIP}: announced again", f"{text} {VIP6}: announced again"])
        checks.true("logged", f"{text} {VIP}" in second.log())
        count = 'yoke_virtual_router_foreign_announcements_total{virtual_router="front"} '
        wait_until(lambda: count + "1\n" in second.api.request("GET", "/metrics")[1], 5 * SLACK,
                   "one is counted, its own announcements are not")

        checks.section("many of them, for the rest of the burst and a refresh")
        flood = time.monotonic()
        claim(lab, VIP, "--times", 300)
        end = time.monotonic()
        wait_until(lambda: time.monotonic() > end + 7, 10, "the burst is over", pause=0.05)
        watch.stop()
        checks.equal("announced by others than the Active",
                     {mac for moment, mac in watch.announced if moment > moved + 0.1}
                     - {macs[1], lab.mac("observer")}, set())
        burst = rounds(watch, macs[1], moved, claimed)
        checks.true(f"announced at the promotion: {len(burst)}", 3 <= len(burst) <= 5)
        checks.true("announced again at once",
                    rounds(watch, macs[1], claimed, claimed + 0.2 * SLACK))
        hot = rounds(watch, macs[1], flood, end)
        checks.true(f"rounds in the flood of {end - flood:.1f} s: {len(hot)}",
                    2 <= len(hot) <= 8 * (end - flood) + 5)
        calm = rounds(watch, macs[1], end + 5.2, end + 7)
        checks.true(f"refreshes afterwards: {len(calm)}", 1 <= len(calm) <= 2)
        checks.true("of the flood a line in ten seconds",
                    second.log().count(f"{text} {VIP}") <= 1 + (end - claimed) / 10)


def test_announce_reload(checks):
    """A refresh that a reload orders begins, although none was due any more."""
    config = pair_config("node1")
    config["virtual_routers"]["front"]["announce"] = {"refresh": "0s"}
    with TestLab() as lab:
        first, _ = lab.start_pair("node1", config)
        since = time.monotonic()
        wait_until(lambda: time.monotonic() > since + 5.5, 10, "the burst is over", pause=0.05)
        watch = ArpWatch(lab)
        watch.wait_asked(20)
        config["virtual_routers"]["front"]["announce"] = {"refresh": "1s"}
        lab.write_config(config)
        reload = time.monotonic()
        first.ctl("reload")
        watch.wait_asked(100)
        watch.stop()
        mac = lab.owner_mac(first)
        checks.equal("announced before", rounds(watch, mac, 0, reload), [])
        checks.true("announced after", rounds(watch, mac, reload, time.monotonic()))


if __name__ == "__main__":
    testing.main(globals())
