"""Who holds the VIP when both could: failback, and a node whose heart beats but that cannot serve."""
import os
import time

import testing
from failover import check_story, failover
from freeze import Frozen, threads
from lab import COOKIE_PORT, HERE, NODES, PYTHON, VIP, Prober, address, pair_config, run
from testing import TestLab

HANG_MS = 1000  # 0.8 s until it is judged, a tick, the goodbye


def wait_advert(node, since):
    """One that came after that moment; at once, if there was one."""
    def came():
        heard = node.status()["virtual_routers"]["front"]["heard"]
        return heard and time.monotonic() - heard["age_ms"] / 1000 > since
    node.wait(came, 10, "an advert")


def test_dies_while_ignored(checks):
    """A better node waits for its turn, and the other one dies meanwhile: that was no preemption."""
    with TestLab() as lab:
        config = pair_config("node1", "2s")
        first, second = lab.start_pair("node1", config)
        first.kill_all()
        second.wait_state("active", 20)
        first.start()
        first.wait_in_sync(15)
        wait_advert(first, time.monotonic())
        config["virtual_routers"]["front"]["failback"] = "when_warm"
        lab.write_config(config)
        first.ctl("reload")
        wait_advert(first, time.monotonic())
        second.kill_all()
        first.wait_state("active", 15)
        reason = first.transitions()[-1]["reason"]
        checks.true(f"it says so: {reason}", reason.startswith("no advert for "))
        checks.true("and counts it so", 'promotions_total{virtual_router="front",cause="silence"} 1'
                    in first.api.request("GET", "/metrics")[1])


def test_when_warm(checks):
    """failback when_warm: the better node takes the VIP back, but only when it is in sync. What the
    operator moves stays where it is."""
    with TestLab() as lab:
        config = pair_config("node1")
        config["virtual_routers"]["front"]["failback"] = "when_warm"
        first, second = lab.start_pair("node1", config)
        prober = Prober(lab, deadline_ms=3000)
        prober.wait_ok()

        checks.section("the better node dies and comes back")
        first.kill_all()
        second.wait_state("active")
        first.start()
        first.wait_state("active", 15)
        second.wait_state("backup")
        warm = [e["id"] for e in first.events("sync") if e["to"] == "in_sync"]
        back = [e["id"] for e in first.transitions() if e["to"] == "active"]
        checks.true(f"in sync (event {warm}) before Active (event {back})",
                    warm and back and warm[0] < back[0])
        reason = first.transitions()[-1]["reason"]
        checks.true(f"it says that it preempted: {reason}",
                    f"preempts {address('node2')} with priority 150" in reason)
        checks.true("and counts it so", 'promotions_total{virtual_router="front",cause="preemption"} 1'
                    in first.api.request("GET", "/metrics")[1])
        prober.wait_ok(50)

        checks.section("the operator moves it")
        second.wait_in_sync()
        before = len(first.transitions())
        first.ctl("failover")
        second.wait_state("active")
        first.wait_state("backup")
        first.wait_in_sync()
        # Many times the half second after which it would take the VIP back on its own.
        prober.wait_ok(1000)
        checks.equal("transitions of the node that gave it away", len(first.transitions()) - before, 1)
        checks.equal("state of the other", second.state(), "active")

        checks.section("until the other gives it back")
        second.ctl("failover")
        first.wait_state("active")
        prober.wait_ok(50)
        prober.stop()


def test_hang_worker(checks):
    """One worker's loop stands still, everything else goes on: the node must not keep the VIP. It is
    restarted and comes back as Backup."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            dying, survivor = lab.start_pair(primary)
            pid = dying.pid_of("yoke-proxy")
            frozen = Frozen(threads(pid, "worker/")[0])

            def strike():
                moment = time.monotonic()
                frozen.__enter__()
                return moment
            try:
                story = failover(lab, dying, survivor, strike, takeover_timeout=10)
            finally:
                frozen.__exit__()
            check_story(checks, story, HANG_MS, reason="resigned", partial=True)
            checks.in_time("takeover, ms", story.takeover_ms, HANG_MS, factor=2)
            checks.true("it says why", "worker" in dying.log().split("Active -> Fault")[-1])
            dying.wait_state("backup", 15)
            dying.wait_in_sync()
            checks.true("another yoke-proxy", dying.pid_of("yoke-proxy") != pid)
            checks.equal("the survivor stays", survivor.state(), "active")


def check_taken_over(checks, first, second, prober, strike, reason):
    """`first` cannot serve any more, though its loops turn: the peer takes over, `first` says why and
    comes back as Backup with another process."""
    pid = first.pid_of("yoke-proxy")
    prober.wait_ok()
    strike(pid)
    moment = time.monotonic()
    checks.in_time("takeover, ms",
                   (second.wait_state("active") - moment) * 1000, 2 * HANG_MS, moment, factor=2)
    said = first.log().split("Active -> Fault")[-1].splitlines()[0]
    checks.note("reason", said)
    checks.true(f"it says why, wanted {reason}", reason in said)
    prober.wait_ok()
    prober.stop()
    first.wait_state("backup", 15)
    checks.true("another yoke-proxy", first.pid_of("yoke-proxy") != pid)
    checks.equal("the survivor stays", second.state(), "active")


def test_hang_accept(checks):
    """Nobody is served any more, because no descriptor is left."""
    def strike(pid):
        """Limits are another user's to set, unless one has a capability that not every host gives."""
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            ids = dict(line.split(":", 1) for line in file)
        uid, gid = ids["Uid"].split()[0], ids["Gid"].split()[0]
        run("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups",
            "prlimit", f"--pid={pid}", "--nofile=3:")
    with TestLab() as lab:
        first, second = lab.start_pair("node1")
        check_taken_over(checks, first, second, Prober(lab), strike, "out of file descriptors")


def test_hang_listener(checks):
    """One listener is not heard any more, the others serve."""
    def strike(pid):
        taken = run(PYTHON, os.path.join(HERE, "tools", "deafen.py"), str(pid), str(COOKIE_PORT))
        checks.true(f"watches taken away: {taken.strip()}", int(taken) > 0)
    with TestLab() as lab:
        first, second = lab.start_pair("node1")
        check_taken_over(checks, first, second, Prober(lab), strike,
                         f"listener web at {VIP}:{COOKIE_PORT}: no answer to our own request for ")


if __name__ == "__main__":
    testing.main(globals())
