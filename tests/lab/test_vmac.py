"""The virtual MAC, by the numbers of the conformance list in vrrp/README.md."""
import time

import forge
import testing
from lab import (COOKIE_PORT, LINK_LOCAL6, SLACK, VIP, VIP6, ArpWatch, Node, Prober, add_ipv6, address,
                 pair_config, run, wait_until)
from segment import HOSTS, NETWORK6
from test_lease import ASK_MS, JIFFIES_MS, LEASE_MS
from testing import TestLab

MAC4, MAC6 = "00:00:5e:00:01:33", "00:00:5e:00:02:33"
ANSWERS = (f"(arp.opcode == 2 && arp.src.proto_ipv4 == {VIP})"
           f" || (icmpv6.type == 136 && icmpv6.nd.na.target_address == {VIP6})")


def macvlans(lab, role):
    text = run("ip", "-n", lab.name(role), "-o", "link", "show", "type", "macvlan")
    return sorted(line.split()[1].split("@")[0].rsplit("-", 1)[0] for line in text.splitlines())


def answered_twice(watch):
    """Both nodes have the same MAC: only the number of answers tells."""
    return [round(t, 3) for t, macs in watch.asked if len(macs) > 1]


def no_ports(lab, role):
    """How many datagrams came for a port where nobody listens."""
    rows = dict(line.split() for line in lab.run_in(role, "cat", "/proc/net/snmp6").splitlines())
    return int(rows["Udp6NoPorts"])


def takes_frames(lab, role):
    """Does the node accept a packet for its own address in a frame for the virtual MAC? Over IPv6:
    for IPv4 the kernel takes nothing from an interface without an address, fence or not."""
    def knock(mac):
        forge.send(lab, "switch", role, forge.frame(
            mac, lab.mac("client"), forge.IPV6,
            forge.datagram(f"{NETWORK6}:100", f"{NETWORK6}:{HOSTS[role]}", 9)))
    before = no_ports(lab, role)
    knock(MAC6)
    knock(lab.mac(role))  # arrives in any case, and later
    wait_until(lambda: no_ports(lab, role) > before, 5, "a datagram arrives")
    return no_ports(lab, role) - before == 2


def test_virtual_mac_missing(checks):
    """An interface that cannot carry another one: said, and the rest works."""
    config = pair_config("node1")
    config["virtual_routers"]["front"]["virtual_mac"] = True
    with TestLab() as lab:
        # One that has its carrier's all frames leaves none to another MAC.
        lab.ip_batch(lab.name("node1"), [
            "addr flush dev eth0", "link set eth0 down", "link set eth0 name wire",
            "link set wire up",
            "link add eth0 link wire type macvlan mode passthru",
            f"addr add {address('node1')}/24 dev eth0", "link set eth0 up"])
        first, _ = lab.start_pair("node1", config)
        reason = first.status()["virtual_routers"]["front"]["reason"]
        checks.note("reason", reason)
        checks.true("the state says so", "NO VIRTUAL MAC" in reason)
        checks.true("the log warns", "warn" in first.log() and "NO VIRTUAL MAC" in first.log())
        watch, prober = ArpWatch(lab), Prober(lab)
        prober.wait_ok(50)
        checks.none_failed("failed requests", prober.stop(), lab)
        checks.equal("who has it", {m for _, macs in watch.stop().asked for m in macs},
                     {lab.owner_mac(first)})


def links(lab, role):
    text = run("ip", "-n", lab.name(role), "-o", "link", "show")
    return {line.split()[1].rstrip(":").split("@")[0] for line in text.splitlines()}


def add_links(lab, role):
    """Interfaces that are almost like ours: their names."""
    below = lab.run_in(role, "ip", "-o", "link", "show", "eth0").split(":")[0]
    others = {f"yv4-60-{below}": "link eth0 address 02:00:00:00:00:3c type macvlan",
              f"yv4-61-{below}": "link eth0 address 00:00:5e:00:01:3e type macvlan",
              f"yv6-62-{below}": "link eth0 address 00:00:5e:00:01:3e type macvlan",
              "yv4-63-99": "link eth0 address 00:00:5e:00:01:3f type macvlan",
              "mine": "link eth0 address 00:00:5e:00:01:40 type macvlan",
              f"yv4-65-{below}": "address 00:00:5e:00:01:41 type bridge"}
    lab.ip_batch(lab.name(role), [f"link add {name} {how}" for name, how in others.items()])
    return set(others)


def config_of(**routers):
    """One that has these virtual routers {name: (VRID, address)}, each with a virtual MAC."""
    config = pair_config("node1")
    config["virtual_routers"] = {
        name: {"vrid": vrid, "interface": "eth0", "addresses": [f"{vip}/24"], "virtual_mac": True}
        for name, (vrid, vip) in routers.items()}
    return config


def start_neighbour(lab):
    """Another yoke on the host of node1, with a virtual router and a port of its own."""
    config = config_of(mail=(53, "192.0.2.14"))
    config["listeners"] = {"mail": {"bind": "192.0.2.14:25", "mode": "tcp", "pool": "sql"}}
    config["sync"].update(port=5406, key_file=f"{lab.dir}/sync.key")
    node = Node(lab, "node1", "neighbour")
    node.write_config(config)
    node.start()
    node.wait(lambda: node.state("mail") == "active", 10, "Active")
    return node


def test_virtual_mac_left(checks):
    """What a run left behind that nobody could clean up after goes, if the next one does not have
    that virtual router; nothing else does."""
    with TestLab() as lab:
        node = lab.nodes["node1"]
        lab.write_config(config_of(front=(51, VIP), shop=(52, "192.0.2.13")))
        node.start()
        for name in ("front", "shop"):
            node.wait(lambda name=name: node.state(name) == "active", 10, "Active")
        node.kill_all()
        wait_until(lambda: not lab.addresses("node1") & {VIP, "192.0.2.13"}, 5, "no VIP is left")
        others = add_links(lab, "node1")
        neighbour = start_neighbour(lab)
        before = len(neighbour.transitions())
        checks.equal("left", macvlans(lab, "node1").count("yv4-52"), 1)

        lab.write_config(config_of(front=(51, VIP)))
        node.start()
        node.wait_state("active", 10)
        wait_until(lambda: "yv4-52" not in macvlans(lab, "node1"), 20 * SLACK, "it is removed")
        wait_until(lambda: "yoke_vrrp_52_eth0" not in lab.run_in("node1", "nft", "list", "tables"),
                   5 * SLACK, "its fence, too")
        checks.equal("others of that kind", others - links(lab, "node1"), set())
        checks.equal("ours, and the neighbour's",
                     [macvlans(lab, "node1").count(f"yv4-{vrid}") for vrid in (51, 53)], [1, 1])
        # The neighbour sweeps too, and perhaps was first.
        checks.true("it is said", "left of VRID 52 on eth0 is removed" in node.log() + neighbour.log())
        checks.equal("the neighbour's transitions", len(neighbour.transitions()), before)
        checks.true("their fences were not touched",
                    "somebody removed" not in node.log() + neighbour.log())
        checks.equal("states", [node.state(), neighbour.state("mail")], ["active"] * 2)
        neighbour.stop()
        checks.equal("the neighbour's is gone", macvlans(lab, "node1").count("yv4-53"), 0)


def test_virtual_mac_reload(checks):
    """On and off by reload, on one node after the other, in both orders: whoever is Active hands the
    VIP over, and it is answered all the time, by one."""
    config = pair_config("node1")
    with TestLab() as lab:
        nodes = lab.start_pair("node1", config)
        watch, prober = ArpWatch(lab), Prober(lab, deadline_ms=3000)
        prober.wait_ok(50)
        for wanted, backup_first in ((True, True), (False, False)):
            checks.section(f"virtual_mac {wanted}, {'Backup' if backup_first else 'Active'} first")
            config["virtual_routers"]["front"]["virtual_mac"] = wanted
            lab.write_config(config)
            order = sorted(nodes, key=lambda node: (node.state() == "active") == backup_first)
            for node, peer in (order, order[::-1]):
                moves = node.state() == "active"
                node.ctl("reload")
                node.wait_state("backup", 10)
                peer.wait_state("active")
                checks.equal(f"interfaces of {node.name}, which was "
                             f"{'Active' if moves else 'Backup'}", macvlans(lab, node.name),
                             ["yv4-51"] if wanted else [])
                node.wait_in_sync()
                prober.wait_ok(100)
                watch.wait_asked(20)
        watch.stop()
        checks.equal("questions answered twice", answered_twice(watch), [])
        checks.equal("who answered", {mac for _, macs in watch.asked for mac in macs},
                     {MAC4, *(lab.owner_mac(node) for node in nodes)})
        traffic = prober.stop()
        # What is under way when the VIP moves may be lost.
        checks.at_most("failed requests", len(traffic.failed()), 8)
        checks.in_time("outage, ms", 1000 * traffic.outage()[0], 100, factor=10)


def test_virtual_mac(checks):
    """5, 35-39, 48, 49, 52, 53, 55, and the lease: there is one place where the MAC answers."""
    config = add_ipv6(pair_config("node1"))
    for router in config["virtual_routers"].values():
        router["virtual_mac"] = True
    with TestLab(ipv6=True) as lab:
        ports = [lab.capture(f"{name}.pcapng", interface=name, only="inbound")
                 for name in lab.nodes]
        first, second = lab.start_pair("node1", config)
        for node, state in ((first, "active"), (second, "backup")):
            node.wait(lambda node=node, state=state: node.state("front6") == state, 5, state)
            checks.equal(f"interfaces of {node.name}", macvlans(lab, node.name),
                         ["yv4-51", "yv6-51"])
        checks.equal("38: frames for the virtual MAC are taken by the Active, the Backup",
                     [takes_frames(lab, node.name) for node in (first, second)], [True, False])

        for node in (first, second):  # what they answer is looked up at the end
            forge.send(lab, "switch", node.name, forge.frame(
                lab.mac(node.name), lab.mac("client"), forge.IPV4,
                forge.opening(address("client"), VIP, COOKIE_PORT)))

        checks.section("everything is killed")
        watches = [ArpWatch(lab, vip) for vip in (VIP, VIP6)]
        probers = [Prober(lab), Prober(lab, host=VIP6)]
        for prober in probers:
            prober.wait_ok(100)
        struck, wall = first.kill_all(), time.time()
        second.wait_state("active")
        for prober in probers:
            prober.wait_ok(250)
        for watch, mac in zip(watches, (MAC4, MAC6)):
            watch.stop()
            checks.equal("questions answered twice", answered_twice(watch), [])
            checks.equal("52, 53: who has it", {m for _, macs in watch.asked for m in macs}, {mac})
            checks.equal("49: who announced it", {m for _, m in watch.announced}, {mac})
        for prober in probers:
            checks.in_time("outage, ms", 1000 * prober.stop().outage(struck)[0], 340, struck)

        checks.section("back, and handed over")
        first.start()
        first.wait_state("backup", 10)
        first.wait(lambda: first.state("front6") == "backup", 5, "backup")
        checks.equal("interfaces", macvlans(lab, first.name), ["yv4-51", "yv6-51"])
        second.sigterm()
        second.wait_exit()
        first.wait_state("active")
        checks.equal("interfaces of who went", macvlans(lab, second.name), [])
        first.wait(lambda: first.state("front6") == "active", 5, "active")
        first.kill("yoke-vrrp")
        first.wait(lambda: "yoke-vrrp: restarted" in first.log(), 5, "another yoke-vrrp")
        first.wait_state("active")
        checks.true("a goodbye", "resigned for yoke-vrrp" in first.log())
        for port in ports:
            port.stop()
        on_the_wire(checks, lab, ports, wall)


def on_the_wire(checks, lab, ports, wall):
    checks.section("what came out of each node")
    one, two = ports
    for mac, kind, source in ((MAC4, "ip", address("node1")), (MAC6, "ipv6", None)):
        source = source or lab.link_local("node1")
        rows = one.fields(f"vrrp.type == 1 && {kind}.src == {source}", "eth.src", "vrrp.prio")
        checks.equal("5: adverts come from", {row[0] for row in rows}, {mac})
        checks.equal("priorities", sorted({row[1] for row in rows}), ["0", "200"])
        rows = two.fields(f"eth.src == {mac} && frame.time_epoch < {wall}", "frame.number")
        checks.equal("36, 37: frames of the Backup from the virtual MAC", rows, [])
        first = one.fields(f"eth.src == {mac}", "vrrp.type")[0]
        checks.equal("35, 48: the first frame from it is an advert", first, ["1"])
    rows = one.fields(f"({ANSWERS}) && frame.time_epoch > {wall}", "frame.time_epoch")
    dead = [1000 * (float(row[0]) - wall) for row in rows if float(row[0]) < wall + 1]
    checks.at_most("last answer of the dead node, ms", max(dead, default=0.0),
                   LEASE_MS["100ms"] + JIFFIES_MS + ASK_MS * SLACK + checks.lateness.worst_ms())
    for port, taken in ((one, True), (two, False)):
        rows = port.fields(f"tcp.flags.syn == 1 && tcp.flags.ack == 1 && tcp.dstport == 9 && "
                           f"frame.time_epoch < {wall}", "frame.number")
        checks.equal("39, 55: a TCP connection is taken by the Active, the Backup", bool(rows), taken)
    rows = one.fields("icmpv6.type == 136 && icmpv6.nd.na.flag.s == 1 && "
                      f"icmpv6.nd.na.target_address == {VIP6}", "icmpv6.nd.na.flag.r")
    checks.equal("53: R flag of answers", {row[0] for row in rows}, {"1"})
    rows = one.fields("icmpv6.type == 136 && icmpv6.nd.na.target_address == "
                      f"{LINK_LOCAL6} && ipv6.dst == ff02::1", "icmpv6.opt.linkaddr")
    checks.equal("49: announced at", {row[0] for row in rows}, {MAC6})


if __name__ == "__main__":
    testing.main(globals())
