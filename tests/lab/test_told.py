"""What the Backup believes of the targets: what the Active has, whatever it has found or decided itself
while it was alone, whichever node heard of a target first, and however many there are."""
import testing
from lab import NODES, WEB_PORT, address, pair_config
from test_explain import metrics
from test_targets import POOLS, WEB1, WEB2, WEB3, targets
from testing import TestLab

PORT = 5405
NOBODY = "192.0.2.77:8080"


def states(node, pool="web"):
    return {text: target["state"] for text, target in targets(node, pool).items()}


def wait_states(node, wanted, pools=POOLS):
    """Checks of a busy machine may be late: then a target is down for a moment."""
    node.wait(lambda: all(states(node, pool) == wanted for pool in pools), 10, f"it has {wanted}")


def cut_channel(lab, backup):
    for name in NODES:
        lab.drop(name, f"tcp sport {PORT}")
        lab.drop(name, f"tcp dport {PORT}")
    backup.wait(lambda: backup.status()["sync"]["state"] == "disconnected"
                and backup.api.get("/v1/pools/web")["checked_by"] == "this node", 10,
                "disconnected, with checks of its own")


def block(lab, web, node, on=True):
    """The node does not reach the web server."""
    lab.run_in(web, "nft", f"add table inet lab; add chain inet lab input {{ type filter hook input "
               f"priority 0; }}; add rule inet lab input ip saddr {address(node)} tcp dport {WEB_PORT} "
               f"drop" if on else "delete table inet lab")


def test_told_reload(checks):
    """A file with more targets is reloaded, first by the Active: one of them is dead, another one the
    operator disables, a third drains. All is said before the Backup knows these targets."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            config = pair_config(primary)
            for pool in POOLS:
                config["pools"][pool]["targets"] = [WEB1]
            first, second = lab.start_pair(primary, config)
            for pool in POOLS:
                config["pools"][pool]["targets"] = [WEB1, WEB2, WEB3, NOBODY]
            lab.write_config(config)
            first.ctl("reload")
            first.wait(lambda: [states(first, pool).get(NOBODY) for pool in POOLS] == ["down"] * 2, 10,
                       "it has found the dead one")
            for pool in POOLS:
                first.ctl("disable", pool, WEB2)
                first.ctl("drain", pool, WEB3, "--drain-timeout", "1h")
            wanted = {WEB1: "up", WEB2: "disabled", WEB3: "draining", NOBODY: "down"}
            wait_states(first, wanted)
            second.ctl("reload")
            wait_states(second, wanted)
            left = targets(second)[WEB3]["drain_left_ms"]
            checks.true(f"the end of the drain: {left} ms", 3400_000 < left <= 3600_000)
            second.wait_in_sync()


def test_told_cut(checks):
    """The replication is cut, the VIP is not. Then the Backup decides itself how targets are, and the
    operator may change them there; but when the nodes are together again, what the Active has counts."""
    with TestLab() as lab:
        first, second = lab.start_pair()
        checks.section("cut: the Backup does not reach web3, and web1 is disabled there")
        block(lab, "web3", second.name)
        cut_channel(lab, second)
        for pool in POOLS:
            second.ctl("disable", pool, WEB1)
        second.ctl("add", "web", NOBODY)
        wait_states(second, {WEB1: "disabled", WEB2: "up", WEB3: "down"}, ["known"])
        wait_states(first, {WEB1: "up", WEB2: "up", WEB3: "up"})
        checks.section("together again")
        snapshots = first.status()["sync"]["reason"]
        lab.undrop()
        second.wait_in_sync()
        wait_states(second, {WEB1: "up", WEB2: "up", WEB3: "up"})
        checks.true(f"it was resumed: {first.status()['sync']['reason']}, before {snapshots}",
                    "resumed" in first.status()["sync"]["reason"])
        second.wait(lambda: second.api.get("/v1/pools/web")["checked_by"] == "peer", 10, "it is told")

        checks.section("the Backup starts anew, and still does not reach web3")
        old = second.pid_of("yoke-proxy")
        second.kill("yoke-proxy")
        second.wait(lambda: [pid for pid, name in second.processes().items()
                             if name == "yoke-proxy" and pid != old], 10, "a new yoke-proxy")
        second.wait_in_sync()
        wait_states(second, {WEB1: "up", WEB2: "up", WEB3: "up"})
        second.wait(lambda: second.api.get("/v1/pools/web")["checked_by"] == "peer", 10, "it is told")


def test_told_unchecked(checks):
    """A target is down; then a file without checks of that pool is reloaded, by the Backup first. There the
    target is up, and what the Active says is not believed: nobody would find that it is over."""
    with TestLab() as lab:
        config = pair_config()
        first, second = lab.start_pair(config=config)
        lab.webs["web3"].set_healthy(False)
        down = {WEB1: "up", WEB2: "up", WEB3: "down"}
        wait_states(second, down)
        del config["pools"]["known"]["health"]
        lab.write_config(config)
        told = metrics(second)["yoke_sync_received_records_total"]
        second.ctl("reload")
        second.wait(lambda: metrics(second)["yoke_sync_received_records_total"] >= told + 17, 10,
                    "it is told how all are")
        wait_states(second, {WEB1: "up", WEB2: "up", WEB3: "up"}, ["known"])
        wait_states(second, down, ["web"])
        wait_states(first, down)
        checks.equal("and it stays so: the pool without checks",
                     set(second.pools()["known"].values()), {"up"})


def test_told_many(checks):
    """A Backup that starts is told of 32,000 targets: it does not hang over it, and gets in sync."""
    with TestLab() as lab:
        config = pair_config()
        for pool in range(32):
            config["pools"][f"bulk{pool}"] = {
                "targets": [f"198.18.{pool}.{n // 250}:{n % 250 + 1}" for n in range(1000)]}
        lab.write_config(config)
        first, second = lab.nodes["node1"], lab.nodes["node2"]
        first.start()
        first.wait_state("active", 30)
        second.start()
        second.wait_in_sync(30)
        said = second.status()["sync"]["reason"]
        checks.true(said, " 32008 targets" in said)
        checks.note("times that they lost each other on the way",
                    first.log().count("disconnected from") + second.log().count("disconnected from"))


if __name__ == "__main__":
    testing.main(globals())
