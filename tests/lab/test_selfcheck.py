"""A node that asks itself whether it serves disturbs nobody: nothing of it leaves the host, and who
has much to do is not taken for stuck."""
import os
import re

import testing
from lab import (COOKIE_PORT, HERE, PYTHON, SLACK, SOURCE_PORT, SQL_PORT, VIP, VIP6, add_ipv6,
                 pair_config)
from testing import TestLab

EVERYWHERE_PORT = 82
STORM_SECONDS = 4  # several times the window after which silence is a fault
ROUNDS = 6         # own requests waited for


def metric(node, name):
    """{(listener, address): value}"""
    text = node.api.request("GET", "/metrics")[1]
    return {(listener, address): float(value) for listener, address, value in re.findall(
        r'^yoke_%s\{listener="([^"]*)",address="([^"]*)"\} (\S+)$' % name, text, re.M)}


def wait_rounds(node, key):
    """Until that listener has answered some more times."""
    for _ in range(ROUNDS):
        before = metric(node, "listener_answered_timestamp_seconds").get(key, 0)
        node.wait(lambda: metric(node, "listener_answered_timestamp_seconds").get(key, 0) > before,
                  5, f"{key} answers itself")


def check_quiet(checks, node):
    checks.equal(f"{node.name}: what was said about its proxy", node.events("proxy"), [])


def test_own_requests_stay(checks):
    """Both nodes ask themselves all the time, for IPv4 and IPv6, also where the kernel lets them
    take addresses that are not theirs; nothing of it is on the segment."""
    everywhere = ("everywhere", f"0.0.0.0:{EVERYWHERE_PORT}")
    of_vip = {("known", f"{VIP}:{SOURCE_PORT}"), ("sql", f"{VIP}:{SQL_PORT}"),
              ("web", f"{VIP}:{COOKIE_PORT}"), ("web", f"[{VIP6}]:{COOKIE_PORT}")}
    with TestLab(ipv6=True) as lab:
        config = add_ipv6(pair_config())
        config["listeners"]["everywhere"] = {"bind": everywhere[1], "mode": "http", "pool": "web"}
        active, backup = lab.start_pair("node1", config)
        active.wait(lambda: active.state("front6") == "active", 10, "Active for IPv6")
        capture = lab.capture(only=f"tcp and (host {VIP} or host {VIP6} or net 127.0.0.0/8 or host ::1)")
        for node in (active, backup):
            wait_rounds(node, everywhere)
        answered = metric(active, "listener_answered_timestamp_seconds")
        checks.equal("answered on the Active", set(answered), of_vip | {everywhere})
        answered = metric(backup, "listener_answered_timestamp_seconds")
        checks.equal("answered on the Backup", set(answered), {everywhere})

        checks.section("the kernel lets every program take every address")
        for node in (active, backup):
            for path in ("net/ipv4/ip_nonlocal_bind", "net/ipv6/ip_nonlocal_bind",
                         "net/ipv4/conf/all/route_localnet"):
                lab.sysctl(node.name, path, 1)
        for node in (active, backup):
            wait_rounds(node, everywhere)
            checks.true(f"{node.name} says what it cannot know",
                        f"listener web at [{VIP6}]:{COOKIE_PORT}: cannot be asked whether it serves: "
                        "net.ipv6.ip_nonlocal_bind is set" in node.log())
        wait_rounds(active, ("web", f"{VIP}:{COOKIE_PORT}"))
        capture.stop()
        checks.equal("on the segment", capture.fields("tcp", "ip.src", "ipv6.src", "tcp.flags"), [])
        for node in (active, backup):
            check_quiet(checks, node)
        checks.equal("state", (active.state(), backup.state()), ("active", "backup"))


def test_busy_is_not_stuck(checks):
    """As many connections as the node can accept: it stays Active."""
    with TestLab() as lab:
        first, second = lab.start_pair("node1")
        before = len(first.transitions())
        answered = int(lab.run_in("client", PYTHON, os.path.join(HERE, "tools", "storm.py"), VIP,
                                  COOKIE_PORT, STORM_SECONDS * SLACK))
        checks.note("connections answered", answered)
        checks.true("many were", answered > 100)
        check_quiet(checks, first)
        failures = metric(first, "listener_check_failures_total")
        checks.equal("failures", sum(failures.values()), 0)
        checks.equal("transitions", len(first.transitions()) - before, 0)
        checks.equal("state", (first.state(), second.state()), ("active", "backup"))


if __name__ == "__main__":
    testing.main(globals())
