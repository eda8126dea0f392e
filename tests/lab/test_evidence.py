"""The heartbeat is not the only evidence: adverts are lost, but the nodes know better by replication.
One holder and no move, an alarm; and what happens when that path is lost, too."""
import os
import signal
import subprocess
import time

import forge
import testing
from lab import NODES, SLACK, VIP, ArpWatch, Prober, address, pair_config, wait_until
from segment import die_with_parent
from testing import TestLab

VRRP = "ip protocol 112"
QUIET_S = 14.0
SPARE = "192.0.2.19"


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
    checks.none_failed("requests that failed", prober.stop(), lab)
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


class Burden:
    """Endless loops, more than there are processors."""

    def __enter__(self):
        self.loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"], preexec_fn=die_with_parent)
                      for _ in range(2 * os.cpu_count())]

    def __exit__(self, *_):
        for loop in self.loops:
            loop.kill()
            loop.wait()


def test_adverts_lost_10ms(checks):
    """As above where there are 32 ms for the first answer. Those that follow may take longer, on a
    machine that is busy: nothing moves."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            active, backup = lab.start_pair(primary, pair_config(primary, "10ms"))
            for name in NODES:
                lab.drop(name, VRRP)
            wait_until(lambda: alarm(backup) and holders(lab) == [active.name], 5 * SLACK,
                       "the alarm, and one holder")
            before = moves((active, backup))
            with Burden():
                watch, prober = ArpWatch(lab), Prober(lab)
                began = time.monotonic()
                wait_until(lambda: time.monotonic() > began + QUIET_S, 2 * QUIET_S, "time to pass",
                           pause=0.1)
                traffic, answers = prober.stop(), watch.stop()
            checks.equal("transitions", moves((active, backup)) - before, 0)
            checks.equal("ARP requests that two answered, until s", answers.last_double(0), 0.0)
            checks.none_failed("requests that failed", traffic, lab)
            lab.undrop()
            backup.wait(lambda: not alarm(backup), 5, "the alarm is over")


def announcers(capture, after):
    """Who says by gratuitous ARP that it has the VIP: [(seconds, MAC)]."""
    rows = capture.fields(f"arp.src.proto_ipv4 == {VIP} && arp.dst.proto_ipv4 == {VIP}",
                          "frame.time_epoch", "arp.src.hw_mac")
    offset = time.time() - time.monotonic()
    return [(float(when) - offset, mac) for when, mac in rows if float(when) - offset >= after]


def test_both_paths_lost(checks):
    """Replication is lost, too: by timer, as the RFC has it, so that both are Active. When they hear
    each other again the better one stays, the other one drops the VIP first, and the last word on
    the wire is the winner's (behaviour 71)."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            active, backup = lab.start_pair(primary)
            lab.drop(active.name, VRRP)
            lab.drop(backup.name, VRRP)
            backup.wait(lambda: alarm(backup), 5, "the alarm")
            checks.equal("still one holder", holders(lab), [active.name])
            cut = time.monotonic()
            for name in NODES:
                lab.drop(name, "tcp sport 5405")
            taken = backup.wait_state("active")
            checks.in_time("until the timer decides, ms", 1000 * (taken - cut), 400, cut)
            reason = backup.transitions()[-1]["reason"]
            checks.note("reason", reason)
            checks.true("it says that both are silent", "no advert" in reason
                        and "replication" in reason)
            checks.equal("the other one knows nothing of it", active.state(), "active")
            traffic = Prober(lab)
            traffic.wait_ok(10)
            traffic.stop()

            capture = lab.capture()
            healed = time.monotonic()
            lab.undrop()
            backup.wait_state("backup")
            checks.note("the loser", backup.transitions()[-1]["reason"])
            wait_until(lambda: holders(lab) == [active.name], 5 * SLACK, "one holder")
            checks.at_most("adverts until there is one", 1 + (time.monotonic() - healed) / 0.1, 2,
                           5 * SLACK)
            for node in (active, backup):
                node.wait_in_sync()
            checks.equal("where the client sends",
                         lab.run_in("client", "ip", "neigh", "show", VIP).split()[4],
                         lab.owner_mac(active))
            prober = Prober(lab)
            prober.wait_ok(100)
            checks.none_failed("requests that fail afterwards", prober.stop(), lab)
            answers = watch_answers(lab)
            checks.equal("who answers ARP", answers, {lab.owner_mac(active)})
            capture.stop()
            said = announcers(capture, healed)
            checks.true("the winner announces itself", said)
            checks.equal("who has the last word", said[-1][1] if said else None,
                         lab.mac(active.name))
            leaving = [when for when, mac in said if mac == lab.mac(backup.name)]
            winner = [when for when, mac in said if mac == lab.mac(active.name)]
            checks.true("and the loser had none after it",
                        not leaving or max(leaving) < min(winner))


def test_replication_returns(checks):
    """Two Actives that do not hear each other, and replication comes back before the adverts do: the
    worse one resigns, and the better one announces itself."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            active, backup = lab.start_pair(primary)
            for name in NODES:
                lab.drop(name, VRRP)
                lab.drop(name, "tcp sport 5405")
            backup.wait_state("active")
            capture = lab.capture()
            healed = time.monotonic()
            lab.redrop(VRRP)
            backup.wait_state("backup", 10)
            reason = backup.transitions()[-1]["reason"]
            checks.note("the loser", reason)
            checks.true("it says how it knows", "replication" in reason)
            wait_until(lambda: holders(lab) == [active.name], 5 * SLACK, "one holder")
            backup.wait(lambda: alarm(backup), 5, "the alarm")
            prober = Prober(lab)
            prober.wait_ok(100)
            checks.none_failed("requests that fail afterwards", prober.stop(), lab)
            checks.equal("who answers ARP", watch_answers(lab), {lab.owner_mac(active)})
            capture.stop()
            said = announcers(capture, healed)
            checks.equal("who has the last word", said[-1][1] if said else None,
                         lab.mac(active.name))
            checks.equal("states", (active.state(), backup.state()), ("active", "backup"))


def follow_stranger(lab, nodes):
    """A third router with the highest priority is Active, and falls silent: both nodes have heard its
    last advert, and lose their patience with it at the same moment."""
    def said():
        ready = all(node.state() == "backup" and
                    node.status()["virtual_routers"]["front"]["peer"] for node in nodes)
        forge.send(lab, "observer", "eth0", forge.advert("192.0.2.9", 254, [VIP], interval_cs=100))
        return ready
    wait_until(said, 20 * SLACK, "both are Backup and know each other", pause=0.05)


def test_claims_by_replication(checks):
    """No advert and no claim arrives, and both lose their patience at the same moment, or 4 ms one
    after the other: by replication they hear each other's claims, and the better one takes it."""
    for priorities, winner in (((200, 200), "node2"), ((200, 199), "node1"), ((199, 200), "node2")):
        config = pair_config()
        config["virtual_routers"]["front"]["authenticate"] = False
        for name, priority in zip(NODES, priorities):
            config["nodes"][name]["priority"] = priority
        with TestLab() as lab:
            lab.write_config(config)
            nodes = [lab.nodes[name] for name in NODES]
            for node in nodes:
                lab.drop(node.name, VRRP)
                node.start()
            watch = ArpWatch(lab)
            for turn in range(3):
                checks.section(f"priorities {priorities}, turn {turn}")
                follow_stranger(lab, nodes)
                before = moves(nodes)
                lab.nodes[winner].wait_state("active", 10)
                watch.wait_asked(100)
                checks.equal("who has the VIP", holders(lab), [winner])
                checks.equal("transitions", moves(nodes) - before, 1)
            checks.equal("ARP requests that two answered, until s", watch.stop().last_double(0), 0.0)


def test_adverts_lost_active_dies(checks):
    """Adverts are cut both ways, then the Active dies: the other one takes over by timer."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            active, backup = lab.start_pair(primary)
            for name in NODES:
                lab.drop(name, VRRP)
            backup.wait(lambda: alarm(backup), 5, "the alarm")
            watch = ArpWatch(lab)
            watch.wait_asked(20)
            struck = active.kill_all()
            taken = backup.wait_state("active")
            checks.in_time("takeover, ms", 1000 * (taken - struck), 400, struck)
            checks.note("reason", backup.transitions()[-1]["reason"])
            watch.wait_asked(20)
            checks.equal("ARP requests that two answered, until s",
                         watch.stop().last_double(0), 0.0)


def test_stopped_vrrp_is_no_evidence(checks):
    """The proxy of the Active lives and is connected, but its yoke-vrrp is stopped: nobody says that
    the lease is alive, and the peer takes over as soon as without replication."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            active, backup = lab.start_pair(primary)
            watch = ArpWatch(lab)
            struck = active.kill("yoke-vrrp", signal.SIGSTOP)
            taken = backup.wait_state("active")
            checks.in_time("takeover, ms", 1000 * (taken - struck), 400, struck)
            reason = backup.transitions()[-1]["reason"]
            checks.note("reason", reason)
            checks.true("by the timer alone", "no advert" in reason
                        and "replication" not in reason)
            checks.equal("an alarm", backup.events("adverts of front"), [])
            active.wait(lambda: active.state() == "backup", 10, "a new yoke-vrrp is Backup")
            checks.equal("ARP requests that two answered, until s",
                         watch.stop().last_double(struck), 0.0)


def test_removed_by_reload(checks):
    """A reload that takes the virtual router away hands it over, by replication as well."""
    config = pair_config("node1")
    config["virtual_routers"]["other"] = dict(
        config["virtual_routers"]["front"], vrid=52, addresses=[f"{SPARE}/24"])
    with TestLab() as lab:
        active, backup = lab.start_pair("node1", config)
        active.wait(lambda: active.state("other") == "active", 5, "the second router is Active")
        lab.drop(active.name, VRRP + " @th,8,8 52 @th,16,8 0")  # its priority 0 is lost
        del config["virtual_routers"]["other"]
        active.write_config(config)
        asked = time.monotonic()
        active.ctl("reload")
        backup.wait(lambda: backup.state("other") == "active", 5, "the peer has it")
        checks.note("until the peer has it, ms", 1000 * (time.monotonic() - asked))
        reason = [e["reason"] for e in backup.transitions()
                  if e["object"].endswith("other")][-1]
        checks.note("reason", reason)
        checks.true("it says who told it", "the peer resigned, by the replication channel" in reason)
        checks.equal("the other router stays", active.state(), "active")


def test_goodbye_alone(checks):
    """A priority 0 without replication: of two yokes nobody waits for the skew (41 ms here)."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            active, backup = lab.start_pair(primary)
            for name in NODES:
                lab.drop(name, "tcp sport 5405")
            capture = lab.capture()
            active.ctl("failover")
            backup.wait_state("active")
            prober = Prober(lab)
            prober.wait_ok(100)
            prober.stop()
            capture.stop()
            left, taken = (float(capture.fields(
                f"vrrp.prio {compare} 0 && vrrp.type == 1 && ip.src == {address(node.name)} && !icmp",
                "frame.time_epoch")[0][0]) for node, compare in ((active, "=="), (backup, "!=")))
            checks.in_time("from the goodbye to the first advert, ms", 1000 * (taken - left), 12)
            checks.true("the reason", "resigned" in backup.transitions()[-1]["reason"])


def watch_answers(lab):
    watch = ArpWatch(lab)
    end = time.monotonic() + 0.3
    wait_until(lambda: time.monotonic() > end, 5, "some questions")
    return {mac for _, macs in watch.stop().asked for mac in macs}


def test_events_of_both(checks):
    """Each node tells what happened on both, in one order; also what happened on one that is dead,
    or that was not connected then."""
    with TestLab() as lab:
        first, second = lab.start_pair("node1")
        checks.note("yokectl status", first.ctl("status"))
        checks.true("status shows the peer", "node2: backup (priority 150)" in first.ctl("status"))
        checks.true("and the other way round",
                    "node1: active (priority 200)" in second.ctl("status"))
        first.ctl("failover")
        second.wait_state("active")
        first.wait_state("backup")

        def moved(node, words=""):
            found = node.api.get("/v1/events" + words) or []
            return [(e["node"], e["to"]) for e in found if e["object"] == "virtual_router front"]

        wanted = [("node1", "backup"), ("node2", "active")]
        for node in (first, second):
            wait_until(lambda node=node: moved(node)[-2:] == wanted, 5 * SLACK,
                       f"both transitions on {node.name}")
        times = [e["time_ms"] for e in first.api.get("/v1/events")]
        checks.equal("in the order of time", times, sorted(times))
        checks.equal("one's own", {node for node, _ in moved(second, "?local=1")}, {"node2"})
        checks.true("yokectl events", " node2 virtual_router front: backup -> active: "
                    in first.ctl("events"))
        checks.equal("yokectl events --local", {line.split()[1] for line in
                                                first.ctl("events", "--local").splitlines()},
                     {"node1"})

        first.kill_all()
        second.wait(lambda: (second.status()["sync"])["state"] == "disconnected", 5, "a cut")
        checks.equal("status shows no peer", second.status()["virtual_routers"]["front"]["peer"],
                     None)
        checks.true("the dead one's events are known", ("node1", "backup") in moved(second))
        first.start()
        first.wait_in_sync()
        wait_until(lambda: ("node2", "active") in moved(first), 5 * SLACK,
                   "what happened before it started")
        checks.equal("each once", len(moved(first)), len(set(moved(first))))


if __name__ == "__main__":
    testing.main(globals())
