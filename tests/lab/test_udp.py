"""UDP: name servers behind a pair, and behind a node that stops."""
import json
import os
import subprocess

import testing
from lab import (HERE, LINK_LOCAL6, NETWORK6, PYTHON, SLACK, SOURCES, VIP, VIP6, WEBS, address,
                 listening, pair_config, wait_until)
from test_tcp import CLIENTS, route_answers
from testing import TestLab

PORT = 5300
# Long enough for the VIP to move meanwhile, or the node to be told to stop.
WAIT_S = int(3 * SLACK)
# For health checks: a question for the address of "a", and how the answer begins.
QUERY = "\\x12\\x34" + "\\x01\\x00\\x00\\x01" + "\\x00" * 6 + "\\x01a\\x00\\x00\\x01\\x00\\x01"
SLOW_NAME = f"wait-{WAIT_S}.example"
MOVED = "yoke_vip_moved_closed_total"
UNSENDABLE = "yoke_udp_dropped_unsendable_total"


def start_servers(lab):
    """Each answers its own address, so that who answered is seen."""
    servers = [lab.start_in(web, PYTHON, os.path.join(HERE, "tools", "dns.py"), address(web),
                            "0.0.0.0", PORT) for web in WEBS]
    wait_until(lambda: all(listening(server.pid, PORT) for server in servers), 10 * SLACK,
               "the name servers listen")


def pool(**options):
    return {"targets": [address(web, PORT) for web in WEBS], **options}


RESOLVE = [PYTHON, os.path.join(HERE, "tools", "resolve.py")]


def resolve(lab, server=VIP, sources=SOURCES, name="www.example"):
    return json.loads(lab.run_in("client", *RESOLVE, server, PORT, name, 5, SLACK, *sources))


def resolve_slowly(lab, server, source):
    """Asks once for the name that takes long, and does not wait for the answer: slow_answer does."""
    return lab.start_in("client", *RESOLVE, server, PORT, SLOW_NAME, 1, WAIT_S + 2 * SLACK, source,
                        stdout=subprocess.PIPE)


def slow_answer(process):
    """What resolve_slowly got, or None."""
    return next(iter(json.loads(process.communicate(timeout=WAIT_S + 20 * SLACK)[0]).values()))


def metric(node, name):
    _, text = node.api.request("GET", "/metrics")
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))


def sessions(node):
    return metric(node, "yoke_udp_sessions")


def start_pair(lab, bind, config):
    config["listeners"]["dns"] = {"bind": bind, "mode": "udp", "pool": "dns", "responses": 1}
    config["pools"]["dns"] = pool(sticky={"source": {"prefix4": 32}},
                                  health={"udp": {"send": QUERY, "expect": QUERY[:8] + "\\x81"},
                                          "interval": "200ms"})
    lab.start_pair(config=config)


def tracking_config():
    """Who reaches no web server has no VIP."""
    config = pair_config()
    config["virtual_routers"]["front"]["track"] = {"pools": [{"name": "web", "at_least": "50%"}]}
    return config


def moved(before, after):
    return [source for source in SOURCES if after[source] != before[source]]


def test_udp_failover(checks):
    """Clients of the dead Active have the same name server with the other node."""
    with TestLab() as lab:
        start_servers(lab)
        start_pair(lab, f"{VIP}:{PORT}", pair_config())
        before = resolve(lab)
        checks.equal("who answered", set(before.values()), {address(web) for web in WEBS})
        checks.equal("moved without need", moved(before, resolve(lab)), [])
        checks.equal("sessions that one response has ended", sessions(lab.nodes["node1"]), 0)

        checks.section("power off")
        lab.nodes["node1"].power_off()
        after = resolve(lab)
        lab.nodes["node2"].wait_state("active")
        checks.equal("moved, or not served", moved(before, after), [])


def lose_while_asked(checks, lab, server, source, counter, lose):
    """The VIP goes while a name server thinks. Its answer comes to who had it, and goes no further."""
    old = lab.nodes["node1"]
    before = metric(old, counter)
    asking = resolve_slowly(lab, server, source)
    old.wait(lambda: sessions(old) == 1, 5, "the question has come")
    lose(old)
    old.wait(lambda: sessions(old) == 0, WAIT_S + 5, "the session is over")
    checks.equal(counter, metric(old, counter) - before, 1)
    checks.equal("what the client got", slow_answer(asking), None)


def silence(checks, lab, server, source):
    """The peer takes it, so the session ends; or nobody has it for a while, and then the answer is kept back."""
    new = lab.nodes["node2"]

    def hand_over(old):
        old.ctl("failover")
        new.wait_state("active")

    def give_up(old):
        for web in lab.webs.values():
            web.set_healthy(False)
        old.wait_state("fault")
    checks.section("handed over")
    lose_while_asked(checks, lab, server, source, MOVED, hand_over)
    checks.true("the new Active serves it", resolve(lab, server, [source])[source])
    new.stop()
    lab.nodes["node1"].wait_state("active")
    checks.section("given up, and nobody has it")
    lose_while_asked(checks, lab, server, source, UNSENDABLE, give_up)
    for web in lab.webs.values():
        web.set_healthy(True)
    checks.true("it is served again", resolve(lab, server, [source])[source])


def test_udp_backup_is_silent(checks):
    """What comes to a node that has lost the VIP does not leave from it."""
    with TestLab() as lab:
        start_servers(lab)
        start_pair(lab, f"{VIP}:{PORT}", tracking_config())
        silence(checks, lab, VIP, SOURCES[0])


def test_udp_backup_is_silent_ipv6(checks):
    """The kernel would let it leave: IPv6 does not ask whether a source is here."""
    with TestLab(ipv6=True) as lab:
        start_servers(lab)
        config = tracking_config()
        config["virtual_routers"]["front6"] = dict(
            config["virtual_routers"]["front"], addresses=[f"{LINK_LOCAL6}/64", f"{VIP6}/64"])
        start_pair(lab, f"[{VIP6}]:{PORT}", config)
        silence(checks, lab, VIP6, f"{NETWORK6}:100")


def start_single(lab, dns, **options):
    node = lab.nodes["node1"]
    node.write_config({
        "listeners": {"dns": {"bind": address("node1", PORT), "mode": "udp", "pool": "dns"}},
        "pools": {"dns": dns}, **options})
    node.start()
    node.wait(node.status, 10, "the Admin API answers")
    return node


def test_udp_source(checks):
    """Targets see the clients' own addresses."""
    with TestLab(ipv6=True) as lab:
        start_servers(lab)
        route_answers(lab)
        start_single(lab, {"targets": [address("web1", PORT)], "source": "client"})
        checks.equal("who asks, as the name server sees it",
                     resolve(lab, address("node1"), CLIENTS, "whoami.example"),
                     {client: client for client in CLIENTS})


def test_udp_stop(checks):
    """A node that is told to stop passes on what is owed, and does not wait for what is only idle."""
    with TestLab() as lab:
        start_servers(lab)
        node = start_single(lab, pool(), shutdown_timeout="1h")
        here = address("node1")
        checks.true("all are served", all(resolve(lab, here, SOURCES[:9]).values()))
        checks.equal("idle sessions", sessions(node), 9)
        asking = resolve_slowly(lab, here, SOURCES[0])
        node.wait(lambda: sessions(node) == 10, 5, "the question has come")
        node.sigterm()
        checks.equal("exit status", node.wait_exit(), 0)
        checks.true("the answer that was owed", slow_answer(asking))


if __name__ == "__main__":
    testing.main(globals())
