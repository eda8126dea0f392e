"""Virtual routers of IPv6, beside one of IPv4 with the same VRID on the same interface. Numbers are
those of the conformance list in vrrp/README.md."""
import forge
import testing
from lab import (LINK_LOCAL6, VIP, VIP6, ArpWatch, Prober, add_ipv6, pair_config, wait_until)
from test_lease import doubles, last_answer_ms, silent_in_time, tables
from test_link import refuses
from testing import TestLab

FENCES = ["table netdev yoke_vrrp_51_eth0", "table netdev yoke_vrrp_v6_51_eth0"]
ADVERT = ("ipv6.src", "ipv6.dst", "ipv6.hlim", "eth.src", "vrrp.version", "vrrp.type",
          "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.addr_count", "vrrp.ipv6_addr",
          "vrrp.checksum.status")


def has_group(lab, role, group):
    return group in lab.run_in(role, "ip", "-6", "maddr", "show", "dev", "eth0")


def check_adverts(checks, lab, capture, node, priority):
    """2, 3, 4, 10, 11, 12, 13."""
    source = lab.link_local(node.name)
    rows = capture.fields(f"vrrp.type == 1 && ipv6.src == {source} && vrrp.prio > 0", *ADVERT)
    checks.true(f"adverts of {node.name}: {len(rows)}", len(rows) >= 5)
    wanted = [source, "ff02::12", "255", lab.mac(node.name), "3", "1", "51", priority, "2",
              f"{LINK_LOCAL6},{VIP6}", "1"]
    for at, name in enumerate(ADVERT):
        checks.equal(f"{name} of {node.name}", sorted({row[at] for row in rows}), [wanted[at]])


def check_announcement(checks, lab, capture, node):
    """48: advert first, then an unsolicited neighbour advertisement for each address."""
    source = lab.link_local(node.name)
    first = capture.fields(f"vrrp.type == 1 && ipv6.src == {source}", "frame.number")[0]
    for vip in (LINK_LOCAL6, VIP6):
        rows = capture.fields(
            f"icmpv6.type == 136 && ipv6.dst == ff02::1 && icmpv6.nd.na.target_address == {vip} "
            f"&& eth.src == {lab.mac(node.name)}", "frame.number", "icmpv6.nd.na.flag.r",
            "icmpv6.nd.na.flag.s", "icmpv6.nd.na.flag.o", "icmpv6.opt.linkaddr", "ipv6.hlim")
        checks.equal(f"R S O, MAC, hop limit of {vip}", sorted({tuple(row[1:]) for row in rows}),
                     [("1", "0", "1", lab.mac(node.name), "255")])
        checks.true("after the first advert", int(rows[0][0]) > int(first[0]))


def finds_neighbour(lab, role):
    """Somebody who refuses has been found."""
    lab.run_in(role, "ip", "-6", "neigh", "flush", "dev", "eth0")
    said = lab.run_in(role, "curl", "-sS", "-m", "3", "http://[2001:db8::100]:9/", check=False)
    return "refused" in said or "Couldn't connect" in said and "timed out" not in said


def test_ipv6(checks):
    """2, 3, 4, 10-13, 16, 37, 48, 50, 58 and the lease, with everything killed."""
    config = add_ipv6(pair_config("node1"))
    with TestLab(ipv6=True) as lab:
        capture = lab.capture()
        first, second = lab.start_pair("node1", config)
        for node, state in ((first, "active"), (second, "backup")):
            node.wait(lambda node=node, state=state: node.state("front6") == state, 5, state)
            checks.equal(f"fences of {node.name}", sorted(tables(lab, node.name)), FENCES)
        for vip in (LINK_LOCAL6, VIP6):
            checks.equal(f"who has {vip}", [vip in lab.addresses(n.name) for n in (first, second)],
                         [True, False])
        for node, joined in ((first, True), (second, False)):  # 50
            checks.equal(f"solicited-node group on {node.name}",
                         has_group(lab, node.name, "ff02::1:ff00:10"), joined)

        checks.section("a new connection of the Active begins at its own address")
        source = lab.run_in(first.name, "ip", "-6", "route", "get", "2001:db8::100")
        checks.true("not at the VIP", "src 2001:db8::11 " in source)

        refuses(lab, second, "ttl", forge.advert(  # 16
            "fe80::9:9", 250, [LINK_LOCAL6, VIP6], interval_cs=10, ttl=64), "front6")

        checks.section("everything is killed")
        watches = {vip: ArpWatch(lab, vip) for vip in (VIP, VIP6)}
        probers = [Prober(lab), Prober(lab, host=VIP6)]
        for prober in probers:
            prober.wait_ok(100)
        struck = first.kill_all()
        lab.flush_arp("client", VIP6)
        second.wait_state("active")
        second.wait(lambda: second.state("front6") == "active", 5, "front6 active")
        for prober in probers:
            prober.wait_ok(250)
        for vip, watch in watches.items():
            watch.stop()
            checks.equal(f"questions for {vip} answered by two nodes", doubles(watch), [])
            silent_in_time(checks, lab, first, watch, struck)
            before = {mac for t, macs in watch.asked if t < struck for mac in macs}
            checks.equal("37: who answered before", before, {lab.owner_mac(first)})
            checks.true("the other one answers now",
                        last_answer_ms(watch, lab.owner_mac(second), struck) > 500)
        for prober in probers:
            traffic = prober.stop()
            checks.in_time("outage, ms", 1000 * traffic.outage(struck)[0], 340, struck)

        checks.section("it comes back, and neighbour discovery of the node itself works")
        first.start()
        first.wait(lambda: first.state("front6") == "backup", 10, "backup")
        for node in (first, second):
            checks.true(f"{node.name} finds a neighbour", finds_neighbour(lab, node.name))
        second.sigterm()
        second.wait_exit()
        wait_until(lambda: first.state("front6") == "active", 5, "the first is Active")
        checks.equal("58, 61: who has the VIP",
                     [VIP6 in lab.addresses(n.name) for n in (first, second)], [True, False])
        capture.stop()
        checks.section("what was on the wire")
        for node, priority in ((first, "200"), (second, "150")):
            check_adverts(checks, lab, capture, node, priority)
            check_announcement(checks, lab, capture, node)


def test_ipv6_unicast(checks):
    """Adverts between the nodes' IPv6 addresses, replication as well; and nobody speaks IPv4."""
    config = pair_config("node1")
    for name, number in (("node1", 11), ("node2", 12)):
        config["nodes"][name]["address"] = f"2001:db8::{number}"
    config["virtual_routers"]["front"].update(
        mode="unicast", addresses=[f"{LINK_LOCAL6}/64", f"{VIP6}/64"])
    config["listeners"]["web"]["bind"] = f"[{VIP6}]:80"
    with TestLab(ipv6=True) as lab:
        capture = lab.capture()
        first, second = lab.start_pair("node1", config)
        watch, prober = ArpWatch(lab, VIP6), Prober(lab, host=VIP6)
        prober.wait_ok(100)
        struck = first.kill_all()
        lab.flush_arp("client", VIP6)
        second.wait_state("active")
        prober.wait_ok(100)
        watch.stop()
        checks.equal("questions answered by two nodes", doubles(watch), [])
        checks.in_time("outage, ms", 1000 * prober.stop().outage(struck)[0], 340, struck)
        capture.stop()
        rows = capture.fields("vrrp.type == 1 && !icmpv6", "ipv6.src", "ipv6.dst", "ipv6.hlim")
        checks.equal("adverts", sorted(set(map(tuple, rows))), [
            ("2001:db8::11", "2001:db8::12", "255"), ("2001:db8::12", "2001:db8::11", "255")])


if __name__ == "__main__":
    testing.main(globals())
