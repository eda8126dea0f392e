"""The heartbeat is not the only evidence: adverts are lost, but the nodes know better by replication.
One holder and no move, an alarm; and what happens when that path is lost, too."""
import time

import testing
from lab import NODES, SLACK, VIP, ArpWatch, Prober, wait_until
from testing import TestLab

VRRP = "ip protocol 112"
SYNC = "tcp port 5405"
QUIET_S = 14.0


def holders(lab):
    return [name for name in NODES if VIP in lab.addresses(name)]


def moves(nodes):
    return sum(len(node.transitions()) for node in nodes)


def alarm(node):
    return node.status()["virtual_routers"]["front"]["alarm"]


def lose_adverts(checks, lab, active, backup, muted):
    """For QUIET_S nothing happens, but an alarm, if it is the Active that is not heard."""
    before = moves((active, backup))
    watch, prober = ArpWatch(lab), Prober(lab)
    prober.wait_ok()
    for name in muted:
        lab.drop(name, VRRP)
    began = time.monotonic()
    if active.name in muted:
        text = backup.wait(lambda: alarm(backup), 5, "the alarm")
        checks.note("alarm", text)
        checks.true("it says who is Active", "replication" in text and "lost" in text)
        wait_until(lambda: backup.events("adverts of front"), 5 * SLACK, "an event")
    wait_until(lambda: time.monotonic() > began + QUIET_S, 2 * QUIET_S, "time to pass", pause=0.1)
    checks.equal("transitions", moves((active, backup)) - before, 0)
    checks.equal("who has the VIP", holders(lab), [active.name])
    checks.equal("requests that failed", prober.stop().failures_text(), "none")
    answers = {mac for _, macs in watch.stop().asked for mac in macs}
    checks.equal("who answers ARP", answers, {lab.owner_mac(active)})
    checks.equal("the Active sees no alarm", alarm(active), None)


def hear_again(checks, lab, active, backup, muted):
    lab.undrop()
    backup.wait(lambda: not alarm(backup), 5, "the alarm is over")
    if active.name in muted:
        last = backup.events("adverts of front")[-1]
        checks.equal("the end of it", (last["from"], last["to"]), ("lost", "heard"))
        checks.true("it says for how long", "after" in last["reason"] and "ms" in last["reason"])
    checks.equal("states", (active.state(), backup.state()), ("active", "backup"))


def each_way(checks, choose):
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            active, backup = lab.start_pair(primary)
            muted = choose(active.name, backup.name)
            lose_adverts(checks, lab, active, backup, muted)
            hear_again(checks, lab, active, backup, muted)


def test_adverts_lost(checks):
    """The Backup does not hear the Active."""
    each_way(checks, lambda active, _backup: [active])


def test_adverts_lost_both_ways(checks):
    each_way(checks, lambda active, backup: [active, backup])


def test_adverts_lost_towards_active(checks):
    """An Active hears nothing anyhow."""
    each_way(checks, lambda _active, backup: [backup])


if __name__ == "__main__":
    testing.main(globals())
