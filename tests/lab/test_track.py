"""What a node watches besides its peer, and virtual routers that move together."""
import os
import time

import testing
from lab import NETWORK, WEBS, Prober, address, pair_config, run
from segment import HOSTS, NETWORK6
from testing import TestLab

GATEWAY = f"{NETWORK}.250"
VIP2 = "198.51.100.10"
SECOND = {"node1": "198.51.100.11", "node2": "198.51.100.12", "observer": "198.51.100.2"}
VRRP, SYNC = "ip protocol 112", ("tcp dport 5405", "tcp sport 5405")


def tracking_config(track, failback="manual", **keys):
    config = pair_config("node1")
    config["virtual_routers"]["front"].update(track=track, failback=failback, **keys)
    return config


def router(node, name="front"):
    return node.status()["virtual_routers"][name]


def wait_priority(node, priority):
    node.wait(lambda: router(node)["priority"] == priority, 5, f"priority {priority}")


def add_gateway(lab):
    lab.ip_batch(lab.name("observer"), [f"addr add {GATEWAY}/24 dev eth0"])


def block_gateway(lab, *nodes):
    """It does not answer these nodes."""
    lab.run_in("observer", "nft", "add table ip gate; add chain ip gate in "
               "{ type filter hook input priority 0; };" + "".join(
                   f"add rule ip gate in ip saddr {address(node)} ip daddr {GATEWAY} drop;"
                   for node in nodes))


def unblock_gateway(lab):
    lab.run_in("observer", "nft", "delete table ip gate")


def test_track_address(checks):
    """A gateway that the Active does not reach takes from its priority, and the peer relieves it in
    spite of failback manual; what both have moves nothing; who recovers does not take it back."""
    with TestLab(ipv6=True) as lab:
        add_gateway(lab)
        gate = {"address": GATEWAY, "interval": "100ms", "timeout": "100ms", "rise": 2, "fall": 2,
                "weight": 100}
        gate6 = f"{NETWORK6}:{HOSTS['observer']}"
        first, second = lab.start_pair("node1", tracking_config({"addresses": [gate, gate6]}))
        first.wait(lambda: router(first)["tracked"][f"address {gate6}"]["reason"] == "answers", 5,
                   "an answer by IPv6")
        prober = Prober(lab)
        prober.wait_ok()

        checks.section("one does not reach it")
        block_gateway(lab, "node1")
        second.wait_state("active")
        first.wait_state("backup")
        checks.equal("priority", router(first)["priority"], 100)
        checks.equal("as configured", router(first)["configured_priority"], 200)
        why = first.transitions()[-1]["reason"]
        checks.true(f"it says both: {why}", " [priority 100 of 200; " in why)
        part = router(first)["tracked"][f"address {GATEWAY}"]
        checks.equal("the part", part, {"failing": True, "weight": 100,
                                        "reason": "no answer in 100 ms"})
        checks.true("yokectl shows it", f"address {GATEWAY}: FAILS, -100 (no answer in 100 ms)"
                    in first.ctl("status"))
        checks.true("an event", [e for e in first.events(f"address {GATEWAY} of front")
                                 if e["to"] == "failing"])
        reason = second.transitions()[-1]["reason"]
        checks.note("reason", reason)
        checks.true("it relieves", "relieves" in reason)
        prober.wait_ok()
        checks.in_time("without service, ms", prober.stop().outage()[0] * 1000, 340)

        checks.section("it comes back, and nothing moves")
        unblock_gateway(lab)
        wait_priority(first, 200)
        moves = len(first.transitions()) + len(second.transitions())

        checks.section("nobody reaches it, and nothing moves")
        block_gateway(lab, "node1", "node2")
        wait_priority(first, 100)
        wait_priority(second, 50)
        time.sleep(1)  # five times the patience of who thinks that it is better off
        checks.equal("states", (first.state(), second.state()), ("backup", "active"))
        checks.equal("moves", len(first.transitions()) + len(second.transitions()) - moves, 0)


def add_interface(lab, node, name="eth1"):
    """A second cable from that node, to a switch of its own; and what it is called at the switch."""
    switch, port = lab.name("switch"), f"{node}x"
    if "br1" not in run("ip", "-n", switch, "-br", "link"):
        lab.ip_batch(switch, ["link add br1 type bridge stp_state 0 forward_delay 0 "
                              "mcast_snooping 0", "link set br1 up"])
    lab.ip_batch(switch, [f"link add {port} type veth peer name {name} netns {lab.name(node)}",
                          f"link set {port} master br1 up"])
    lab.ip_batch(lab.name(node), [f"addr add {SECOND[node]}/24 dev {name}", f"link set {name} up"])
    return port


def test_track_interface(checks):
    """Another interface without carrier is a fault at once, told by priority 0."""
    with TestLab() as lab:
        port = {node: add_interface(lab, node) for node in lab.nodes}
        first, second = lab.start_pair("node1", tracking_config({"interfaces": ["eth1"]}))
        checks.equal("state before", first.state(), "active")
        moment = time.monotonic()
        lab.link(port["node1"], up=False)
        checks.in_time("takeover, ms", (second.wait_state("active") - moment) * 1000, 200, moment)
        first.wait_state("fault")
        reason = first.transitions()[-1]["reason"]
        checks.true(f"it says why: {reason}", "interface eth1 has no carrier" in reason)
        reason = second.transitions()[-1]["reason"]
        checks.true(f"it was told: {reason}", "resigned" in reason or "handed over" in reason)
        lab.link(port["node1"], up=True)
        first.wait_state("backup")
        checks.equal("who serves", second.state(), "active")


def test_track_link_local(checks):
    """A link-local address is asked on the interface of the virtual router that tracks it."""
    with TestLab(ipv6=True) as lab:
        for role in (*lab.nodes, "observer"):
            add_interface(lab, role)
        config = group_config()
        for name, device in {"front": "eth0", "back": "eth1"}.items():
            config["virtual_routers"][name]["track"] = {
                "addresses": [lab.link_local("observer", device)]}
        first, second = lab.start_pair("node1", config)
        for node in (first, second):
            for name in ("front", "back"):
                node.wait(lambda node=node, name=name: [part["reason"] for part in router(
                    node, name)["tracked"].values()] == ["answers"], 5, f"an answer to {name}")
        checks.equal("priority", router(first)["priority"], 200)


def group_config():
    config = tracking_config({}, group="both")
    config["virtual_routers"]["back"] = {
        "vrid": 52, "interface": "eth1", "addresses": [f"{VIP2}/24"], "advertise": "100ms",
        "group": "both"}
    return config


def wait_both(node, state, timeout=5):
    node.wait(lambda: node.state() == node.state("back") == state, timeout, f"both {state}")


def test_group(checks):
    """Virtual routers on two interfaces move together: a cable, the operator, and a Backup that
    waits because the peer is still heard for the other one."""
    with TestLab() as lab:
        port = {node: add_interface(lab, node) for node in lab.nodes}
        first, second = lab.start_pair("node1", group_config())
        wait_both(first, "active")
        wait_both(second, "backup")

        checks.section("one cable of two is pulled")
        lab.link(port["node1"], up=False)
        wait_both(second, "active")
        wait_both(first, "fault")
        checks.note("reason", first.transitions()[-1]["reason"])
        checks.true("it names the other", any("of the same group: interface eth1" in e["reason"]
                                              for e in first.transitions()))
        lab.link(port["node1"], up=True)
        wait_both(first, "backup")

        checks.section("the operator moves one of two")
        first.wait_in_sync()
        second.ctl("failover", "back")
        wait_both(first, "active", 1)  # at once: not when a split has been noticed and mended
        wait_both(second, "backup")

        checks.section("adverts of one are lost, and what could tell otherwise")
        moves = len(second.transitions())
        for match in SYNC:
            lab.drop("node1", match)
        for node in port.values():
            lab.drop(node, VRRP)
        held = second.wait(lambda: router(second, "back")["held"], 5, "back is held")
        checks.note("held", held)
        checks.true("it says by whom", "front of the same group" in held)
        time.sleep(1)  # three times as long as a Backup is patient
        checks.equal("moves", len(second.transitions()) - moves, 0)

        checks.section("until the other one is lost too")
        lab.drop("node1", VRRP)
        lab.drop("node2", VRRP)
        wait_both(second, "active")
        lab.undrop()
        wait_both(first, "active")
        wait_both(second, "backup")


def test_witness(checks):
    """A node that hears neither its peer nor the witness is the one that is cut off, and stays
    Backup; the Active goes on without both; where the witness answers, nothing takes longer."""
    with TestLab() as lab:
        add_gateway(lab)
        first, second = lab.start_pair("node1", tracking_config({"witness": GATEWAY}))
        checks.section("the Backup is cut off")
        lab.isolate(second.name, True)
        held = second.wait(lambda: router(second)["held"], 5, "held")
        checks.note("held", held)
        checks.true("it says why", GATEWAY in held)
        checks.true("an event", second.events("promotion of front"))
        checks.true("yokectl shows it", "HELD BACK: adverts are missing" in second.ctl("status"))
        time.sleep(1)  # three times as long as a Backup is patient
        checks.equal("states", (first.state(), second.state()), ("active", "backup"))
        lab.isolate(second.name, False)
        second.wait(lambda: not router(second)["held"], 5, "not held any more")
        checks.equal("it was Active", [e for e in second.transitions() if e["to"] == "active"], [])

        checks.section("the Active is cut off")
        moment = time.monotonic()
        lab.isolate(first.name, True)
        checks.in_time("takeover, ms", 1000 * (second.wait_state("active") - moment), 340, moment)
        checks.equal("the one that is cut off goes on", first.state(), "active")
        lab.isolate(first.name, False)
        first.wait_state("active")
        second.wait_state("backup")


def test_deaf_start(checks):
    """33, 35: a node whose switch port is still blocked when it starts does not become Active on it,
    in spite of its carrier; when nothing is heard for long, it does."""
    with TestLab() as lab:
        # A port of a real switch has no IPv6 of its own that asks for routers.
        lab.sysctl("switch", "net/ipv6/conf/all/disable_ipv6", "1")
        first, second = lab.start_pair("node1", tracking_config({}, startup_delay="4s"))
        second.stop()
        lab.isolate("node2", True)
        second.start()
        held = second.wait(lambda: (second.status() or {}).get("virtual_routers", {}).get(
            "front", {}).get("held"), 5, "held")
        checks.note("held", held)
        checks.true("it says why", "no frame has arrived on eth0" in held)
        lab.isolate("node2", False)
        second.wait(lambda: not router(second)["held"], 3, "not held any more")
        checks.equal("states", (first.state(), second.state()), ("active", "backup"))
        checks.equal("it was Active", [e for e in second.transitions() if e["to"] == "active"], [])

        checks.section("a network where nobody speaks")
        second.stop()
        first.kill_all()
        lab.isolate("node2", True)
        begun = time.monotonic()
        second.start()
        after_s = second.wait_state("active", 8) - begun
        checks.true(f"not sooner than the delay of 4 s, after {after_s:.1f}", after_s > 4)

        checks.section("a shorter delay, by a reload")
        second.stop()
        lab.write_config(tracking_config({}, startup_delay="600s"))
        second.start()
        second.wait(lambda: (second.status() or {}).get("virtual_routers", {}).get(
            "front", {}).get("held"), 5, "held")
        lab.write_config(tracking_config({}, startup_delay="1s"))
        second.ctl("reload")
        second.wait_state("active", 5)


def test_track_pool(checks):
    """The Active reaches no target, its peer does; and the Backup knows that because it looks for
    itself, while the Active tells it that all are down."""
    with TestLab() as lab:
        track = {"pools": [{"name": "web", "at_least": "50%", "weight": 100}]}
        first, second = lab.start_pair("node1", tracking_config(track))
        checks.section("the Active does not reach them")
        for web in WEBS:
            lab.run_in(web, "nft", "add table ip gate; add chain ip gate in { type filter hook "
                       f"input priority 0; }}; add rule ip gate in ip saddr {address('node1')} "
                       "tcp dport 8080 drop")
        second.wait_state("active")
        first.wait_state("backup")
        checks.equal("priority", router(first)["priority"], 100)
        checks.note("reason", router(first)["tracked"]["pool web"]["reason"])
        second.wait(lambda: set(second.pools()["web"].values()) == {"up"}, 5, "all up")
        first.wait_in_sync()
        first.wait(lambda: set(first.pools()["web"].values()) == {"up"}, 5, "told that all are up")
        seen = {t["seen_from_here"]["health"]
                for t in first.api.get("/v1/pools/web")["targets"]}
        checks.equal("seen from the Backup", seen, {"down"})
        for web in WEBS:
            lab.run_in(web, "nft", "delete table ip gate")
        wait_priority(first, 200)
        checks.equal("who serves", second.state(), "active")

        checks.section("nobody reaches them")
        for web in lab.webs.values():
            web.set_healthy(False)
        wait_priority(first, 100)
        wait_priority(second, 50)
        checks.equal("states", (first.state(), second.state()), ("backup", "active"))


def test_track_script(checks):
    """A script of the administrator's says what nothing else sees; it runs as nobody important, and
    neither its death nor its sleep stops anything."""
    with TestLab() as lab:
        flag, script = lab.scratch("flag"), lab.scratch("check")
        with open(script, "w", encoding="ascii") as file:
            file.write(f"""#!/bin/sh
                [ $(id -u) != 0 ] || exit 7
                [ $1 = /etc/hostname ] && [ ! -e {flag} ] && echo all is well && exit 0
                [ $(cat {flag}) = hang ] && sleep 100
                echo out of order; exit 1""")
        os.chmod(script, 0o755)
        track_script(checks, lab, flag, script)


def track_script(checks, lab, flag, script):
    check = {"command": [script, "/etc/hostname"], "interval": "1s", "timeout": "1s",
             "weight": 100}
    first, second = lab.start_pair("node1", tracking_config({"scripts": [check]}))
    part = f"script {script}"
    first.wait(lambda: router(first)["tracked"][part]["reason"] == "all is well", 5, "good")

    checks.section("it fails, on both nodes alike")
    with open(flag, "w", encoding="ascii") as file:
        file.write("fail")
    wait_priority(first, 100)
    wait_priority(second, 50)
    checks.equal("why", router(first)["tracked"][part],
                 {"failing": True, "weight": 100, "reason": "exit code 1: out of order"})
    os.unlink(flag)
    wait_priority(first, 200)
    checks.equal("who serves", (first.state(), second.state()), ("active", "backup"))

    checks.section("it hangs")
    with open(flag, "w", encoding="ascii") as file:
        file.write("hang")
    wait_priority(first, 100)
    checks.equal("why", router(first)["tracked"][part]["reason"], "no end in 1000 ms")
    os.unlink(flag)
    wait_priority(first, 200)

    checks.section("another yoke-vrrp learns of it, too")
    first.kill("yoke-vrrp")
    second.wait_state("active")
    first.wait_state("backup", 10)
    first.wait(lambda: router(first)["tracked"][part]["reason"] == "all is well", 5, "good again")


def test_track_reload(checks):
    """What is tracked comes and goes by reloads, in place; what is known of the rest is kept."""
    with TestLab() as lab:
        add_gateway(lab)
        for node in lab.nodes:
            add_interface(lab, node)
        gate = {"address": GATEWAY, "interval": "100ms", "timeout": "100ms", "weight": 50}
        absent = {"address": f"{NETWORK}.251", "interval": "100ms", "timeout": "100ms", "weight": 100}
        nodes = lab.start_pair("node1", tracking_config({"addresses": [gate]}))
        moves = [len(node.transitions()) for node in nodes]

        def put_in_force(track):
            lab.write_config(tracking_config(track))
            for node in nodes:
                node.ctl("reload")

        def known(node):
            return {name: part["failing"] for name, part in router(node)["tracked"].items()}
        put_in_force({"interfaces": ["eth1"], "addresses": [absent, gate]})
        for node, priority in zip(nodes, (100, 50)):
            wait_priority(node, priority)
            checks.equal("known", known(node), {
                "interface eth1": False, f"address {NETWORK}.251": True, f"address {GATEWAY}": False})
        put_in_force({"addresses": [gate]})
        for node, priority in zip(nodes, (200, 150)):
            wait_priority(node, priority)
            checks.equal("known", known(node), {f"address {GATEWAY}": False})
        checks.section("one program twice, with other arguments")
        tests = [{"command": ["/usr/bin/test", "-e", path], "interval": "60s", "weight": 10}
                 for path in ("/nowhere", "/")]
        put_in_force({"scripts": tests})
        for node, priority in zip(nodes, (190, 140)):
            wait_priority(node, priority)
            node.wait(lambda node=node: known(node) == {
                "script /usr/bin/test": True, "script /usr/bin/test #2": False}, 5, "both")
        count = [(node.log().count("priority "), len(node.events("script "))) for node in nodes]
        put_in_force({"scripts": [tests[0], dict(tests[1], weight=20)]})
        for node, before in zip(nodes, count):
            checks.equal("changes of the priority, events", (
                node.log().count("priority "), len(node.events("script "))), before)
        checks.equal("transitions", [len(node.transitions()) for node in nodes], moves)


if __name__ == "__main__":
    testing.main(globals())
