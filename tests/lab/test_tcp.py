"""Options of TCP, seen from outside: who is gone without a word is noticed."""
import os
import re

import testing
from lab import HERE, PYTHON, SLACK, SQL_PORT, Tool, address, listening, wait_until
from testing import TestLab

PLAIN, PROBED, TIMED, TARGET = 5431, 5432, 5433, 5434
CHATTER_PORT = 5440
PROBES = {"idle": "1s", "interval": "1s", "count": 2}
LONG = {"idle": "1000s"}
# Reads what comes.
LISTENER = """
import socket, sys
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
while sock.recv(100): pass
"""
BACKLOG = 77


def config():
    """One node; the same target behind listeners that differ in their options."""
    def listener(port, pool="echo", **options):
        return {"bind": f"{address('node1')}:{port}", "mode": "tcp", "pool": pool, **options}

    def pool(**options):
        return {"targets": [address("web1", SQL_PORT)], **options}
    return {
        "listeners": {
            "plain": listener(PLAIN, backlog=BACKLOG),
            "probed": listener(PROBED, tcp_keepalive=PROBES),
            "timed": listener(TIMED, pool="chatter", tcp_keepalive=LONG, tcp_user_timeout="1s"),
            "target": listener(TARGET, pool="probed")},
        "pools": {"echo": pool(), "probed": pool(tcp_keepalive=PROBES),
                  "chatter": {"targets": [address("web1", CHATTER_PORT)]}}}


def start(lab):
    node = lab.nodes["node1"]
    node.write_config(config())
    node.start()
    node.wait(node.status, 10, "the Admin API answers")
    return node


def hold(lab, port):
    """A connection that has said something, and then stays idle."""
    tool = Tool(lab, "client", "hold", "echo", address("node1"), port, "--connections", 1,
                "--interval-ms", 3600000)
    lab.nodes["node1"].wait(lambda: tool.latest().get("ready"), 10, f"a connection to {port}")
    return tool


def timers(lab, match):
    """The timers of established connections of the node, as ss shows them. Not those of bytes that
    are under way."""
    def look():
        out = lab.run_in("node1", "ss", "-Htno", "state", "established", match)
        found = [(re.search(r"timer:\((\w+)", line) or [None, "none"])[1]
                 for line in out.splitlines()]
        return None if "on" in found else (sorted(found),)
    return wait_until(look, 5 * SLACK, "nothing is under way")[0]


def clients(lab, port):
    return timers(lab, f"( sport = :{port} )")


def to_targets(lab):
    return timers(lab, f"( dport = :{SQL_PORT} )")


def connected(lab, port):
    out = lab.run_in("node1", "ss", "-Htn", "state", "established", f"( sport = :{port} )")
    return len(out.splitlines())


def test_tcp_options(checks):
    """What the kernel has been told, before and after a reload."""
    with TestLab() as lab:
        node = start(lab)
        for port in (PLAIN, PROBED, TARGET):
            hold(lab, port)
        checks.equal("a timer without tcp_keepalive", clients(lab, PLAIN), ["none"])
        checks.equal("a timer with it", clients(lab, PROBED), ["keepalive"])
        checks.equal("timers towards the targets", to_targets(lab),
                     ["keepalive", "none", "none"])
        backlogs = lab.run_in("node1", "ss", "-Htln", f"( sport = :{PLAIN} )")
        checks.equal("backlog", {line.split()[2] for line in backlogs.splitlines()},
                     {str(BACKLOG)})

        checks.section("a reload")
        changed = config()
        changed["listeners"]["plain"].update(backlog=BACKLOG + 1, tcp_keepalive=PROBES)
        node.write_config(changed)
        node.ctl("reload")
        hold(lab, PLAIN)
        checks.equal("timers: who came before it, and after", clients(lab, PLAIN),
                     ["keepalive", "none"])
        backlogs = lab.run_in("node1", "ss", "-Htln", f"( sport = :{PLAIN} )")
        checks.equal("backlog", {line.split()[2] for line in backlogs.splitlines()},
                     {str(BACKLOG + 1)})


def test_tcp_dead_peers(checks):
    """Cables are cut; the connections are idle and would stay for an hour."""
    with TestLab() as lab:
        node = start(lab)
        for port in (PLAIN, PROBED, TARGET):
            hold(lab, port)

        checks.section("a target's cable")
        lab.isolate("web1", True)
        node.wait(lambda: not connected(lab, TARGET), 10, "the client of the dead target is told")
        checks.equal("who is still there", [connected(lab, port) for port in (PLAIN, PROBED)],
                     [1, 1])

        checks.section("the client's cable")
        lab.isolate("client", True)
        node.wait(lambda: not connected(lab, PROBED), 10, "the dead client is noticed by probes")
        checks.equal("without probes", connected(lab, PLAIN), 1)
        lab.isolate("client", False)
        lab.isolate("web1", False)

        checks.section("bytes that are not acknowledged")
        chatter = lab.start_in("web1", PYTHON, os.path.join(HERE, "tools", "chatter.py"), "0.0.0.0",
                               CHATTER_PORT)
        wait_until(lambda: listening(chatter.pid, CHATTER_PORT), 10 * SLACK, "the target listens")
        lab.start_in("client", PYTHON, "-c", LISTENER, address("node1"), TIMED)
        node.wait(lambda: connected(lab, TIMED), 10, "a connection")
        lab.isolate("client", True)
        node.wait(lambda: not connected(lab, TIMED), 10, "tcp_user_timeout")
        checks.equal("without it", connected(lab, PLAIN), 1)


if __name__ == "__main__":
    testing.main(globals())
