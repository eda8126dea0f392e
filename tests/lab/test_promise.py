"""What "acked" and "async" promise, and how it is shown when the promise cannot be kept: with a Backup
that stands still, and without one. Traffic goes on at full speed in any case."""
import signal
import time

import testing
from freeze import Frozen, threads
from kills import Clients, protection
from lab import SLACK, pair_config, wait_until
from test_explain import metrics
from testing import TestLab

RATE = 100            # new clients a second
LATE_MS = 400         # what a response waits at most, or how old a record may be


def config(mode):
    out = pair_config()
    out["sync"] |= {"sessions": mode, "ack_timeout": f"{LATE_MS}ms", "max_lag": f"{LATE_MS}ms"}
    return out


def said(node):
    """What the node's events say of its protection, oldest first."""
    return [event["to"] for event in node.events("protection")]


def count(node, name):
    return metrics(node)[f"yoke_{name}"]


def wait_protection(node, wanted, reason):
    """Until the status says so, and why."""
    def right():
        now = protection(node)
        return now and now["protected"] == wanted and reason in now["reason"] and now
    return node.wait(right, 15, f"protected: {wanted}, because {reason}")


def check_full_speed(checks, node, clients):
    """Of the next 50 clients none waits for the peer, and each is counted."""
    clients.wait(time.monotonic())
    vain, bare = count(node, "ack_timeouts_total"), count(node, "unprotected_sessions_total")
    answered = clients.answered

    def more():
        clients.read()
        return clients.answered >= answered + 50
    wait_until(more, 20 * SLACK, "50 more clients are answered")
    checks.equal("responses that waited in vain meanwhile",
                 count(node, "ack_timeouts_total") - vain, 0)
    checks.true("sessions are counted as unprotected",  # some were counted before they were answered
                count(node, "unprotected_sessions_total") - bare >= 25)


def peer_stops(checks, mode):
    with TestLab() as lab:
        active, backup = lab.start_pair(config=config(mode))
        clients = Clients(lab, RATE)
        wait_protection(active, True, "node2")
        checks.equal("metric: protected", count(active, "sync_protected"), 1)
        checks.equal("metric: the window, us", count(active, "sync_max_lag_microseconds"),
                     LATE_MS * 1000)
        clients.wait(time.monotonic())

        checks.section("the Backup stands still")
        vain, lost = count(active, "ack_timeouts_total"), count(active, "sync_unprotected_total")
        stopped = backup.signal_all(signal.SIGSTOP)
        now = wait_protection(active, False, "late")
        checks.note("unprotected after, ms", 1000 * (time.monotonic() - stopped))
        checks.note("it says", now["reason"])
        checks.true("yokectl says UNPROTECTED", "UNPROTECTED" in active.ctl("status"))
        checks.equal("metric: protected", count(active, "sync_protected"), 0)
        checks.equal("it became unprotected", count(active, "sync_unprotected_total") - lost, 1)
        checks.true("the log says so", "sync: unprotected: node2 has been late" in active.log())
        active.wait(lambda: said(active)[-1] == "unprotected", 10, "an event")
        waited = count(active, "ack_timeouts_total") - vain
        checks.note("responses that waited in vain", waited)
        # The first one frees all others, but for those that are due in the same turn of a worker;
        # the sync thread may even notice before it.
        checks.true("few waited to the end", waited <= (20 * SLACK if mode == "acked" else 0))
        check_full_speed(checks, active, clients)
        wait_protection(active, False, "not connected")
        check_full_speed(checks, active, clients)

        checks.section("it goes on")
        backup.signal_all(signal.SIGCONT)
        wait_protection(active, True, "node2")
        active.wait(lambda: said(active)[-1] == "protected", 10, "an event")
        checks.equal("metric: protected", count(active, "sync_protected"), 1)
        checks.equal("states", (active.state(), backup.state()), ("active", "backup"))
        clients.wait(time.monotonic())
        checks.in_time("slowest answer of all, ms", clients.slowest * 1000,
                       LATE_MS + 500 if mode == "acked" else 500, factor=1)
        clients.stop()


def test_peer_stops_acked(checks):
    peer_stops(checks, "acked")


def test_peer_stops_async(checks):
    peer_stops(checks, "async")


def test_sync_hangs(checks):
    """The thread that would say so stands still itself."""
    with TestLab() as lab:
        active, backup = lab.start_pair(config=config("async"))
        wait_protection(active, True, "node2")
        [thread] = threads(active.pid_of("yoke-proxy"), "sync")
        with Frozen(thread):
            now = wait_protection(active, False, "has not turned")
            checks.note("it says", now["reason"])
            checks.equal("metric: protected", count(active, "sync_protected"), 0)
            active.wait(lambda: said(active)[-1] == "unprotected", 10, "an event")
        wait_protection(active, True, "node2")
        active.wait(lambda: said(active)[-1] == "protected", 10, "an event")

        checks.section("the Backup's")
        [thread] = threads(backup.pid_of("yoke-proxy"), "sync")
        with Frozen(thread):
            backup.wait(lambda: backup.status()["sync"]["state"] == "disconnected", 10, "not in sync")
            checks.true(backup.status()["sync"]["reason"],
                        "has not turned" in backup.status()["sync"]["reason"])
            backup.wait(lambda: backup.api.get("/v1/pools/web")["checked_by"] == "this node", 10,
                        "it checks the targets itself")
        backup.wait_in_sync()
        backup.wait(lambda: backup.api.get("/v1/pools/web")["checked_by"] == "peer", 10, "it is told")


def test_lower_limits(checks):
    """The Backup's file allows fewer sessions than the Active has: they would not outlive the Active, and
    both nodes say so."""
    with TestLab() as lab:
        wanted = config("acked")
        active, backup = lab.start_pair(config=wanted)
        wanted["sync"]["max_sessions"] = 150
        backup.write_config(wanted)
        backup.ctl("reload")
        wait_protection(active, True, "node2")
        clients = Clients(lab, RATE)
        now = wait_protection(active, False, "other sessions")
        checks.note("it says", now["reason"])
        for node in (active, backup):
            node.wait(lambda node=node: node.status()["sync"]["digest_equal"] is False, 10, "they differ")
            checks.true(f"{node.name} says so", "DIFFERENT" in node.ctl("status"))
        checks.true("yokectl says UNPROTECTED", "UNPROTECTED" in active.ctl("status"))
        clients.stop()


def test_no_peer(checks):
    """Nobody waits for who is not there, and it is shown at once."""
    with TestLab() as lab:
        lab.write_config(config("acked"))
        node = lab.nodes["node1"]
        node.start()
        node.wait_state("active", 10)
        node.wait_pools("up", 10)
        clients = Clients(lab, RATE)
        now = wait_protection(node, False, "node2 is not connected")
        checks.note("it says", now["reason"])
        checks.equal("metric: protected", count(node, "sync_protected"), 0)
        checks.true("yokectl says UNPROTECTED", "UNPROTECTED" in node.ctl("status"))
        check_full_speed(checks, node, clients)
        checks.equal("responses that waited in vain", count(node, "ack_timeouts_total"), 0)
        clients.stop()


if __name__ == "__main__":
    testing.main(globals())
