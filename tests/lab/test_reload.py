"""Reload in place, under traffic."""
import argparse
import json
import os
import random
import re
import signal
import sys
import time

import testing
from lab import COOKIE_PORT, NETWORK, SLACK, SQL_PORT, VIP, WEB_PORT, ArpWatch, LabError, Prober
from lab import Tool, address, pair_config, wait_until
from testing import TestLab

EXTRA_PORT = 90
EXTRA_VIPS = [f"{NETWORK}.{n}/24" for n in (13, 14, 15)]
# node1 stays the better one, so that no policy of failback wants another Active.
PRIORITIES = {"node1": (151, 254), "node2": (1, 150)}


def variant(rng, extra):
    """A random configuration under which nothing has to move: priorities, intervals, policies and
    more VIPs; weights; a target that leaves a pool which others use. `extra`: with a listener and a pool
    of its own."""
    config = pair_config()
    for node, bounds in PRIORITIES.items():
        config["nodes"][node]["priority"] = rng.randint(*bounds)
    front, pools = config["virtual_routers"]["front"], config["pools"]
    front["advertise"] = rng.choice(("50ms", "100ms", "150ms", "300ms", "1s"))
    front["failback"] = rng.choice(("never", "manual", "when_warm"))
    front["addresses"] += rng.sample(EXTRA_VIPS, rng.randint(0, len(EXTRA_VIPS)))
    if extra:
        config["listeners"]["extra"] = {"bind": f"{VIP}:{EXTRA_PORT}", "mode": "http",
                                        "pool": "extra"}
        pools["extra"] = {"targets": [address("web1", WEB_PORT)]}
    pools["web"]["targets"] = [{"address": target, "weight": rng.randint(1, 5)}
                               for target in pools["web"]["targets"]]
    if rng.random() < 0.1:
        pools["sql"]["targets"].pop()
    return config


def reload_by_signal(node):
    before = node.status()["generation"]
    os.kill(node.process.pid, signal.SIGHUP)
    node.wait(lambda: (node.status() or {}).get("generation", before) > before, 5,
              "the reload by SIGHUP")


def fetch(lab, port):
    """What a client gets: the body, or "" when nobody listens."""
    return lab.run_in("client", "curl", "-s", "-m", "2", f"http://{VIP}:{port}/",
                      check=False).strip()


def reload_by_order(node):
    node.ctl("reload")


def held(lab, node):
    """The VIPs on that host, as they are configured."""
    own = {address(node.name), "127.0.0.1"}
    return sorted(f"{addr}/24" for addr in lab.addresses(node.name) - own)


def changes(node):
    """What its log says of changes of state: unlike the events, it forgets nothing."""
    return re.findall(r"vrrp front: \w+ -> .*", node.log())


def reload_one(lab, rng, nodes, extra):
    """A random change of both nodes, in a random order and way. What is wrong with it, or nothing."""
    config = variant(rng, extra)
    lab.write_config(config)
    for node in rng.sample(nodes, 2):
        rng.choice((reload_by_order, reload_by_signal))(node)
    # The timers of this configuration need time to run out.
    time.sleep(rng.choice((0, 0, 0, 0.1, 0.5)))
    served, vips = fetch(lab, EXTRA_PORT), config["virtual_routers"]["front"]["addresses"]
    if served != ("web1" if extra else ""):
        return f"the listener that comes and goes said {served!r}"
    wanted = [sorted(vips), []]
    try:
        wait_until(lambda: [held(lab, node) for node in nodes] == wanted, 2 * SLACK, "the VIPs")
    except LabError:
        return f"the VIPs {wanted} are {[held(lab, node) for node in nodes]}"
    return None


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100, help="of reloads, of each node")
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    return parser.parse_args(sys.argv[2:])


def test_reload_random(checks):
    """73: no reload moves the VIP. By hand: --count 1000."""
    given = options()
    rng = random.Random(given.seed)
    with TestLab() as lab:
        active, standby = nodes = list(lab.start_pair(config=variant(rng, False)))
        learned = lab.sticky("learn")
        checks.true("sticky clients", learned["source"]["clients"] >= 100)
        before = {node: len(changes(node)) for node in nodes}
        pids = {node: node.processes() for node in nodes}
        prober = Prober(lab)
        holds = [Tool(lab, "client", "hold", "http", VIP, COOKIE_PORT),
                 Tool(lab, "client", "hold", "echo", VIP, SQL_PORT)]
        wait_until(lambda: all(hold.latest().get("ready") == 4 for hold in holds), 5 * SLACK,
                   "connections are held")
        prober.wait_ok()
        checks.section(f"{given.count} reloads, --seed {given.seed}")
        wrong = [(i, what) for i in range(given.count)
                 if (what := reload_one(lab, rng, nodes, extra=i % 2 == 0))]
        prober.wait_ok()
        traffic = prober.stop()
        checks.section("what the clients saw")
        checks.equal("wrong", wrong[:5], [])
        checks.none_failed("requests that failed", traffic, lab)
        checks.note("requests", len(traffic.rows))
        checks.note("slowest answer, ms", 1000 * traffic.slowest())
        for hold in holds:
            seen = hold.stop()
            checks.equal("held connections that broke", seen["broken"], [])
            checks.true("they were used", seen["exchanges"] > given.count)
        for kind, row in lab.sticky("check").items():
            # A weight never moves a session, and all targets of these pools stayed.
            checks.equal(f"{kind}: kept their backend", row["kept"], row["clients"])
        for node in nodes:
            checks.equal(f"{node.name}: transitions", changes(node)[before[node]:], [])
            checks.equal(f"{node.name}: the same processes", node.processes(), pids[node])
            checks.true(f"{node.name}: equal configurations", node.status()["sync"]["config_equal"])
            checks.true(f"{node.name}: generation", node.status()["generation"] > given.count)


def exchange_config(front, back):
    """Two virtual routers on one interface; (vrid, VIP) each."""
    config = pair_config()
    for name, (vrid, vip) in {"front": front, "back": back}.items():
        config["virtual_routers"][name] = dict(config["virtual_routers"]["front"], vrid=vrid,
                                               addresses=[f"{vip}/24"])
    return config


def test_reload_exchange(checks):
    """One virtual router takes what another one gives away in the same reload: a VIP, a VRID."""
    other = f"{NETWORK}.13"
    with TestLab() as lab:
        nodes = first, second = lab.start_pair("node1", exchange_config((51, VIP), (52, other)))

        def wait_roles():
            for node, state in ((first, "active"), (second, "backup")):
                node.wait(lambda: node.state() == node.state("back") == state, 10, state)
        wait_roles()
        before = [changes(node) for node in nodes]

        checks.section("the VIPs")
        lab.write_config(exchange_config((51, other), (52, VIP)))
        for node in nodes:
            node.ctl("reload")
            checks.equal(f"VIPs of {node.name}", held(lab, node),
                         [f"{VIP}/24", f"{other}/24"] if node is first else [])
        checks.equal("transitions", [changes(node) for node in nodes], before)

        checks.section("the VRIDs")
        lab.write_config(exchange_config((52, other), (51, VIP)))
        for node in nodes:
            node.ctl("reload")
        # The order is the priorities', whoever came first: a node that starts waits for its peer.
        wait_until(lambda: sorted(held(lab, first) + held(lab, second)) == sorted(
            [f"{VIP}/24", f"{other}/24"]), 10 * SLACK, "the VIPs are served again")
        for node in nodes:
            checks.true("its fences stayed", "somebody removed our nftables" not in node.log())


def test_reload_vrid(checks):
    """Another VRID, on one node after the other: until both have it they do not hear each other's adverts.
    Never do both answer; which of them was first does not matter."""
    with TestLab() as lab:
        nodes = lab.start_pair("node1")
        watch = ArpWatch(lab)
        for vrid, order in ((52, nodes), (53, nodes[::-1])):
            config = pair_config()
            config["virtual_routers"]["front"]["vrid"] = vrid
            checks.section(f"VRID {vrid}, {order[0].name} first")
            lab.write_config(config)
            order[0].ctl("reload")
            order[0].wait(lambda: order[0].status()["virtual_routers"]["front"].get("held"), 5,
                          "it does not become Active")
            held_by = order[0].status()["virtual_routers"]["front"]["held"]
            checks.true(f"it says why: {held_by}", f"with VRID {vrid - 1}, not {vrid}" in held_by)
            watch.wait_asked(100)
            checks.equal("the other serves", order[1].state(), "active")
            order[1].ctl("reload")
            wait_until(lambda: sorted(str(node.state()) for node in nodes) == ["active", "backup"],
                       5 * SLACK, "one Active")
            for node in nodes:
                node.wait_in_sync()
        watch.stop()
        checks.equal("requests answered by two nodes",
                     [row for row in watch.asked if len(set(row[1])) > 1], [])


BAD = {
    "not JSON": lambda text: text[:-3],
    "a key that does not exist": lambda text: text.replace('"pool"', '"pol"', 1),
    "a number out of range": lambda text: text.replace('"vrid": 51', '"vrid": 300'),
    "a pool that does not exist": lambda text: text.replace('"pool": "web"', '"pool": "wbe"'),
    "a duplicate key": lambda text: text.replace('{', '{"cluster": "again",', 1),
    "nothing": lambda text: "",
}


def test_reload_bad(checks):
    """A file that fails its checks changes nothing, and the answer says where it is wrong."""
    with TestLab() as lab:
        active, _ = lab.start_pair()
        before = active.status()
        with open(active.config_path, encoding="utf-8") as file:
            good = file.read()
        prober = Prober(lab)
        prober.wait_ok()
        for what, spoil in BAD.items():
            text = spoil(good)
            checks.true(f"{what}: it is another text", text != good)
            with open(active.config_path, "w", encoding="utf-8") as file:
                file.write(text)
            status, answer = active.api.request("POST", "/v1/reload")
            checks.true(f"{what}: refused", status >= 400)
            checks.true(f"{what}: the place is named: {json.dumps(answer)}",
                        active.config_path + ":" in str(answer))
            os.kill(active.process.pid, signal.SIGHUP)
        prober.wait_ok()
        checks.none_failed("requests that failed", prober.stop(), lab)
        after = active.status()
        for key in ("config_hash", "generation"):
            checks.equal(key, after[key], before[key])
        with open(active.config_path, "w", encoding="utf-8") as file:
            file.write(good)
        active.ctl("reload")
        checks.equal("state", active.state(), "active")


if __name__ == "__main__":
    testing.main(globals())
