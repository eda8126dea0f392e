"""What a virtual router does on its link, by the numbers of the conformance list in
vrrp/README.md."""
import re

import forge
import testing
from lab import SLACK, VIP, ArpWatch, Prober, address, pair_config, run, wait_until
from test_lease import doubles, has_lease, tables
from testing import TestLab


def when(line):
    """The time of a line of a log, in ms of its day."""
    hours, minutes, seconds = re.match(r"(\d+):(\d+):([\d.]+) ", line).groups()
    return 1000 * (3600 * int(hours) + 60 * int(minutes) + float(seconds))


def changes(node):
    """[(time in ms, from, to)] of the virtual router front."""
    found = (re.search(r"vrrp front: (\w+) -> (\w+):", line) and line
             for line in node.log().splitlines())
    return [(when(line), *re.search(r"vrrp front: (\w+) -> (\w+):", line).groups())
            for line in found if line]


def test_owner(checks):
    """14, 30, 34: priority 255 does not wait for a silence, and takes back what it owns, also from a
    node that never preempts; never do both answer."""
    config = pair_config("node1")
    config["virtual_routers"]["front"]["authenticate"] = False
    config["nodes"]["node1"]["priority"] = {"front": 255}
    config["virtual_routers"]["front"]["failback"] = "never"
    with TestLab() as lab:
        first, second = lab.start_pair("node1", config)
        rows = changes(first)
        checks.equal("34: states", [row[2] for row in rows][-2:], ["Backup", "Active"])
        checks.in_time("from Backup to Active, ms", rows[-1][0] - rows[-2][0], 30)
        checks.equal("14: priority", first.status()["virtual_routers"]["front"]["priority"], 255)
        first.kill_all()
        second.wait_state("active")
        watch, prober = ArpWatch(lab), Prober(lab, deadline_ms=3000)
        prober.wait_ok()
        first.start()
        first.wait_state("active", 10)
        second.wait_state("backup")
        prober.wait_ok(100)
        watch.stop()
        checks.equal("requests answered by two nodes", doubles(watch), [])
        checks.in_time("outage, ms", 1000 * prober.stop().outage()[0], 100)
        checks.note("why the other yields", second.transitions()[-1]["reason"])
        checks.section("30: a second owner")
        forge.send(lab, "observer", "eth0",
                   forge.advert("192.0.2.9", 255, [VIP], interval_cs=10))
        first.wait(lambda: "192.0.2.9 has our priority, 255" in first.log(), 5, "a warning")
        checks.equal("state", first.state(), "active")


class Stranger:
    """Says things to a node, one at a time, and looks up afterwards what it answered."""

    def __init__(self, lab, node):
        self.lab, self.node, self.said = lab, node, []

    def received(self):
        return self.node.status()["virtual_routers"]["front"]["adverts"]["received"]

    def says(self, what, priority, source="192.0.2.9", addresses=(VIP,), **more):
        before = self.received()
        forge.send(self.lab, "observer", "eth0", forge.advert(source, priority, addresses, **more))
        self.node.wait(lambda: self.received() > before, 5, f"it has heard: {what}")
        self.said.append(what)

    def answers(self, capture):
        """{what was said: ms to the node's next advert}"""
        rows = [(1000 * float(row[0]), row[1]) for row in capture.fields(
            "vrrp.type == 1", "frame.time_epoch", "ip.src")]
        own = address(self.node.name)
        spoken = [when for when, source in rows if source in ("192.0.2.9", "192.0.2.200")]
        return {what: min((t - when for t, source in rows if source == own and t > when),
                          default=None) for what, when in zip(self.said, spoken)}


def test_received(checks):
    """15, 28, 29, 31, 33, 40, 46, 57-60: one node that advertises once in a second, and a stranger."""
    config = pair_config("node1", "1s")
    config["virtual_routers"]["front"]["authenticate"] = False
    with TestLab() as lab:
        capture, node = lab.capture(), lab.nodes["node1"]
        lab.write_config(config)
        node.start()
        node.wait_state("active", 15)
        stranger = Stranger(lab, node)
        stranger.says("57: priority 0", 0)
        stranger.says("60: a lower priority", 100)
        stranger.says("59: our priority, a lower address", 200)
        checks.true("31: logged", "192.0.2.9 has our priority, 200" in node.log())
        stranger.says("28: another interval", 100, interval_cs=300)
        checks.true("28: logged", "192.0.2.9 advertises every 3000 ms, we every 1000 ms"
                    in node.log())
        stranger.says("29: other addresses", 100, addresses=("192.0.2.77",))
        checks.true("29: logged", "announces other addresses for VRID 51 than we" in node.log())
        refuses(lab, node, "ttl", forge.advert("192.0.2.98", 250, [VIP], ttl=254))
        checks.equal("15, 57-60: state", node.state(), "active")
        checks.equal("transitions", node.transitions()[-1]["to"], "active")

        checks.section("a higher priority, which advertises every 500 ms, and then is silent")
        stranger.says("58: a higher priority", 250, interval_cs=50)
        # The kernel is told of another rhythm by the first one.
        forge.send(lab, "observer", "eth0", forge.advert(
            "192.0.2.97", 250, [VIP], interval_cs=50))
        node.wait_state("active", 10)
        stranger.says("59: our priority, a higher address", 200, source="192.0.2.200")
        node.wait_state("backup")
        for who in ("192.0.2.9 with 250", "192.0.2.200 with 200"):
            checks.true(f"58, 59: at once, because of {who}",
                        re.search(f"Active -> Backup: .*heard {who}, [0-2] ms ago", node.log()))
        checks.true("58: the VIP is gone", VIP not in lab.addresses("node1"))
        node.sigterm()
        node.wait_exit()
        capture.stop()
        times = [(when, to) for when, _, to in changes(node) if to in ("Backup", "Active")]
        checks.equal("states", [to for _, to in times], ["Backup", "Active"] * 2 + ["Backup"])
        checks.in_time("33: from Backup to Active, ms", times[1][0] - times[0][0], 3218, factor=1.5)
        checks.true("33: not earlier", times[1][0] - times[0][0] > 3200)
        # 3 x 500 ms and a skew of 109 ms; by our own interval it would be 3.2 s.
        silence = int(re.findall(r"Backup -> Active: no advert for (\d+) ms", node.log())[-1])
        checks.in_time("46: Active again after a silence of, ms", silence, 1609, factor=1.5)
        checks.true("46: not earlier", silence > 1600)
        # Also who yields says a last word, so that the winner announces itself again.
        for what, ms in stranger.answers(capture).items():
            checks.in_time(f"{what}: an advert after, ms", ms, 20, factor=5)
        leaving = capture.fields(f"vrrp.prio == 0 && ip.src == {address('node1')}", "frame.number")
        checks.equal("40: priority 0 at the end of a Backup", leaving, [])


def test_unicast_window(checks):
    """68: adverts that routers have passed on, as far as min_ttl lets them. A node whose peer cannot
    be found, not even by ARP, becomes Active all the same."""
    config = pair_config("node1", "1s")
    config["virtual_routers"]["front"].update(mode="unicast", min_ttl=250, authenticate=False)
    with TestLab() as lab:
        node = lab.nodes["node1"]
        lab.write_config(config)
        lab.link("node2", up=False)
        node.start()
        node.wait_state("active", 10)
        checks.true("the lease is alive", has_lease(lab, "node1"))
        lab.link("node2", up=True)
        to = (address("node1"), lab.mac("node1"))
        for ttl, taken in ((249, False), (250, True)):
            frame = forge.advert(address("node2"), 250, [VIP], ttl=ttl, to=to)
            if taken:
                forge.send(lab, "node2", "eth0", frame)
                node.wait_state("backup")
            else:
                refuses(lab, node, "ttl", frame, sender="node2")
                checks.equal("68: state", node.state(), "active")
        checks.true("68: because of the peer", "heard 192.0.2.12 with 250" in node.log())


def test_unicast_address(checks):
    """A node without its own address cannot speak, and says so at once."""
    config = pair_config("node1")
    config["virtual_routers"]["front"]["mode"] = "unicast"
    with TestLab() as lab:
        _, second = lab.start_pair("node1", config)
        own = f"{address('node2')}/24"
        lab.run_in("node2", "ip", "addr", "del", own, "dev", "eth0")
        second.wait_state("fault", 1)
        reason = second.transitions()[-1]["reason"]
        checks.true(f"why: {reason}", f"the node's address {address('node2')} cannot be" in reason)
        lab.run_in("node2", "ip", "addr", "add", own, "dev", "eth0")
        second.wait_state("backup", 1)


def test_unicast_moved(checks):
    """The node's own address comes to another interface, without a moment in which it is nowhere:
    there its adverts go by, so there the fence must stand."""
    config = pair_config("node1")
    config["virtual_routers"]["front"]["mode"] = "unicast"
    own = f"{address('node1')}/24"
    with TestLab() as lab:
        first, second = lab.start_pair("node1", config)
        before = [len(node.transitions()) for node in (first, second)]
        lab.ip_batch(lab.name("switch"), [
            f"link add twin type veth peer name eth1 netns {lab.name('node1')}",
            "link set twin master br0 up"])
        lab.run_in("node1", "ip", "link", "set", "eth1", "up")

        def fence_on():
            text = lab.run_in("node1", "nft", "list", "table", "netdev", "yoke_vrrp_51_eth0")
            return sorted(set(re.findall(r"\beth\d\b", text)))
        checks.equal("the fence is on", fence_on(), ["eth0"])
        for come, go in (("eth1", "eth0"), ("eth0", "eth1")):
            checks.section(f"the address moves to {come}")
            lab.run_in("node1", "ip", "addr", "add", own, "dev", come)
            wait_until(lambda: fence_on() == ["eth0", "eth1"], 2 * SLACK, "the fence is on both")
            lab.run_in("node1", "ip", "addr", "del", own, "dev", go)
            wanted = sorted({"eth0", come})
            wait_until(lambda wanted=wanted: fence_on() == wanted, 2 * SLACK, f"it is on {wanted}")
            wait_until(lambda: has_lease(lab, "node1"), 2 * SLACK, "the lease is alive")
            first.wait_in_sync()
        checks.equal("transitions", [len(node.transitions()) for node in (first, second)], before)
        checks.true("it says so", "the node's address has moved" in first.log())


def link_index(lab, role, prefix):
    text = lab.run_in(role, "ip", "-o", "link", "show", "type", "macvlan")
    return [line.split(":")[0] for line in text.splitlines() if f" {prefix}" in line]


def test_socket_refused(checks):
    """A host that gives no socket: fence and virtual MAC stay as they are while it is tried again."""
    config = pair_config("node1")
    config["virtual_routers"]["front"]["virtual_mac"] = True
    with TestLab() as lab:
        node = lab.nodes["node1"]
        lab.write_config(config)
        lab.sysctl("node1", "net/ipv4/igmp_max_memberships", 0)
        node.start()
        node.wait_state("fault", 10)
        # The kernel says that it is up up to a second later.
        wait_until(lambda: "state UP" in lab.run_in("node1", "ip", "link", "show", "type", "macvlan"),
                   5 * SLACK, "the virtual MAC is up")
        before = link_index(lab, "node1", "yv4-51")
        checks.equal("interfaces of the virtual MAC", len(before), 1)
        # Twenty ticks, each of which looks at the interface.
        said = lab.run_in("node1", "sh", "-c",
                          "timeout 2 ip monitor link & timeout 2 nft monitor; wait; true")
        checks.equal("events of links and rules, in lines", len(said.splitlines()), 0)
        checks.equal("interfaces of the virtual MAC", link_index(lab, "node1", "yv4-51"), before)
        checks.equal("warnings", len(re.findall("warn .*VRRP socket on eth0", node.log())), 1)
        checks.equal("state", node.state(), "fault")
        lab.sysctl("node1", "net/ipv4/igmp_max_memberships", 20)
        node.wait_state("active", 10)
        checks.equal("interfaces of the virtual MAC", link_index(lab, "node1", "yv4-51"), before)


def test_many_routers(checks):
    """Three virtual routers on one interface, two here and one with a virtual MAC there; the
    interface goes and comes back under their fences."""
    config = pair_config("node1")
    vips = {"front": VIP, "shop": "192.0.2.13", "mail": "192.0.2.14"}
    for number, (name, vip) in enumerate(vips.items()):
        config["virtual_routers"][name] = {
            "vrid": 51 + number, "interface": "eth0", "addresses": [f"{vip}/24"],
            "failback": "when_warm", "virtual_mac": name == "mail"}
    config["nodes"]["node2"]["priority"] = {"front": 150, "shop": 150, "mail": 250}
    with TestLab() as lab:
        first, second = lab.start_pair("node1", config)
        second.wait(lambda: second.state("mail") == "active", 5, "its own is Active")
        checks.equal("on node1", [first.state(name) for name in vips],
                     ["active", "active", "backup"])
        checks.equal("fences", len(tables(lab, "node1")), 3)

        checks.section("node1 dies")
        watches = [ArpWatch(lab, vip) for vip in vips.values()]
        first.kill_all()
        for name in vips:
            second.wait(lambda name=name: second.state(name) == "active", 5, f"{name} Active")
        for watch, name in zip(watches, vips):
            watch.wait_asked(30)
            watch.stop()
            checks.true(f"{name} is answered", watch.asked[-5][1])
            checks.equal(f"questions for {name} answered by two", doubles(watch), [])

        checks.section("the interface vanishes, and comes back")
        lab.ip_batch(lab.name("node2"), ["link del eth0"])
        second.wait(lambda: [second.state(name) for name in vips] == ["fault"] * 3, 5, "fault")
        checks.note("reason", second.transitions()[-1]["reason"])
        watch = ArpWatch(lab)
        lab.ip_batch(lab.name("switch"), [
            f"link add node2 type veth peer name eth0 netns {lab.name('node2')}",
            "link set node2 master br0 up"])
        lab.ip_batch(lab.name("node2"), [f"addr add {address('node2')}/24 dev eth0",
                                         "link set eth0 up"])
        for name in vips:
            second.wait(lambda name=name: second.state(name) == "active", 10, f"{name} Active")
        watch.wait_asked(30)
        watch.stop()
        announced = min(when for when, _ in watch.announced)
        checks.equal("answers before it was Active",
                     [macs for when, macs in watch.asked if when < announced - 0.02 and macs], [])
        checks.true("the virtual MAC is back",
                    "yv4-53-" in lab.run_in("node2", "ip", "-o", "link", "show", "type", "macvlan"))
        checks.equal("leases", [has_lease(lab, "node2", f"yoke_vrrp_{51 + n}_eth0")
                                for n in range(3)], [True] * 3)


def advert_lengths(capture, node):
    rows = capture.fields(f"vrrp.type == 1 && ip.src == {address(node.name)}", "ip.len")
    return sorted({int(row[0]) for row in rows})


def refusals(node, why, router="front"):
    """How many adverts were refused for this reason."""
    status = node.status()
    return status["virtual_routers"][router]["adverts"]["refused"].get(why, 0) if status else 0


def refuses(lab, node, why, frame, router="front", sender="observer"):
    """Sends the frame from that host until the node has counted the refusal."""
    before = refusals(node, why, router)

    def counted():
        forge.send(lab, sender, "eth0", frame)
        return refusals(node, why, router) > before
    node.wait(counted, 5, f"a refusal: {why}")


def test_authenticate_rollout(checks):
    """69: authenticate, from false to true and back, by reloads of one node after the other: no advert
    is refused, nothing moves."""
    config = pair_config("node1")
    front = config["virtual_routers"]["front"]
    front["authenticate"] = False
    with TestLab() as lab:
        capture = lab.capture()
        first, second = nodes = lab.start_pair("node1", config)

        def heard(node):
            return node.status()["virtual_routers"]["front"]["adverts"]["received"]

        def roll(mode, order, active, backup):
            front["authenticate"] = mode
            lab.write_config(config)
            for node in order:
                node.ctl("reload")
                wanted = heard(backup) + 10
                backup.wait(lambda wanted=wanted: heard(backup) >= wanted, 5, "adverts are heard")
            checks.equal("adverts refused", [node.status()["virtual_routers"]["front"]["adverts"]
                                             ["refused"] for node in (active, backup)], [{}, {}])
            checks.true("no alarm", not backup.status()["virtual_routers"]["front"]["alarm"])

        prober = Prober(lab)
        prober.wait_ok(50)
        # Whoever is permissive hears adverts of both kinds: the Backup is the first, and the last.
        for mode, order in (("permissive", nodes[::-1]), (True, nodes), ("permissive", nodes[::-1]),
                            (False, nodes)):
            checks.section(f"{mode}, {order[0].name} first")
            before = [len(node.transitions()) for node in nodes]
            roll(mode, order, first, second)
            checks.equal("transitions", [len(node.transitions()) for node in nodes], before)
        prober.wait_ok(50)
        checks.none_failed("failed requests", prober.stop(), lab)
        capture.stop()
        rows = capture.fields(f"vrrp.type == 1 && ip.src == {address('node1')}", "ip.len")
        lengths = [int(row[0]) for row in rows]
        checks.equal("lengths of adverts, as they changed", [
            length for i, length in enumerate(lengths) if lengths[i - 1:i] != [length]],
            [20 + 12, 20 + 12 + 28, 20 + 12])

        checks.section("enforced on one node, permissive on the other: it works in both directions")
        roll("permissive", nodes, first, second)
        roll(True, nodes[:1], first, second)
        for giver, taker in (nodes, nodes[::-1]):
            giver.ctl("failover")
            taker.wait_state("active")
            giver.wait_state("backup")
        refuses(lab, first, "tag_missing", forge.advert("192.0.2.99", 100, [VIP], interval_cs=10))
        checks.equal("what the other one refused", second.status()["virtual_routers"]["front"]
                     ["adverts"]["refused"], {})


def captured(capture, what):
    """The first such frame, as bytes."""
    row = capture.fields(what, "frame.number")[0][0]
    text = run("tshark", "-n", "-r", capture.path, "-Y", f"frame.number == {row}", "-x")
    return bytes.fromhex("".join(line[6:53].replace(" ", "") for line in text.splitlines()
                                 if re.match(r"[0-9a-f]{4}  ", line)))


def test_authenticated(checks):
    """69: forged and repeated adverts change nothing; who is not trusted cannot be overruled; yoked
    says goodbye with a tag."""
    with TestLab() as lab:
        capture = lab.capture()
        first, second = lab.start_pair("node1")
        checks.section("forged: no tag")
        for node in (first, second):
            refuses(lab, node, "tag_missing",
                    forge.advert("192.0.2.99", 250, [VIP], interval_cs=10))
            checks.true("logged", "advert of 192.0.2.99 refused: not authenticated" in node.log())
        checks.section("goodbye of yoked")
        struck = first.kill("yoke-vrrp")
        checks.in_time("takeover, ms", 1000 * (second.wait_state("active") - struck), 60, struck)
        first.wait_state("backup")
        capture.stop()
        for node in (first, second):
            checks.equal(f"length of adverts of {node.name}: with a trailer",
                         advert_lengths(capture, node), [20 + 12 + 28])
        checks.section("the goodbye again")
        goodbye = captured(capture, "vrrp.prio == 0")
        moves = [len(node.transitions()) for node in (first, second)]
        refuses(lab, second, "tag_replayed", goodbye)
        checks.equal("moves", [len(node.transitions()) for node in (first, second)], moves)

        checks.section("a pair that does not agree: nobody is Active beside the other")
        config = pair_config("node1")
        config["virtual_routers"]["front"]["authenticate"] = False
        config["sync"]["key_file"] = f"{lab.dir}/sync.key"
        second.write_config(config)
        second.ctl("reload")
        watch = ArpWatch(lab)
        first.wait(lambda: refusals(first, "tag_missing") > 5, 5, "refusals")
        # What the replication says may come before it would claim; else the kernel refuses.
        first.wait(lambda: "but it is Active and serving by the replication" in first.log()
                   or "claims on: the kernel still hears an Active" in first.log(), 5,
                   "it knows of the Active all the same")
        watch.stop()
        checks.equal("requests answered by two nodes", doubles(watch), [])
        checks.equal("states", [node.state() for node in (first, second)], ["backup", "active"])


if __name__ == "__main__":
    testing.main(globals())
