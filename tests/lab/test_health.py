"""What one node knows of the targets, the other knows when it takes over."""
import time

import testing
from failover import check_story, failover
from lab import NODES, VIP, WEB_PORT, address, COOKIE_PORT, SLACK, wait_until
from testing import TestLab


def test_health_known(checks):
    """One target failed its checks and one was disabled by the operator before the failover: the
    new Active shows it at once and sends neither a single request."""
    down, disabled = address("web3", WEB_PORT), address("web2", WEB_PORT)
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            first, second = lab.start_pair(primary)
            lab.webs["web3"].set_healthy(False)
            for pool in ("web", "known"):
                first.ctl("disable", pool, disabled)

            def seen(node):
                pools = node.pools() or {}
                return all(pools.get(pool, {}).get(down) == "down"
                           and pools[pool].get(disabled) == "disabled" for pool in ("web", "known"))
            for node in (first, second):
                node.wait(lambda n=node: seen(n), 5, "one target down, one disabled")
            story = failover(lab, first, second, first.kill_all, clients=False)
            check_story(checks, story, 400, clients=False)
            checks.equal("state of the target that is down",
                         story.pools_at_once["web"][down], "down")
            checks.equal("state of the disabled target",
                         story.pools_at_once["web"][disabled], "disabled")
            for name in ("web2", "web3"):
                sent = lab.webs[name].requests(source=address(second.name))
                checks.equal(f"requests of the survivor to {name}", len(sent), 0)
            sent = lab.webs["web1"].requests(source=address(second.name))
            checks.true("requests of the survivor to web1", len(sent) > 100)

            checks.section("the survivor checks now")
            wall = time.time()
            lab.webs["web3"].set_healthy(True)
            second.wait(lambda n=second: n.pools()["web"][down] == "up", 5, "the target up again")
            checks.true("its own checks", lab.webs["web3"].requests(
                wall, address(second.name), checks=True))


def fetch_status(lab):
    return lab.run_in("client", "curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}",
                      f"http://{VIP}:{COOKIE_PORT}/", check=False)


def test_all_down(checks):
    """503 at once, and service again when a target is back."""
    with TestLab() as lab:
        first, _ = lab.start_pair()
        for web in lab.webs.values():
            web.set_healthy(False)
        first.wait(lambda: "up" not in first.pools()["web"].values(), 5, "all targets down")
        begun = time.monotonic()
        checks.equal("status without a target", fetch_status(lab), "503")
        checks.at_most("time to the answer, ms", 1000 * (time.monotonic() - begun), 500, SLACK)
        lab.webs["web2"].set_healthy(True)
        wait_until(lambda: fetch_status(lab) == "200", 5 * SLACK, "service with one target")
        checks.equal("who serves", lab.run_in("client", "curl", "-s", f"http://{VIP}/").strip(),
                     "web2")


if __name__ == "__main__":
    testing.main(globals())
