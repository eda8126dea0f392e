"""Reload in place, under traffic."""
import json
import os
import signal

import testing
from lab import COOKIE_PORT, SLACK, SQL_PORT, VIP, WEB_PORT, Prober, Tool, address, pair_config
from lab import wait_until
from testing import TestLab

RELOADS = 100
EXTRA_PORT = 90


def variant(i):
    """The i-th configuration: a listener with a pool of its own comes and goes, weights change, and
    in every tenth a target leaves a pool that others use."""
    config = pair_config()
    pools = config["pools"]
    if i % 2:
        config["listeners"]["extra"] = {"bind": f"{VIP}:{EXTRA_PORT}", "mode": "http",
                                        "pool": "extra"}
        pools["extra"] = {"targets": [address("web1", WEB_PORT)]}
    if i % 3:
        for n, target in enumerate(pools["web"]["targets"]):
            pools["web"]["targets"][n] = {"address": target, "weight": 1 + (i + n) % 5}
    if i % 10 == 9:
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


def test_reload_100(checks):
    with TestLab() as lab:
        active, standby = lab.start_pair(config=variant(0))
        learned = lab.sticky("learn")
        checks.true("sticky clients", learned["source"]["clients"] >= 100)
        events = {node: len(node.transitions()) for node in (active, standby)}
        pids = {node: node.processes() for node in (active, standby)}
        prober = Prober(lab)
        holds = [Tool(lab, "client", "hold", "http", VIP, COOKIE_PORT),
                 Tool(lab, "client", "hold", "echo", VIP, SQL_PORT)]
        wait_until(lambda: all(hold.latest().get("ready") == 4 for hold in holds), 5 * SLACK,
                   "connections are held")
        prober.wait_ok()
        checks.section(f"{RELOADS} reloads")
        wrong = []
        for i in range(1, RELOADS + 1):
            lab.write_config(variant(i))
            if i % 2:
                active.ctl("reload")
            else:
                reload_by_signal(active)
            reload_by_signal(standby)
            served = fetch(lab, EXTRA_PORT)
            if served != ("web1" if i % 2 else ""):
                wrong.append((i, served))
        prober.wait_ok()
        traffic = prober.stop()
        checks.section("what the clients saw")
        checks.equal("requests that failed", traffic.failures_text(), "none")
        checks.note("requests", len(traffic.rows))
        checks.note("slowest answer, ms", 1000 * traffic.slowest())
        checks.equal("the listener that comes and goes, wrong", wrong, [])
        for hold in holds:
            seen = hold.stop()
            checks.equal("held connections that broke", seen["broken"], [])
            checks.true("they were used", seen["exchanges"] > 100)
        for kind, row in lab.sticky("check").items():
            # A weight never moves a session, and all targets of these pools stayed.
            checks.equal(f"{kind}: kept their backend", row["kept"], row["clients"])
        for node in (active, standby):
            checks.equal(f"{node.name}: transitions", len(node.transitions()) - events[node], 0)
            checks.equal(f"{node.name}: the same processes", node.processes(), pids[node])
            checks.true(f"{node.name}: equal configurations", node.status()["sync"]["config_equal"])
            checks.true(f"{node.name}: generation", node.status()["generation"] > RELOADS)


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
        checks.equal("requests that failed", prober.stop().failures_text(), "none")
        after = active.status()
        for key in ("config_hash", "generation"):
            checks.equal(key, after[key], before[key])
        with open(active.config_path, "w", encoding="utf-8") as file:
            file.write(good)
        active.ctl("reload")
        checks.equal("state", active.state(), "active")


if __name__ == "__main__":
    testing.main(globals())
