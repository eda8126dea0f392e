"""Rate limits outlive the Active: who was refused is refused by the survivor, from his first request on."""
import testing
from lab import COOKIE_PORT, NODES, SLACK, SOURCE_PORT, SOURCES, VIP, pair_config
from test_explain import metrics
from testing import TestLab

# One more each six minutes: none while a test runs.
LIMIT = {"rate": "10/h", "burst": 5}
ABUSER, GUEST, NEWCOMER = SOURCES[:3]
KEYS = 2  # at their limit: the abuser by his address, and all together at the other listener


def config(primary):
    limited = pair_config(primary)
    limited["listeners"]["web"]["rate_limit"] = LIMIT
    limited["listeners"]["known"]["rate_limit"] = {**LIMIT, "key": "none"}
    return limited


def ask(lab, source, port=COOKIE_PORT, n=1):
    """The statuses of so many requests, one after the other."""
    return [int(lab.run_in("client", "curl", "-s", "-o", "/dev/null", "-m", 3 * SLACK, "--interface",
                           source, "-w", "%{http_code}", f"http://{VIP}:{port}/")) for _ in range(n)]


def heard(node):
    """How many keys the peer has told this node of, and what became of them."""
    name = 'yoke_sync_rate_limits_received_total{result="'
    return {key[len(name):-2]: value for key, value in metrics(node).items() if key.startswith(name)}


def wait_told(node):
    """Whatever is true now has been told, whatever was on its way before: two rounds."""
    before = sum(heard(node).values())
    node.wait(lambda: sum(heard(node).values()) >= before + 3 * KEYS, 10, "told of the limits")


def check_limits(checks, lab):
    checks.equal("who was at his limit", ask(lab, ABUSER, n=3), [429] * 3)
    checks.equal("all together, by somebody new", ask(lab, NEWCOMER, SOURCE_PORT, n=3), [429] * 3)
    checks.equal("who was not", ask(lab, GUEST), [200])
    checks.equal("somebody new", ask(lab, NEWCOMER), [200])


def test_limits_known(checks):
    """Over power off, either node being the Active once; then back to that node, which has started
    with nothing."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            first, second = lab.start_pair(config=config(primary), primary=primary)
            checks.equal("at the Active", ask(lab, ABUSER, n=7), [200] * 5 + [429] * 2)
            checks.equal("at its other listener", ask(lab, ABUSER, SOURCE_PORT, 6),
                         [200] * 5 + [429])
            checks.equal("a guest", ask(lab, GUEST), [200])
            wait_told(second)
            first.power_off()
            lab.flush_arp("client", VIP)
            second.wait_state("active")
            check_limits(checks, lab)
            checks.section("back")
            first.power_on()
            first.wait_state("backup", 10)
            first.wait_in_sync()
            wait_told(first)
            second.ctl("failover")
            first.wait_state("active")
            lab.flush_arp("client", VIP)
            check_limits(checks, lab)
            for node in (first, second):
                results = heard(node)
                checks.true(f"{node.name} was told of {results}", results.pop("applied") >= KEYS)
                results.pop("known")
                checks.equal(f"{node.name}: what did not fit", {k: v for k, v in results.items() if v},
                             {})


if __name__ == "__main__":
    testing.main(globals())
