"""What a virtual router does on its link, by the numbers of the conformance list in
vrrp/README.md."""
import re

import testing
from lab import SLACK, ArpWatch, Prober, pair_config
from test_lease import doubles
from testing import TestLab


def when(line):
    """The time of a line of a log, in ms of its day."""
    hours, minutes, seconds = re.match(r"(\d+):(\d+):([\d.]+) ", line).groups()
    return 1000 * (3600 * int(hours) + 60 * int(minutes) + float(seconds))


def changes(node):
    """[(time in ms, from, to)] of the virtual router front."""
    found = (re.search(r"vrrp front: (\w+) -> (\w+):", line) and line
             for line in node.log().splitlines())
    return [(when(line), *re.search(r"vrrp front: (\w+) -> (\w+):", line).groups())
            for line in found if line]


def test_owner(checks):
    """14, 34: priority 255 does not wait for a silence, and takes back what it owns, also from a
    node that never preempts; never do both answer."""
    config = pair_config("node1")
    config["nodes"]["node1"]["priority"] = {"front": 255}
    config["virtual_routers"]["front"]["failback"] = "never"
    with TestLab() as lab:
        first, second = lab.start_pair("node1", config)
        rows = changes(first)
        checks.equal("34: states", [row[2] for row in rows][-2:], ["Backup", "Active"])
        checks.at_most("from Backup to Active, ms", rows[-1][0] - rows[-2][0], 30, 3 * SLACK)
        checks.equal("14: priority", first.status()["virtual_routers"]["front"]["priority"], 255)
        first.kill_all()
        second.wait_state("active")
        watch, prober = ArpWatch(lab), Prober(lab, deadline_ms=3000)
        prober.wait_ok()
        first.start()
        first.wait_state("active", 10)
        second.wait_state("backup")
        prober.wait_ok(100)
        watch.stop()
        checks.equal("requests answered by two nodes", doubles(watch), [])
        checks.at_most("outage, ms", 1000 * prober.stop().outage()[0], 100, 3 * SLACK)
        checks.note("why the other yields", second.transitions()[-1]["reason"])


if __name__ == "__main__":
    testing.main(globals())
