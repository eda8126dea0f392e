"""yoke and a router of another make on one segment: each as Active and as Backup, the VIP moved in both
directions by goodbye, by death and by preemption, and every packet read by Wireshark's decoder. The
numbers are those of the behaviours in vrrp/README.md."""
from dataclasses import dataclass, field, replace

import testing
from lab import COOKIE_PORT, LINK_LOCAL6, VIP6, ArpWatch, Prober, address, other, pair_config
from peers import VRID, Frr, Keepalived, Peer, Router, virtual_mac
from testing import TestLab

PRIORITY, WEAK, STRONG = "200", "100", "250"
GOOD_CHECKSUM = "1"
FIELDS = {4: ("ip.src", "ip.dst", "ip.ttl", "vrrp.ip_addr"),
          6: ("ipv6.src", "ipv6.dst", "ipv6.hlim", "vrrp.ipv6_addr")}
MORE_FIELDS = ("vrrp.version", "vrrp.virt_rtr_id", "vrrp.checksum.status")
GROUP = {4: "224.0.0.18", 6: "ff02::12"}


@dataclass
class Case:
    """Who meets yoke how. `config` are yoke's keys of the virtual router."""
    peer: type[Peer]
    router: Router = field(default_factory=Router)
    config: dict = field(default_factory=dict)
    role: str = "node1"  # yoke's host

    @property
    def family(self):
        return 6 if self.vip == VIP6 else 4

    @property
    def vip(self):
        return self.router.addresses[-1]

    def yoke_config(self):
        config = pair_config(self.role)
        # Below it the peer would be relieved, as one whose tracked things have failed.
        config["nodes"][other(self.role)]["priority"] = int(WEAK)
        config["virtual_routers"]["front"].update(
            {"addresses": [f"{addr}/64" if ":" in addr else f"{addr}/24"
                           for addr in self.router.addresses],
             "authenticate": False} | self.config)
        if self.family == 6:
            config["listeners"]["web"]["bind"] = f"[{VIP6}]:{COOKIE_PORT}"
        return config


class Meeting:
    """A lab with yoke on one host and the other's router, in a weak and in a strong version."""

    def __init__(self, lab, checks, case):
        self.lab, self.checks, self.case = lab, checks, case
        lab.write_config(case.yoke_config())
        self.node, host = lab.nodes[case.role], other(case.role)
        self.weak = case.peer(lab, host, replace(case.router, priority=int(WEAK)))
        self.strong = case.peer(lab, host, replace(case.router, priority=int(STRONG), preempt=True))

    def mac(self, who):
        if who is not self.node:
            return who.mac()
        return virtual_mac(self.case.vip) if self.case.config.get("virtual_mac") \
            else self.lab.mac(who.name)

    def answers_alone(self, who):
        """Thirty questions for the VIP, and who answers. Both may have the same MAC: then the number of
        answers tells, and the port where the switch has seen it."""
        watch = ArpWatch(self.lab, self.case.vip)
        watch.wait_asked(30)
        asked, mac = watch.stop().asked[:-2], self.mac(who)
        self.checks.equal("who answers for the VIP", {m for _, macs in asked for m in macs}, {mac})
        self.checks.equal("most answers to one question", max(len(macs) for _, macs in asked), 1)
        self.checks.equal("its port", self.lab.port_of(mac),
                          who.name if who is self.node else who.role)


def meet(checks, case):
    with TestLab(ipv6=case.family == 6) as lab:
        meeting = Meeting(lab, checks, case)
        capture = lab.capture()
        peer_is_active(checks, meeting)
        node_is_active(checks, meeting)
        peer_preempts(checks, meeting)
        meeting.node.stop()
        capture.stop()
        check_packets(checks, meeting, capture)


def peer_is_active(checks, meeting):
    node, peer = meeting.node, meeting.weak
    checks.section("the peer was first: yoke stays Backup, and takes over at its goodbye")
    peer.start()
    peer.wait_active()
    node.start()
    node.wait_state("backup", 10)
    node.wait_pools("up")
    meeting.answers_alone(peer)
    checks.note("takeover, ms", 1000 * (-peer.terminate() + node.wait_state("active")))
    peer.stop()
    checks.note("reason", node.transitions()[-1]["reason"])
    checks.true("it heard the goodbye", "resigned" in node.transitions()[-1]["reason"])
    meeting.answers_alone(node)


def node_is_active(checks, meeting):
    node, peer = meeting.node, meeting.weak
    checks.section("the peer comes back with a lower priority: yoke stays Active")
    peer.start()
    peer.wait_backup()
    prober = Prober(meeting.lab, host=meeting.case.vip)
    prober.wait_ok(150)
    checks.equal("requests that failed", prober.stop().failures_text(), "none")
    checks.equal("states", (node.state(), peer.state()), ("active", "backup"))

    checks.section("yoke says goodbye: the peer takes over")
    checks.note("takeover, ms", 1000 * (-node.sigterm() + peer.wait_active()))
    node.wait_exit()
    meeting.answers_alone(peer)

    checks.section("the peer dies: yoke takes over by its timer")
    node.start()
    node.wait_state("backup", 10)
    checks.note("takeover, ms", 1000 * (-peer.kill() + node.wait_state("active")))
    checks.true("it missed adverts", "no advert" in node.transitions()[-1]["reason"])

    checks.section("yoke dies: the peer takes over by its timer")
    peer.start()
    peer.wait_backup()
    checks.note("takeover, ms", 1000 * (-node.kill_all() + peer.wait_active()))
    meeting.answers_alone(peer)
    node.start()
    node.wait_state("backup", 10)
    peer.stop()


def peer_preempts(checks, meeting):
    node, peer = meeting.node, meeting.strong
    checks.section("a better peer preempts: yoke yields, and is Active again when it goes")
    node.wait_state("active")
    peer.start()
    peer.wait_active()
    node.wait_state("backup")
    checks.note("reason", node.transitions()[-1]["reason"])
    meeting.answers_alone(peer)
    peer.stop()
    node.wait_state("active")
    meeting.answers_alone(node)


def check_packets(checks, meeting, capture):
    """Both sides said what the RFC wants: 1 to 4, 6, 9 to 13."""
    checks.section("what Wireshark says of the packets, and the peer of ours")
    case, lab = meeting.case, meeting.lab
    checks.equal("malformed", capture.fields("_ws.malformed", "frame.number"), [])
    checks.equal("the peer's complaints", meeting.weak.complaints(), [])
    fields = ("vrrp.prio", *FIELDS[case.family], *MORE_FIELDS)
    rows = capture.fields("vrrp.type == 1 && vrrp.prio > 0 && !icmp && !icmpv6", *fields)
    for who, priorities in ((meeting.node.name, [PRIORITY]), (meeting.weak.role, [WEAK, STRONG])):
        sent = [row[1:] for row in rows if row[0] in priorities]
        receiver = address(other(who)) if case.router.unicast else GROUP[case.family]
        checks.true(f"adverts of {who}: {len(sent)}", len(sent) > 3)
        checks.equal(f"they are, all {len(sent)}", {tuple(row[1:]) for row in sent},
                     {(receiver, "255", ",".join(case.router.addresses), str(case.router.version),
                       str(VRID), GOOD_CHECKSUM)})
        if who == meeting.node.name:
            source = lab.link_local(who) if case.family == 6 else address(who)
            checks.equal("from", {row[0] for row in sent}, {source})


V2 = Router(version=2, interval_ms=1000)
V2_CONFIG = {"version": 2, "advertise": "1s"}
V6 = Router(addresses=(LINK_LOCAL6, VIP6))


def test_interop_keepalived(checks):
    """63: its checksum has the pseudo-header, and `auto` speaks it too."""
    meet(checks, Case(Keepalived))


def test_interop_keepalived_unicast(checks):
    """68: it takes nothing that another host passed on (TTL 255 to 255)."""
    meet(checks, Case(Keepalived, Router(unicast=True), {"mode": "unicast"}, role="node2"))


def test_interop_keepalived_v2(checks):
    """65: the version that keepalived speaks unless told otherwise."""
    meet(checks, Case(Keepalived, V2, V2_CONFIG))


def test_interop_keepalived_v2_interval(checks):
    """66: in VRRPv2 adverts of another interval are discarded, so keepalived would be a second Active
    by now. The kernel of ours has heard it all the same, and keeps the VIP from us."""
    case = Case(Keepalived, V2, V2_CONFIG | {"advertise": "2s"})
    with TestLab() as lab:
        meeting = Meeting(lab, checks, case)
        node = meeting.node
        meeting.weak.start()
        meeting.weak.wait_active()
        node.start()
        node.wait_state("backup", 10)
        node.wait(lambda: "claims on: the kernel still hears" in node.log(), 10, "it asks its kernel")
        checks.true("it says why it does not listen",
                    "refused: another advertisement interval" in node.log())
        checks.equal("states", (node.state(), meeting.weak.state()), ("backup", "active"))
        meeting.answers_alone(meeting.weak)


def test_interop_keepalived_ipv6(checks):
    meet(checks, Case(Keepalived, V6, role="node2"))


def test_interop_keepalived_vmac(checks):
    """5, 52: the MAC moves with the VIP."""
    meet(checks, Case(Keepalived, Router(virtual_mac=True), {"virtual_mac": True}))


def test_interop_frr(checks):
    """64: its checksum has the pseudo-header; it sends from the virtual MAC. 28, 46: its interval is
    another one than ours, and each follows the other's."""
    meet(checks, Case(Frr, Router(interval_ms=200)))


def test_interop_frr_vmac(checks):
    meet(checks, Case(Frr, config={"virtual_mac": True}, role="node2"))


def test_interop_frr_v2(checks):
    meet(checks, Case(Frr, V2, V2_CONFIG, role="node2"))


def test_interop_frr_ipv6(checks):
    """With the virtual MAC on both sides."""
    meet(checks, Case(Frr, V6, {"virtual_mac": True}))


if __name__ == "__main__":
    testing.main(globals())
