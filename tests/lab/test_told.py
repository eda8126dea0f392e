"""What the Backup believes of the targets: what the Active has, however many there are."""
import testing
from lab import pair_config
from testing import TestLab


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
