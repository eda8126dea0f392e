"""What a reload does to replication and to the set of virtual routers, on one node after the other: it works in
place, or is refused and says why."""
import os
import re
import shutil

import testing
from lab import NETWORK, NODES, SLACK, VIP, ArpWatch, Prober, Tool, other, pair_config, wait_until
from test_explain import metrics
from test_keys import Authority, start_pair
from test_reload import held
from test_warmth import table
from testing import TestLab

OTHER_VIP = f"{NETWORK}.13"


def transitions(nodes):
    """What the logs say of them, of virtual routers of any name: they forget nothing."""
    return [re.findall(r"vrrp \S+: \w+ -> .*", node.log()) for node in nodes]


def connects(nodes):
    return [metrics(node)["yoke_sync_connects_total"] for node in nodes]


def sync(node):
    return (node.status() or {}).get("sync") or {}


def adverts(node):
    """How many it has accepted and refused."""
    counts = node.status()["virtual_routers"]["front"]["adverts"]
    return counts["received"], sum(counts["refused"].values())


def protection(node):
    return sync(node).get("protection") or {}


def wait_protected(nodes):
    for node in nodes:
        node.wait_in_sync()
    nodes[0].wait(lambda: protection(nodes[0]).get("protected"), 10, "protected")


def active_first(nodes):
    return sorted(nodes, key=lambda node: node.state() != "active")


def start_traffic(lab):
    """Requests, and connections that stay."""
    prober, hold = Prober(lab, deadline_ms=3000), Tool(lab, "client", "hold", "http", VIP, 80)
    wait_until(lambda: hold.latest().get("ready") == 4, 10 * SLACK, "connections are held")
    prober.wait_ok()
    return prober, hold


def check_traffic(checks, prober, hold):
    prober.wait_ok()
    checks.equal("requests that failed", prober.stop().failures_text(), "none")
    checks.equal("held connections that broke", hold.stop()["broken"], [])


# The section `sync`

def promise(checks, lab, nodes, **settings):
    """Other settings of the promise, on one node after the other; the Active is the first one."""
    checks.section(f"{settings}, {' then '.join(node.name for node in nodes)}")
    config, before = pair_config(), connects(nodes)
    config["sync"].update(settings)
    lab.write_config(config)
    for i, node in enumerate(nodes):
        node.ctl("reload")
        # The peer's word is as old as a heartbeat.
        node.wait(lambda node=node, equal=i == 1: sync(node)["config_equal"] == equal, 5,
                  "whether the configurations are equal")
    told = protection(active_first(nodes)[0])
    checks.equal("the Active promises", (told["sessions"], told["max_lag_ms"]),
                 (config["sync"]["sessions"], 50 if "ack_timeout" in settings else 2000))
    wait_protected(active_first(nodes))
    checks.equal("the connection stays", connects(nodes), before)


def refuse(checks, node, what, change, said):
    """The answer names the key, and nothing changes."""
    before, config = node.status(), pair_config()
    config["sync"]["key_file"] = os.path.join(node.lab.dir, "sync.key")
    change(config, other(node.name))
    node.write_config(config)
    answer = node.ctl("reload", check=False).strip()
    checks.true(f"{what}: {answer}", said in answer)
    after = node.status()
    for key in ("config_hash", "generation"):
        checks.equal(f"{what}: {key}", after[key], before[key])
    checks.equal(f"{what}: replication", after["sync"]["state"], "in_sync")


def make_single(config, _peer):
    for key in ("nodes", "virtual_routers", "sync"):
        del config[key]
    for pool in config["pools"].values():
        pool.pop("sticky", None)


def prove_by(checks, nodes, what, write):
    """Key or certificates: in between the nodes do not know each other, which they say."""
    checks.section(f"{what}, {nodes[0].name} first")
    for node in nodes:
        write(node)
    nodes[0].ctl("reload")
    for node in nodes:
        node.wait(lambda node=node: sync(node)["state"] == "disconnected", 10, "disconnected")
    for node in nodes:
        if node.state() == "active":
            node.wait(lambda node=node: protection(node).get("protected") is False, 5, "unprotected")
            checks.note("the Active says", protection(node)["reason"])
    nodes[1].ctl("reload")
    wait_protected(active_first(nodes))


def test_reload_sync(checks):
    """The section `sync`, key by key: what it promises, how the nodes know each other, and what needs a
    restart."""
    with TestLab() as lab:
        nodes = first, second = list(lab.start_pair("node1"))
        authority = Authority(lab, "ca")
        learned = lab.sticky("learn")
        before = transitions(nodes)
        traffic = start_traffic(lab)

        promise(checks, lab, nodes, sessions="async", max_lag="2s")
        promise(checks, lab, nodes[::-1], sessions="acked", ack_timeout="50ms")
        promise(checks, lab, nodes[::-1], sessions="async", max_lag="2s")
        promise(checks, lab, nodes, sessions="acked", ack_timeout="50ms")

        checks.section("the same key in another file")
        copy, opened = os.path.join(lab.dir, "other.key"), connects(nodes)
        shutil.copy(os.path.join(lab.dir, "sync.key"), copy)
        os.chmod(copy, 0o600)
        config = pair_config()
        config["sync"]["key_file"] = copy
        for node in nodes:
            node.write_config(config)
            node.ctl("reload")
        wait_protected(nodes)
        checks.equal("the connection stays", connects(nodes), opened)

        config = pair_config()
        config["sync"]["key_file"] = authority.path("sync.key")
        for node in nodes:
            authority.issue(node)
        for order in (nodes, nodes[::-1]):
            prove_by(checks, order, "certificates",
                     lambda node: authority.write_config(node, config))
            prove_by(checks, order, "the key", lambda node: lab.write_config(pair_config()))

        checks.section("what needs a restart")
        for what, change, said in (
                ("sync.port", lambda c, _: c["sync"].update(port=5406), "sync.port: the change from 5405"),
                ("the peer's address", lambda c, peer: c["nodes"][peer].update(address=f"{NETWORK}.13"),
                 ".address: a change needs a restart"),
                ("no pair any more", make_single, "nodes: leaving a pair needs a restart")):
            for node in nodes:
                refuse(checks, node, what, change, said)
        lab.write_config(pair_config())
        for node in nodes:
            node.ctl("reload")
        wait_protected(nodes)

        check_traffic(checks, *traffic)
        checks.equal("transitions", transitions(nodes), before)
        checks.section("failover")
        first.kill_all()
        second.wait_state("active")
        for kind, row in lab.sticky("check").items():
            checks.equal(f"{kind}: kept their target", row["kept"], learned[kind]["clients"])


def test_reload_secret(checks):
    """Certificates alone, and back: while one node signs its adverts and the other does not, one of them
    refuses what it hears, but knows by replication that its peer is Active."""
    with TestLab() as lab:
        authority, config = Authority(lab, "ca"), pair_config()
        config["pools"]["web"]["sticky"] = {"source": {"prefix4": 32}}
        lab.write_config(config)
        nodes = start_pair(lab, authority, config)
        before, opened = transitions(nodes), connects(nodes)
        traffic = start_traffic(lab)
        for order in (nodes, nodes[::-1]):
            for keys in ({}, {"key_file": authority.path("sync.key")}):
                checks.section(f"{'with' if keys else 'without'} a key, {order[0].name} first")
                config["sync"] = {"port": 5405, "sessions": "acked", **keys}
                for node in order:
                    authority.write_config(node, config)
                    node.ctl("reload")
                    heard = sum(adverts(nodes[1]))
                    nodes[1].wait(lambda heard=heard: sum(adverts(nodes[1])) >= heard + 10, 10, "adverts")
                wait_protected(nodes)
        checks.true("adverts were refused", adverts(nodes[1])[1] > 0)
        check_traffic(checks, *traffic)
        checks.equal("transitions", transitions(nodes), before)
        checks.equal("the connection stays", connects(nodes), opened)
        nodes[1].wait(lambda: not nodes[1].status()["virtual_routers"]["front"]["alarm"], 5, "no alarm")


# Virtual routers

def bare_config():
    return dict(pair_config(), virtual_routers={})


def wait_bare(checks, node):
    """It has no virtual router, and says so; but it knows its peer."""
    node.wait(lambda: node.status()["virtual_routers"] == {}, 5, "no virtual router")
    checks.equal(f"{node.name}: VIPs", held(node.lab, node), [])
    checks.true(f"{node.name}: no yoke-vrrp", "yoke-vrrp" not in node.processes().values())
    checks.equal(f"{node.name}: metrics of virtual routers",
                 [name for name in metrics(node) if name.startswith("yoke_virtual_router_")], [])


def add_routers(checks, lab, nodes):
    """On the first node, then on the other one, which is warm before it has any."""
    checks.section(f"virtual routers are added, {nodes[0].name} first")
    lab.write_config(pair_config())
    nodes[0].ctl("reload")
    nodes[0].wait_state("active", 10)
    wait_protected(nodes)
    traffic = start_traffic(lab)
    learned = lab.sticky("learn")
    wait_until(lambda: table(nodes[0]) == table(nodes[1]), 5 * SLACK, "both have the clients")
    checks.true("clients", table(nodes[1])[0] >= 100)
    checks.true("the other one says who is Active", sync(nodes[1])["peer_active"])
    nodes[1].ctl("reload")
    nodes[1].wait_state("backup", 10)
    wait_protected(nodes)
    for node in nodes:
        node.wait(lambda node=node: sync(node)["config_equal"], 5, "equal configurations")
    checks.equal("state of the first one", nodes[0].state(), "active")
    return traffic, learned


def test_reload_routers(checks):
    """A pair that has started without virtual routers replicates when a reload brings them, and ends when one
    takes them away."""
    with TestLab() as lab:
        lab.write_config(bare_config())
        nodes = [lab.nodes[name] for name in NODES]
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_pools("up", 10)
            node.wait(lambda node=node: "neither node is Active" in sync(node)["reason"], 10, "connected")
            wait_bare(checks, node)
        opened = connects(nodes)

        traffic, learned = add_routers(checks, lab, nodes)
        checks.section("they are removed from the Backup, then from the Active")
        lab.write_config(bare_config())
        nodes[1].ctl("reload")
        wait_bare(checks, nodes[1])
        wait_protected(nodes)
        check_traffic(checks, *traffic)
        nodes[0].ctl("reload")
        wait_bare(checks, nodes[0])
        checks.note("yokectl status", nodes[0].ctl("status"))

        nodes.reverse()
        traffic, _ = add_routers(checks, lab, nodes)
        check_traffic(checks, *traffic)
        for kind, row in lab.sticky("check").items():
            checks.equal(f"{kind}: kept their target", row["kept"], learned[kind]["clients"])
        checks.section("they are removed from the Active, which hands over")
        lab.write_config(bare_config())
        nodes[0].ctl("reload")
        wait_bare(checks, nodes[0])
        nodes[1].wait_state("active")
        checks.true(f"why: {nodes[1].transitions()[-1]['reason']}",
                    "resigned" in nodes[1].transitions()[-1]["reason"])
        wait_protected(nodes[::-1])
        checks.equal("sessions", table(nodes[0]), table(nodes[1]))

        checks.section("and come back, as a Backup that takes over")
        lab.write_config(pair_config())
        nodes[0].ctl("reload")
        nodes[0].wait_state("backup", 10)
        wait_protected(nodes[::-1])
        checks.equal("one connection all the time", sorted(connects(nodes)), sorted(opened))
        nodes[1].kill_all()
        nodes[0].wait_state("active")
        for kind, row in lab.sticky("check").items():
            checks.equal(f"{kind}: kept their target", row["kept"], learned[kind]["clients"])
        for node in nodes:
            checks.true(f"{node.name}: nobody died of it",
                        "died" not in node.log() and "link to yoke-vrrp lost" not in node.log())


def more_config():
    """With a second one in the same group."""
    config = pair_config()
    front = config["virtual_routers"]["front"]
    front["group"] = "all"
    config["virtual_routers"]["back"] = dict(front, vrid=52, addresses=[f"{OTHER_VIP}/24"])
    return config


def test_reload_more_routers(checks):
    """Another virtual router comes and goes beside the one that serves; whichever node is the first,
    replication goes on."""
    with TestLab() as lab:
        nodes = lab.start_pair("node1")
        traffic = start_traffic(lab)
        before, opened = transitions(nodes), connects(nodes)
        for order in (nodes, nodes[::-1]):
            checks.section(f"one more, {order[0].name} first")
            lab.write_config(more_config())
            for node in order:
                node.ctl("reload")
            for node, state in zip(nodes, ("active", "backup")):
                node.wait(lambda node=node, state=state: node.state("back") == state, 10, f"back {state}")
            wait_protected(nodes)
            checks.section(f"one less, {order[0].name} first")
            lab.write_config(pair_config())
            for node in order:
                node.ctl("reload")
                checks.equal(f"{node.name} has", list(node.status()["virtual_routers"]), ["front"])
            wait_protected(nodes)
        check_traffic(checks, *traffic)
        checks.equal("the connection stays", connects(nodes), opened)
        checks.equal("transitions of the one that stays",
                     [[line for line in lines if "vrrp front" in line] for lines in transitions(nodes)],
                     before)


def test_reload_rename(checks):
    """Another name for a virtual router moves nothing, whichever node is the first; with another VIP in the
    same reload."""
    with TestLab() as lab:
        nodes = lab.start_pair("node1")
        traffic, watch = start_traffic(lab), ArpWatch(lab)
        before, opened = transitions(nodes), connects(nodes)
        epochs = [sync(node)["epoch"] for node in nodes]
        vips = [f"{VIP}/24"]
        for name, order in (("public", nodes), ("front", nodes[::-1]), ("outside", nodes)):
            checks.section(f"{name}, {order[0].name} first")
            config = pair_config()
            router = config["virtual_routers"].pop("front")
            config["virtual_routers"][name] = router
            if name == "outside":
                vips.append(f"{OTHER_VIP}/24")
            router["addresses"] = vips
            lab.write_config(config)
            for node in order:
                node.ctl("reload")
                checks.equal(f"{node.name}: its virtual routers",
                             {key: row["state"] for key, row in node.status()["virtual_routers"].items()},
                             {name: "active" if node is nodes[0] else "backup"})
                checks.equal(f"{node.name}: VIPs", held(lab, node), sorted(vips) if node is nodes[0] else [])
                watch.wait_asked(50)
            wait_protected(nodes)
            nodes[1].wait(lambda name=name: (nodes[1].status()["virtual_routers"][name]["peer"] or {})
                          .get("state") == "active", 5, "the peer is seen by the new name")
        check_traffic(checks, *traffic)
        checks.equal("requests answered by two nodes",
                     [row for row in watch.stop().asked if len(set(row[1])) > 1], [])
        checks.equal("transitions", transitions(nodes), before)
        checks.equal("the connection stays", connects(nodes), opened)
        checks.equal("epochs", [sync(node)["epoch"] for node in nodes], epochs)
        events = [event for event in nodes[0].events("virtual_router front") if event["to"] == "removed"]
        checks.true(f"there is an event: {events[0]['reason']}", "called public" in events[0]["reason"])

        checks.section("failover")
        nodes[0].kill("yoke-vrrp")
        nodes[1].wait(lambda: nodes[1].state("outside") == "active", 5, "it takes over")
        wait_until(lambda: held(lab, nodes[1]) == sorted(vips) and held(lab, nodes[0]) == [],
                   5 * SLACK, "the VIPs have moved")


if __name__ == "__main__":
    testing.main(globals())
