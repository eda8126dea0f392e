"""What a virtual router does on its link, by the numbers of the conformance list in
vrrp/README.md."""
import re

import forge
import testing
from lab import SLACK, VIP, ArpWatch, Prober, address, pair_config, run
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


def advert_lengths(capture, node):
    rows = capture.fields(f"vrrp.type == 1 && ip.src == {address(node.name)}", "ip.len")
    return sorted({int(row[0]) for row in rows})


def refusals(node, why):
    """How many adverts were refused for this reason."""
    status = node.status()
    return status["virtual_routers"]["front"]["adverts"]["refused"].get(why, 0) if status else 0


def refuses(lab, node, why, frame):
    """Sends the frame from the observer until the node has counted the refusal."""
    before = refusals(node, why)

    def counted():
        forge.send(lab, "observer", "eth0", frame)
        return refusals(node, why) > before
    node.wait(counted, 5, f"a refusal: {why}")


def captured(capture, what):
    """The first such frame, as bytes."""
    row = capture.fields(what, "frame.number")[0][0]
    text = run("tshark", "-n", "-r", capture.path, "-Y", f"frame.number == {row}", "-x")
    return bytes.fromhex("".join(line[6:53].replace(" ", "") for line in text.splitlines()
                                 if re.match(r"[0-9a-f]{4}  ", line)))


def test_authenticated(checks):
    """69: forged and repeated adverts change nothing; who is not trusted cannot be overruled; yoked
    says goodbye with a tag."""
    with TestLab() as lab:
        capture = lab.capture()
        first, second = lab.start_pair("node1")
        checks.section("forged: no tag")
        for node in (first, second):
            refuses(lab, node, "tag_missing",
                    forge.advert("192.0.2.99", 250, [VIP], interval_cs=10))
            checks.true("logged", "advert of 192.0.2.99 refused: not authenticated" in node.log())
        checks.section("goodbye of yoked")
        struck = first.kill("yoke-vrrp")
        checks.at_most("takeover, ms", 1000 * (second.wait_state("active") - struck), 60, 3 * SLACK)
        first.wait_state("backup")
        prober = Prober(lab)
        prober.wait_ok(100)  # the capture is behind
        prober.stop()
        capture.stop()
        for node in (first, second):
            checks.equal(f"length of adverts of {node.name}: with a trailer",
                         advert_lengths(capture, node), [20 + 12 + 28])
        checks.section("the goodbye again")
        goodbye = captured(capture, "vrrp.prio == 0")
        moves = [len(node.transitions()) for node in (first, second)]
        refuses(lab, second, "tag_replayed", goodbye)
        checks.equal("moves", [len(node.transitions()) for node in (first, second)], moves)

        checks.section("a pair that does not agree: nobody is Active beside the other")
        config = pair_config("node1")
        config["virtual_routers"]["front"]["authenticate"] = False
        config["sync"]["key_file"] = f"{lab.dir}/sync.key"
        second.write_config(config)
        second.ctl("reload")
        watch = ArpWatch(lab)
        first.wait(lambda: refusals(first, "tag_missing") > 5, 5, "refusals")
        first.wait(lambda: "claims on: the kernel still hears an Active" in first.log(), 5,
                   "its claim is not heard")
        watch.stop()
        checks.equal("requests answered by two nodes", doubles(watch), [])
        checks.equal("states", [node.state() for node in (first, second)], ["backup", "active"])


if __name__ == "__main__":
    testing.main(globals())
