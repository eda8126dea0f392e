"""yoke and a router of another make on one segment: each as Active and as Backup, the VIP moved in both
directions by goodbye, by death and by preemption, and every packet read by Wireshark's decoder. The
numbers are those of the behaviours in vrrp/README.md."""
import time
from dataclasses import dataclass, field, replace

import testing
from lab import NODES, VIP, ArpWatch, Prober, address, other, pair_config
from peers import VRID, Frr, Keepalived, Peer, Router
from testing import TestLab

GOOD_CHECKSUM = "1"
FIELDS = ("ip.src", "ip.dst", "ip.ttl", "vrrp.version", "vrrp.virt_rtr_id", "vrrp.ip_addr",
          "vrrp.checksum.status")


@dataclass
class Case:
    """Who meets yoke how. `config` are yoke's keys of the virtual router."""
    peer: type[Peer]
    router: Router = field(default_factory=Router)
    config: dict = field(default_factory=dict)
    role: str = "node1"  # yoke's host


def answers_alone(checks, lab, mac):
    """Thirty questions for the VIP, and who answers."""
    watch = ArpWatch(lab)
    time.sleep(0.3)
    asked = watch.stop().asked[:-2]
    checks.equal("who answers ARP", sorted({mac for _, macs in asked for mac in macs}), [mac])


def meet(checks, case):
    with TestLab() as lab:
        config = pair_config(case.role)
        config["virtual_routers"]["front"].update(case.config)
        lab.write_config(config)
        node, host = lab.nodes[case.role], other(case.role)
        weak = case.peer(lab, host, replace(case.router, priority=100))
        strong = case.peer(lab, host, replace(case.router, priority=250, preempt=True))
        capture = lab.capture()
        peer_is_active(checks, lab, node, weak)
        node_is_active(checks, lab, node, weak)
        peer_preempts(checks, lab, node, strong)
        node.stop()
        capture.stop()
        check_packets(checks, capture, case)


def peer_is_active(checks, lab, node, peer):
    checks.section("the peer was first: yoke stays Backup, and takes over at its goodbye")
    peer.start()
    peer.wait_active()
    node.start()
    node.wait_state("backup", 10)
    node.wait_pools("up")
    answers_alone(checks, lab, peer.mac())
    checks.note("takeover, ms", 1000 * (-peer.terminate() + node.wait_state("active")))
    peer.stop()
    checks.note("reason", node.transitions()[-1]["reason"])
    checks.true("it heard the goodbye", "resigned" in node.transitions()[-1]["reason"])
    answers_alone(checks, lab, lab.mac(node.name))


def node_is_active(checks, lab, node, peer):
    checks.section("the peer comes back with a lower priority: yoke stays Active")
    peer.start()
    peer.wait_backup()
    prober = Prober(lab)
    prober.wait_ok(150)
    checks.equal("requests that failed", prober.stop().failures_text(), "none")
    checks.equal("states", (node.state(), peer.state()), ("active", "backup"))

    checks.section("yoke says goodbye: the peer takes over")
    checks.note("takeover, ms", 1000 * (-node.sigterm() + peer.wait_active()))
    node.wait_exit()
    answers_alone(checks, lab, peer.mac())

    checks.section("the peer dies: yoke takes over by its timer")
    node.start()
    node.wait_state("backup", 10)
    checks.note("takeover, ms", 1000 * (-peer.kill() + node.wait_state("active")))
    checks.true("it missed adverts", "no advert" in node.transitions()[-1]["reason"])

    checks.section("yoke dies: the peer takes over by its timer")
    peer.start()
    peer.wait_backup()
    checks.note("takeover, ms", 1000 * (-node.kill_all() + peer.wait_active()))
    answers_alone(checks, lab, peer.mac())
    peer.stop()


def peer_preempts(checks, lab, node, peer):
    checks.section("a better peer preempts: yoke yields, and is Active again when it goes")
    node.start()
    node.wait_state("active", 10)
    peer.start()
    peer.wait_active()
    node.wait_state("backup")
    checks.note("reason", node.transitions()[-1]["reason"])
    answers_alone(checks, lab, peer.mac())
    peer.stop()
    node.wait_state("active")
    answers_alone(checks, lab, lab.mac(node.name))


def check_packets(checks, capture, case):
    """Both sides said what the RFC wants: 1, 3, 6, 11."""
    checks.section("what Wireshark says of the packets")
    checks.equal("malformed", capture.fields("_ws.malformed", "frame.number"), [])
    rows = [dict(zip(FIELDS, row)) for row in capture.fields("vrrp.type == 1 && !icmp", *FIELDS)]
    for role in NODES:
        sent = [row for row in rows if row["ip.src"] == address(role)]
        receiver = address(other(role)) if case.router.unicast else "224.0.0.18"
        wanted = (receiver, "255", str(case.router.version), str(VRID), VIP, GOOD_CHECKSUM)
        checks.true(f"adverts of {role}: {len(sent)}", len(sent) >= 10)
        checks.equal(f"adverts of {role}", {tuple(row[f] for f in FIELDS[1:]) for row in sent},
                     {wanted})


def test_interop_keepalived(checks):
    """63: its checksum has the pseudo-header, and `auto` speaks it too."""
    meet(checks, Case(Keepalived))


def test_interop_keepalived_unicast(checks):
    """68: it takes nothing that another host passed on (TTL 255 to 255)."""
    meet(checks, Case(Keepalived, Router(unicast=True), {"mode": "unicast"}, role="node2"))


def test_interop_frr(checks):
    """64: it sends from the virtual MAC."""
    meet(checks, Case(Frr))


if __name__ == "__main__":
    testing.main(globals())
