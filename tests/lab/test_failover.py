"""The Active dies in all the ways it can; either node is the Active once, and the client has just
forgotten where the VIP is. Limits: the promise at 100 ms adverts."""
import functools
import signal
import time

import testing
from failover import check_story, cut_limit, failover
from lab import NODES, SLACK, VIP, ArpWatch, Prober, alive, kill_quietly, wait_until
from testing import TestLab

SILENCE_MS = 400   # nobody could say goodbye: the peer's timer
GOODBYE_MS = 100   # priority 0
HANG_MS = 2000     # first the heartbeat must be missed, for a second; then priority 0
REASONS = {SILENCE_MS: "no advert for", GOODBYE_MS: "resigned", HANG_MS: "resigned"}


def each_order(checks, strike, limit_ms, then=lambda *_: None, unflushed=False, **options):
    """strike(node) is what happens to the Active, then(lab, dying, survivor, story) comes after."""
    variants = [(primary, True) for primary in NODES]
    if unflushed:
        variants.append((NODES[0], False))
    for primary, flush in variants:
        checks.section(f"primary {primary}" + ("" if flush else ", the client remembers"))
        with TestLab() as lab:
            dying, survivor = lab.start_pair(primary)
            story = failover(lab, dying, survivor, functools.partial(strike, dying), flush=flush,
                             **options)
            check_story(checks, story, limit_ms, reason=REASONS[limit_ms])
            then(lab, dying, survivor, story)


def holders(lab):
    return [name for name in NODES if VIP in lab.addresses(name)]


def test_power_off(checks):
    each_order(checks, lambda node: node.power_off(), SILENCE_MS, unflushed=True)


def test_sigkill_all(checks):
    def then(lab, _dying, survivor, _story):
        checks.equal("who has the VIP", holders(lab), [survivor.name])
    each_order(checks, lambda node: node.kill_all(), SILENCE_MS, then, unflushed=True)


def test_sigkill_proxy(checks):
    def then(_lab, dying, survivor, _story):
        comes_back_as_backup(checks, dying, survivor)
    each_order(checks, lambda node: node.kill("yoke-proxy"), GOODBYE_MS, then)


def test_sigkill_vrrp(checks):
    def then(_lab, dying, survivor, _story):
        comes_back_as_backup(checks, dying, survivor)
    each_order(checks, lambda node: node.kill("yoke-vrrp"), GOODBYE_MS, then)


def comes_back_as_backup(checks, node, survivor):
    """The supervisor starts what died; the VIP stays where it is."""
    node.wait_state("backup", 10)
    node.wait_in_sync()
    checks.equal("programs of the node", sorted(node.processes().values()),
                 ["yoke-proxy", "yoke-vrrp", "yoked"])
    checks.equal("the survivor stays", survivor.state(), "active")


def test_sigkill_supervisor(checks):
    def strike(node):
        pids = list(node.processes())
        moment = node.kill("yoked")
        orphans.extend(pid for pid in pids if pid != node.process.pid)
        return moment

    def then(lab, dying, survivor, _story):
        dying.process.wait()
        checks.equal("who has the VIP", holders(lab), [survivor.name])
        wait_until(lambda: not any(map(alive, orphans)), 15 * SLACK, "the children end, too")
        orphans.clear()

    orphans = []
    each_order(checks, strike, GOODBYE_MS, then)


def test_sigterm(checks):
    """No request fails: those in flight end before the VIP moves, new connections find the peer."""
    def strike(node):
        captures.append(node.lab.capture())
        return node.sigterm()

    def then(lab, dying, survivor, story):
        checks.equal("exit status of yoked", dying.wait_exit(), 0)
        checks.equal("who has the VIP", holders(lab), [survivor.name])
        capture = captures.pop()
        capture.stop()
        goodbyes = capture.fields("vrrp.prio == 0 && !icmp", "frame.time_epoch")
        checks.true("there was a goodbye", goodbyes)
        goodbye = float(goodbyes[0][0]) - (time.time() - time.monotonic())
        checks.note("from SIGTERM to the goodbye, ms", 1000 * (goodbye - story.struck))
        checks.equal("failed connections begun after it",
                     [row[4] for row in story.traffic.failed(after=goodbye)], [])
        cut = [row for row in story.traffic.failed() if row[0] < goodbye]
        checks.at_most("open connections that were cut", len(cut), cut_limit(checks, story.struck))

    captures = []
    # A SYN that meets nobody is sent again by TCP after a second: slow, but not failed.
    each_order(checks, strike, GOODBYE_MS, then, deadline_ms=8000)


def test_hang_proxy(checks):
    """The workers' loops stop turning: missed heartbeats are as good as death."""
    def then(_lab, dying, _survivor, _story):
        for pid, exe in dying.processes().items():
            if exe == "yoke-proxy":
                kill_quietly(pid, signal.SIGCONT)
    each_order(checks, lambda node: node.kill("yoke-proxy", signal.SIGSTOP), HANG_MS, then,
               takeover_timeout=10)


def test_sigstop_all(checks):
    """Frozen, and thawed after the peer took over: the kernel took the VIP away in the meantime,
    and who wakes up must not believe that it is still Active."""
    def then(lab, dying, survivor, _story):
        checks.equal("who has the VIP", holders(lab), [survivor.name])
        prober = Prober(lab)
        prober.wait_ok()
        dying.signal_all(signal.SIGCONT)
        dying.wait(lambda: dying.state() == "backup", 15, "Backup after the thaw")
        dying.wait_in_sync()
        prober.wait_ok()
        checks.equal("requests that failed at the thaw", prober.stop().failures_text(), "none")
        checks.equal("the survivor stays", survivor.state(), "active")
        checks.equal("who has the VIP", holders(lab), [survivor.name])
    each_order(checks, lambda node: node.signal_all(signal.SIGSTOP), SILENCE_MS, then)


def heal(checks, lab, nodes, join):
    """What was apart is joined: one Active, which alone holds the VIP and answers; sessions stay."""
    prober = Prober(lab)
    join()
    wait_until(lambda: sorted(str(n.state()) for n in nodes) == ["active", "backup"],
               10 * SLACK, "one Active and one Backup after they see each other again")
    active = next(n for n in nodes if n.state() == "active")
    wait_until(lambda: holders(lab) == [active.name], 5 * SLACK, "only the Active holds the VIP")
    for node in nodes:
        node.wait_in_sync()
    prober.wait_ok()
    traffic = prober.stop()
    checks.note("Active in the end", active.name)
    checks.note("outage while it heals, ms", 1000 * traffic.outage()[0])
    checks.note("failed requests", traffic.failures_text())
    watch = ArpWatch(lab)
    prober = Prober(lab)
    prober.wait_ok(100)
    checks.none_failed("requests that fail afterwards", prober.stop(), lab)
    answers = {mac for _, macs in watch.stop().asked for mac in macs}
    checks.equal("who answers ARP", answers, {lab.owner_mac(active)})
    for kind, row in lab.sticky("check").items():
        checks.equal(f"{kind}: kept their backend again", row["kept"], row["clients"])


def test_link_cut(checks):
    """The cable only. When it is back there may be two Actives for a moment; one must yield."""
    def cut(node):
        moment = time.monotonic()
        node.lab.link(node.name, up=False)
        return moment

    def then(lab, dying, survivor, _story):
        heal(checks, lab, (dying, survivor), lambda: lab.link(dying.name, up=True))
    each_order(checks, cut, SILENCE_MS, then)


def test_isolated(checks):
    """71: the switch forgets the Active, which sees its carrier and goes on: two Actives apart, until
    they see each other again."""
    def cut(node):
        moment = time.monotonic()
        node.lab.isolate(node.name, True)
        return moment

    def then(lab, dying, survivor, _story):
        heal(checks, lab, (dying, survivor), lambda: lab.isolate(dying.name, False))
    each_order(checks, cut, SILENCE_MS, then)


def test_return(checks):
    """The failed node comes back: it stays Backup (failback is manual), gets in sync, and takes the
    VIP when the operator says so. Nobody notices."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            first, second = lab.start_pair(primary)
            learned = lab.sticky("learn")
            checks.true("cookie clients", learned["cookie"]["clients"] >= 100)
            first.power_off()
            second.wait_state("active")
            prober = Prober(lab, deadline_ms=3000)
            prober.wait_ok()

            first.power_on()
            first.wait_state("backup", 10)
            first.wait_in_sync()
            prober.wait_ok(250)
            checks.equal("state of the survivor", second.state(), "active")
            checks.equal("state of the returned node", first.state(), "backup")
            checks.equal("health on the returned node", first.pools(), second.pools())

            checks.section("operator: failover")
            asked = time.monotonic()
            checks.note("yokectl", second.ctl("failover").strip())
            lab.flush_arp()
            first.wait_state("active")
            second.wait_state("backup")
            prober.wait_ok(100)
            traffic = prober.stop()
            checks.in_time("outage when the node returned, ms",
                           1000 * traffic.until(asked).outage()[0], GOODBYE_MS)
            checks.in_time("outage, ms", 1000 * traffic.outage(asked)[0], GOODBYE_MS, asked)
            checks.equal("failed before it", traffic.until(asked).failures_text(), "none")
            checks.note("failed requests", [f"{row[4]}: {1000 * (row[0] - asked):.1f} to "
                                            f"{1000 * (row[1] - asked):.1f} ms"
                                            for row in traffic.failed()])
            checks.at_most("failed requests", len(traffic.failed()), cut_limit(checks, asked))
            for kind, row in lab.sticky("check").items():
                checks.equal(f"{kind}: kept their backend", row["kept"], row["clients"])
            checks.equal("the returned node's transitions",
                         [t["to"] for t in first.transitions()][-1], "active")
            checks.true("it says who asked",
                        "operator" in second.transitions()[-1]["reason"])


def test_failover_refused(checks):
    """A Backup has nothing to hand over, and a node whose peer is gone would leave nobody."""
    with TestLab() as lab:
        first, second = lab.start_pair("node1")
        out = second.ctl("failover", check=False)
        checks.note("yokectl failover on the Backup", out.strip())
        checks.true("it says why", "active" in out.lower())
        checks.equal("state of the Active", first.state(), "active")
        checks.equal("state of the Backup", second.state(), "backup")


if __name__ == "__main__":
    testing.main(globals())
