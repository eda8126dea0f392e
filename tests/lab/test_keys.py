"""The secret of the pair: changed under traffic, wrong, and never told."""
import os

import testing
from lab import Prober
from test_explain import metrics
from testing import TestLab


def metric(node, name):
    return metrics(node)[f"yoke_{name}"]


def refused_adverts(node):
    return node.status()["virtual_routers"]["front"]["adverts"]["refused"]


def change(lab, nodes, *keys):
    """The file of both, and a reload of each, as the operator does it."""
    lab.write_keys(*keys)
    for node in nodes:
        node.ctl("reload")


def test_key_rotation(checks):
    """Three reloads exchange the key of a pair that works."""
    old, new = os.urandom(32), os.urandom(32)
    with TestLab() as lab:
        lab.write_keys(old)
        first, second = nodes = lab.start_pair("node1")
        learned = lab.sticky("learn")["cookie"]
        checks.true("cookie clients", learned["clients"] >= 100 and not learned["failed"])
        moves = [len(node.transitions()) for node in nodes]
        connects = [metric(node, "sync_connects_total") for node in nodes]
        prober = Prober(lab, deadline_ms=3000)
        prober.wait_ok()

        def clients_return(what, anew):
            row = lab.sticky("check")["cookie"]
            checks.equal(f"{what}: kept their target", row["kept"], learned["clients"])
            checks.equal(f"{what}: cookies given anew", row["new_cookie"], anew)

        checks.section("1: the new key is the second one; the nodes take turns, as in life")
        change(lab, (second, first), old, new)
        clients_return("1", 0)
        checks.section("2: it is the first one")
        change(lab, (first, second), new, old)
        clients_return("2", learned["clients"])
        clients_return("2, again", 0)
        checks.true("cookies of the old key were seen",
                    metric(first, "sticky_stale_total") >= learned["clients"])
        checks.equal("connected all the time",
                     [metric(node, "sync_connects_total") for node in nodes], connects)
        checks.section("3: it is the only one")
        change(lab, (second, first), new)
        for node, before in zip(nodes, connects):
            node.wait(lambda node=node, before=before:
                      metric(node, "sync_connects_total") > before, 10, "it has connected anew")
            node.wait_in_sync()
        clients_return("3", 0)
        prober.wait_ok()
        traffic = prober.stop()
        checks.equal("requests that failed", traffic.failures_text(), "none")
        for node, moved in zip(nodes, moves):
            checks.equal(f"{node.name}: transitions", len(node.transitions()), moved)
            checks.equal(f"{node.name}: adverts refused", refused_adverts(node), {})
            checks.equal(f"{node.name}: handshakes that failed",
                         metric(node, "sync_handshake_failures_total"), 0)

        checks.section("the old key is of no use any more")
        change(lab, (second,), old)
        second.wait(lambda: refused_adverts(second).get("tag_key", 0) > 3, 5, "adverts refused")
        second.wait(lambda: metric(second, "sync_handshake_failures_total") > 1, 10,
                    "connections refused")
        checks.equal("replication", [node.status()["sync"]["state"] for node in nodes],
                     ["disconnected"] * 2)
        checks.true("logged", "authenticated by a key that we do not have" in second.log())
        change(lab, (second,), new)
        for node in nodes:
            node.wait_in_sync()

        checks.section("a failover after all of this")
        first.kill_all()
        second.wait_state("active")
        clients_return("by the other node", 0)


def test_key_errors(checks):
    """A reload whose key file is wrong says where and what to do, and changes nothing."""
    keys = [os.urandom(32) for _ in range(3)]
    with TestLab() as lab:
        lab.write_keys(keys[0])
        node = lab.start_pair("node1")[0]
        path = os.path.join(lab.dir, "sync.key")
        lab.write_keys(*keys)
        for mode, said in ((0o600, f"{path}:3: a third key; two are accepted: remove the oldest"),
                           (0o640, f"chmod 600 {path}")):
            os.chmod(path, mode)
            answer = node.ctl("reload", check=False)
            checks.true(f"{said}: {answer}", said in answer)
        checks.equal("replication", node.status()["sync"]["state"], "in_sync")


if __name__ == "__main__":
    testing.main(globals())
