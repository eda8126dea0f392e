#!/usr/bin/env python3
"""Others meddle with the VIP: administrators, stray hosts."""
import testing
from lab import SLACK, VIP, Prober, wait_until
from testing import TestLab


def has_vip(lab, node):
    return f"inet {VIP}/32" in lab.run_in(node.name, "ip", "addr", "show", "dev", "eth0")


def remove_vip(lab, node):
    lab.run_in(node.name, "ip", "addr", "del", f"{VIP}/32", "dev", "eth0")


def test_vip_removed(checks):
    """Put back at once; who removes it again and again makes the node resign."""
    with TestLab() as lab:
        first, second = lab.start_pair("node1")
        prober = Prober(lab)
        prober.wait_ok(50)
        before = len(first.transitions())
        # Nothing but the event of the removal can be so quick: the refresh comes every 250 ms.
        for count in range(1, 6):
            remove_vip(lab, first)
            wait_until(lambda: has_vip(lab, first), 0.15 * SLACK, "the VIP is back")
            checks.true(f"logged, with the count {count}", f"put back ({count} of" in first.log())
        prober.wait_ok(100)
        traffic = prober.stop()
        checks.equal("transitions", len(first.transitions()), before)
        checks.equal("failed requests", traffic.failures_text(), "none")

        checks.section("once more")
        remove_vip(lab, first)
        second.wait_state("active", 5)
        checks.equal("the other one's state", first.transitions()[before]["to"], "fault")
        reason = first.transitions()[before]["reason"]
        checks.note("why", reason)
        checks.true("the reason names the deed", f"somebody removed {VIP} 6 times" in reason)
        first.wait_state("backup", 10)
        checks.true("it has no VIP", not has_vip(lab, first))

        checks.section("somebody gives the VIP to the Backup")
        lab.run_in(first.name, "ip", "addr", "add", f"{VIP}/32", "dev", "eth0")
        wait_until(lambda: not has_vip(lab, first), 2 * SLACK, "it is removed")
        checks.true("logged", f"somebody added {VIP}: removed" in first.log())
        checks.equal("states", [node.state() for node in (first, second)], ["backup", "active"])


if __name__ == "__main__":
    testing.main(globals())
