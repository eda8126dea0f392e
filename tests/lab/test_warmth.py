"""A proxy that starts gets back what the pair knows before its node may take the VIP, unless there is
nothing to be had."""
import os
import re
import signal
import time

import testing
from lab import NODES, SLACK, LabError, pair_config, wait_until
from sync_node import SyncNode
from testing import TestLab

CROWD = int(200_000 / SLACK)
WAITING = re.compile(r"waiting for the sessions of (\w+): (\d+) ms of \d+ s")


def table(node):
    """What tells apart tables that differ in a single key or target; None: no answer."""
    found = node.api.get("/v1/sessions?limit=1")
    return found and (found["count"], found["digest"])


def start_feeder(lab):
    """node2 is Active, as it says by replication, and has a crowd of sessions; then it stands still."""
    feeder = SyncNode(lab, "node2", "node1")
    feeder.ask("fill", CROWD, 0)
    feeder.ask("active")
    feeder.signal(signal.SIGSTOP)
    return feeder


def held(node):
    status = node.status()
    return status and status["virtual_routers"].get("front", {}).get("held")


def crowded_config():
    """A crowd comes in its own time, on a machine that is busy, too."""
    config = pair_config()
    config["sync"]["start_timeout"] = "60s"
    return config


def start_crowded(checks, lab):
    """A pair whose Active, node1, has a crowd of sessions: (node1, node2)."""
    lab.write_config(crowded_config())
    first, second = lab.nodes["node1"], lab.nodes["node2"]
    feeder = start_feeder(lab)
    first.start()
    why = first.wait(lambda: held(first), 4, "held back, since the peer is silent")
    checks.equal("node1 alone, but without its sessions, is", first.state(), "backup")
    checks.true(f"why it is held: {why}", "waits for the sessions" in why)
    feeder.signal(signal.SIGCONT)
    first.wait_state("active", 20)
    checks.equal("node1 became Active with every session", table(first),
                 (CROWD, f"{feeder.ask('digest')['digest']:016x}"))
    feeder.stop()
    second.start()
    for node in (first, second):
        node.wait_pools("up", 10)
        node.wait_in_sync()
    return first, second


def ready(node):
    """(True or False or None, why): GET /healthz; None: no answer."""
    try:
        status, body = node.api.request("GET", "/healthz", timeout=2)
    except OSError:
        return None, "no answer"
    return status == 200, body["reason"] if isinstance(body, dict) else body


def starts(node):
    """What ended the waiting of each start of the proxy, as far as the present one knows."""
    return [event["reason"] for event in node.events("start")]


def watch_start(node, pid):
    """From the death of the proxy `pid` on until its successor says that it is ready; what it said
    until then, and its table at that moment."""
    said = []

    def is_ready():
        answer, why = ready(node)
        if answer is False:
            said.append(why)
        return answer and node.pid_of("yoke-proxy") != pid
    wait_until(is_ready, 20 * SLACK, f"{node.name}: the new proxy is ready", pause=0.001)
    return said, table(node)


def check_refill(checks, node, pid, wanted):
    said, got = watch_start(node, pid)
    peer = NODES[1 - NODES.index(node.name)]
    waits = [WAITING.fullmatch(why) for why in said]
    waits = [match for match in waits if match]
    checks.true("it says that it waits", waits and all(m[1] == peer for m in waits))
    checks.note("said so at last", waits[-1][0] if waits else said)
    checks.equal("sessions when it is ready", got, wanted)
    checks.equal("why it is", starts(node), [f"it has the sessions of {peer}"])


def test_warm_backup(checks):
    """The proxy of the Backup dies, and as soon as its successor says that it is ready, the Active."""
    with TestLab() as lab:
        first, second = start_crowded(checks, lab)
        learned = lab.sticky("learn")
        checks.equal("clients known by address", learned["source"]["clients"], 120)
        first.wait(lambda: table(second) == table(first), 5, "both have the new clients")
        wanted = table(first)

        checks.section("SIGKILL of the Backup's proxy")
        pid = second.pid_of("yoke-proxy")
        second.kill("yoke-proxy")
        check_refill(checks, second, pid, wanted)
        checks.section("SIGKILL of the Active")
        first.kill_all()
        second.wait_state("active")
        checks.equal("sessions of the new Active", table(second), wanted)
        for kind, row in lab.sticky("check").items():
            checks.equal(f"{kind}: kept their backend", row["kept"], row["clients"])


def test_warm_active(checks):
    """The proxy of the Active dies: the peer takes over at once, the successor is warm, and when the
    peer dies, too, everything is there."""
    with TestLab() as lab:
        first, second = start_crowded(checks, lab)
        wanted = table(first)
        checks.section("SIGKILL of the Active's proxy")
        pid = first.pid_of("yoke-proxy")
        struck = first.kill("yoke-proxy")
        taken = second.wait_state("active")
        checks.in_time("takeover, ms", 1000 * (taken - struck), 50, struck)
        check_refill(checks, first, pid, wanted)
        first.wait_state("backup")
        checks.section("SIGKILL of the Active")
        second.kill_all()
        first.wait_state("active")
        checks.equal("sessions of the new Active", table(first), wanted)


def test_warm_given(checks):
    """The proxy of the Active dies while the other node cannot take over: that one's proxy gives back
    what it has kept, though it is not Active."""
    with TestLab() as lab:
        first, second = start_crowded(checks, lab)
        wanted = table(first)
        stopped = ("yoked", "yoke-vrrp")  # the first would start another of the second
        for name in stopped:
            second.kill(name, signal.SIGSTOP)
        pid = first.pid_of("yoke-proxy")
        first.kill("yoke-proxy")
        check_refill(checks, first, pid, wanted)
        first.wait_state("active")
        checks.equal("state of the other one", second.state(), "backup")
        checks.equal("sessions of the Active", table(first), wanted)
        for name in stopped:
            second.kill(name, signal.SIGCONT)
        for node in (first, second):
            node.wait_in_sync()
        checks.equal("and of the other one", table(second), wanted)


def test_warm_reload(checks):
    """A reload keeps the table, on both nodes: also one that changes its size, adds and removes a pool,
    replaces the health checks and the sticky settings."""
    with TestLab() as lab:
        nodes = start_crowded(checks, lab)
        learned = lab.sticky("learn")
        checks.true("clients known by address", learned["source"]["clients"] > 100)
        wait_until(lambda: table(nodes[0]) == table(nodes[1]), 5 * SLACK, "both have them")
        wanted, different = table(nodes[0]), []
        for n in range(30):
            config = crowded_config()
            config["sync"]["max_sessions"] = (1_000_000, 300_000, 2_000_000)[n % 3]
            config["pools"]["known"]["health"]["interval"] = f"{200 + n}ms"
            config["pools"]["web"]["sticky"]["ttl"] = f"{1 + n}h"
            if n % 2:
                config["pools"]["more"] = dict(config["pools"]["web"])
            lab.write_config(config)
            for node in nodes:
                node.ctl("reload")
                if table(node) != wanted:
                    different.append((n, node.name, table(node)))
        checks.equal("reloads after which the table was another one", different, [])
        for node in nodes:
            node.wait_in_sync()
        for kind, row in lab.sticky("check").items():
            checks.equal(f"{kind}: kept their backend", row["kept"], row["clients"])


def freeze_meanwhile(first, second):
    """The Backup's proxy is killed, and its node stopped while the successor gets its sessions. The pid
    of the one that died. Sometimes it has them too soon: then again."""
    for _ in range(20):
        pid = second.pid_of("yoke-proxy")
        second.kill("yoke-proxy")
        wait_until(lambda: (table(second) or (0,))[0] > 1000 and ready(second)[0] is not None,
                   20 * SLACK, "it gets its sessions", pause=0.001)
        os.killpg(second.process.pid, signal.SIGSTOP)
        if first.status()["sync"]["state"] == "snapshot":
            return pid
        os.killpg(second.process.pid, signal.SIGCONT)
        second.wait_in_sync()
    raise LabError("it has always had all its sessions already")


def test_warm_meanwhile(checks):
    """While a node gets its sessions, the operator cannot give it the VIP. If the Active dies then, it
    takes the VIP with what it has, and waits for no more."""
    with TestLab() as lab:
        first, second = start_crowded(checks, lab)
        pid = freeze_meanwhile(first, second)
        refused = first.ctl("failover", check=False)
        # Somebody who stands still for 1.5 s is disconnected, and not known to be cold.
        if first.status()["sync"]["state"] == "snapshot":
            checks.true("yokectl failover says why not: " + refused, "every session" in refused)
            checks.equal("state of the Active", first.state(), "active")
        first.kill_all()
        os.killpg(second.process.pid, signal.SIGCONT)
        thawed = time.monotonic()
        second.wait_state("active")
        checks.in_time("takeover, ms", 1000 * (time.monotonic() - thawed), 900, thawed)
        checks.note("sessions", table(second)[0])
        checks.note("why it waits no more", starts(second))
        checks.true("another proxy", second.pid_of("yoke-proxy") != pid)


def test_warm_alone(checks):
    """Nobody waits where nothing is to be had: for a host that is off, for packets that are dropped,
    for a program that does not run, for a peer that has nothing either."""
    with TestLab() as lab:
        lab.write_config(pair_config())
        first, second = lab.nodes["node1"], lab.nodes["node2"]
        for node, peer in ((first, "node2"), (second, "node1")):
            checks.section(f"{node.name}, and no program on {peer}")
            check_lone(checks, node, "Connection refused")
            checks.section(f"{node.name}, and {peer} is off")
            lab.link(peer, up=False)
            check_lone(checks, node, f"without the sessions of {peer}, which does not answer")
            lab.link(peer, up=True)
        checks.section("both at once")
        for node in (first, second):
            node.start()
        wait_until(lambda: sorted(str(n.state()) for n in (first, second)) == ["active", "backup"],
                   10 * SLACK, "one is Active, one is Backup")
        for node in (first, second):
            node.wait_in_sync()
            checks.note(f"{node.name} waits no more", starts(node))
            checks.in_time(f"{node.name} has waited, ms", waited_ms(node), 300)


def test_warm_limit(checks):
    """A peer that is there and says nothing is not waited for longer than start_timeout."""
    with TestLab() as lab:
        config = pair_config()
        config["sync"]["start_timeout"] = "1s"
        lab.write_config(config)
        node = lab.nodes["node1"]
        feeder = start_feeder(lab)
        node.start()
        node.wait(lambda: held(node), 4, "held back, since the peer is silent")
        node.wait_state("active", 10)
        checks.true(f"why it waited no more: {starts(node)}", "time is up" in starts(node)[0])
        checks.true(f"it has waited for {waited_ms(node)} ms", waited_ms(node) >= 1000)
        checks.in_time("it has waited, ms", waited_ms(node), 1200)
        feeder.stop()


def waited_ms(node):
    return int(re.findall(r"sync: ready after (\d+) ms", node.log())[-1])


def check_lone(checks, node, why):
    begun = time.monotonic()
    node.start()
    node.wait_state("active", 10)
    checks.note("from the start of the programs to Active, ms", 1000 * (time.monotonic() - begun))
    checks.true(f"why it did not wait: {starts(node)}", len(starts(node)) == 1 and why in starts(node)[0])
    checks.in_time("it has waited, ms", waited_ms(node), 400)
    node.stop()


def test_warm_silent(checks):
    """The peer is Active, but cannot be reached: the node says so, and is ready without it."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            first, second = lab.start_pair(primary)
            lab.drop(first.name, "tcp sport 5405")
            lab.drop(second.name, "tcp sport 5405")
            pid = second.pid_of("yoke-proxy")
            struck = second.kill("yoke-proxy")
            said, _ = watch_start(second, pid)
            checks.note("ready after, ms", 1000 * (time.monotonic() - struck))
            checks.true(f"it has waited: {said[-1:]}", any(map(WAITING.fullmatch, said)))
            checks.true(f"why it waits no more: {starts(second)}",
                        f"without the sessions of {primary}" in starts(second)[0])
            second.wait_state("backup")
            checks.equal("state of the Active", first.state(), "active")
            checks.section("the way is free again")
            lab.undrop()
            second.wait_in_sync()


if __name__ == "__main__":
    testing.main(globals())
