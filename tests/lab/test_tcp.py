"""Options of TCP, seen from outside: who is gone without a word is noticed."""
import os
import re
import time

import testing
from lab import (HERE, HOSTS, NETWORK, NETWORK6, PYTHON, SLACK, SOURCES, SQL_PORT, WEB_PORT, LabError, Tool, address,
                 listening, wait_until)
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


def hold(lab, port, host=address("node1")):
    """A connection that has said something, and then stays idle."""
    tool = Tool(lab, "client", "hold", "echo", host, port, "--connections", 1,
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


# --- where connections to targets come from ---

OWN = f"{NETWORK}.50"  # a second address of the node
FIXED, AS_CLIENT, AS_CLIENT_TCP, AS_CLIENT6 = 8001, 8002, 8003, 8004
ECHO6_PORT = 5441
CLIENTS = SOURCES[:2]
NET_RAW = 1 << 13


def address6(role):
    return f"{NETWORK6}:{HOSTS[role]}"


def source_config(transparent=True):
    def listener(port, mode, pool):
        return {"bind": f"{address('node1')}:{port}", "mode": mode, "pool": pool}

    def pool(source):
        return {"targets": [address("web1", WEB_PORT)], "source": source}
    config = {"listeners": {"fixed": listener(FIXED, "http", "fixed")}, "pools": {"fixed": pool(OWN)}}
    if transparent:
        config["listeners"]["client"] = listener(AS_CLIENT, "http", "client")
        config["listeners"]["client_tcp"] = listener(AS_CLIENT_TCP, "tcp", "client")
        config["pools"]["client"] = pool("client")
        config["listeners"]["client6"] = {"bind": f"[{address6('node1')}]:{AS_CLIENT6}",
                                          "mode": "tcp", "pool": "client6"}
        config["pools"]["client6"] = {"targets": [f"[{address6('web1')}]:{ECHO6_PORT}"],
                                      "source": "client"}
    return config


def route_answers(lab):
    """As yoked(8) says it: what comes for a socket of ours goes to it, whatever its address is. And
    the target sends its answers to clients through the node."""
    lab.run_in("node1", "nft", """
        add table inet yoke_source
        add chain inet yoke_source prerouting { type filter hook prerouting priority mangle; }
        add rule inet yoke_source prerouting meta l4proto { tcp, udp } socket transparent 1 meta mark set 1""")
    for family in ("-4", "-6"):
        lab.run_in("node1", "ip", family, "rule", "add", "fwmark", "1", "lookup", "100")
        lab.run_in("node1", "ip", family, "route", "add", "local", "default", "dev", "lo", "table",
                   "100")
    lab.run_in("web1", "ip", "-6", "route", "add", f"{address6('client')}/128", "via",
               address6("node1"))
    for client in CLIENTS:
        lab.run_in("web1", "ip", "route", "add", f"{client}/32", "via", address("node1"))


def ask(lab, port, client, requests=1):
    """The target's view: where that many requests of this client came from, on one connection of
    the client."""
    marks = [f"/{port}-{client}-{time.monotonic_ns()}-{n}" for n in range(requests)]
    urls = [f"http://{address('node1')}:{port}{mark}" for mark in marks]
    out = lab.run_in("client", "curl", "-sS", "-m", 10 * SLACK, "--interface", client, *urls)
    if out.split() != ["web1"] * requests:
        raise LabError(f"{client} at port {port}: {out}")

    def seen():
        with open(lab.webs["web1"].log, encoding="ascii") as log:
            found = [line.split()[1] for line in log if line.split()[2] in marks]
        return found if len(found) == requests else None
    return wait_until(seen, 5 * SLACK, "nginx writes its log")


def capabilities(node):
    """(effective, bounding) of yoke-proxy."""
    with open(f"/proc/{node.pid_of('yoke-proxy')}/status", encoding="ascii") as file:
        fields = dict(line.split(":\t") for line in file.read().splitlines() if ":\t" in line)
    return int(fields["CapEff"], 16), int(fields["CapBnd"], 16)


def test_tcp_source(checks):
    """Targets see the address that the configuration says, and never one client's as another's."""
    with TestLab(ipv6=True) as lab:
        node = lab.nodes["node1"]
        lab.run_in("node1", "ip", "addr", "add", f"{OWN}/24", "dev", "eth0")
        node.write_config(source_config(transparent=False))
        node.start()
        node.wait(node.status, 10, "the Admin API answers")
        checks.equal("from an address of the node", ask(lab, FIXED, CLIENTS[0], 3), [OWN] * 3)
        checks.equal("capabilities", capabilities(node), (0, 0))

        checks.section("a reload cannot bring back what was given up")
        node.write_config(source_config())
        text = node.ctl("reload", check=False)
        checks.true(f"refused: {text.strip()}", "needs a restart" in text)
        checks.equal("it goes on", ask(lab, FIXED, CLIENTS[0]), [OWN])

        checks.section("after a restart")
        node.sigterm()
        node.wait_exit()
        route_answers(lab)
        node.start()
        node.wait(node.status, 10, "the Admin API answers")
        checks.equal("capabilities", capabilities(node), (NET_RAW, 0))
        for client in CLIENTS * 2:
            checks.equal("HTTP", ask(lab, AS_CLIENT, client, 3), [client] * 3)
            checks.equal("TCP", ask(lab, AS_CLIENT_TCP, client), [client])
        checks.equal("the other pool", ask(lab, FIXED, CLIENTS[0]), [OWN])

        checks.section("IPv6")
        echo = lab.start_in("web1", PYTHON, os.path.join(HERE, "tools", "echo.py"), "web1", "::",
                            ECHO6_PORT)
        wait_until(lambda: listening(echo.pid, ECHO6_PORT, "tcp6"), 10 * SLACK, "it listens")
        hold(lab, AS_CLIENT6, address6("node1"))
        out = lab.run_in("web1", "ss", "-Htn6", "state", "established", f"( sport = :{ECHO6_PORT} )")
        peers = [line.split()[-1].rpartition(":")[0] for line in out.splitlines()]
        checks.equal("TCP", peers, [f"[{address6('client')}]"])


if __name__ == "__main__":
    testing.main(globals())
