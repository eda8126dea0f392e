"""Connections that a node has accepted when the VIP leaves it: it forgets them, and their clients are told by the
next Active as soon as they say something."""
import re
import signal
import time

import testing
from lab import NETWORK6, NODES, SLACK, SOURCES, VIP, VIP6, Tool, add_ipv6, address, pair_config, wait_until
from test_explain import metrics
from test_warmth import table
from testing import TestLab

ANY_PORT = 90
TO_VIP = [f"http:{VIP}:80", f"http:{VIP}:81", f"echo:{VIP}:5432", f"echo:{VIP}:{ANY_PORT}"]


def tell(tool):
    """A line of input."""
    tool.process.stdin.write(b"\n")
    tool.process.stdin.flush()


class Quiet:
    """One connection to each of these, which say nothing until they are asked."""

    def __init__(self, lab, *where):
        self.tool = Tool(lab, "client", "quiet", "--timeout", str(5 * SLACK), *where)
        self.asked = 0
        wait_until(lambda: self.tool.latest().get("ready") == len(where), 10 * SLACK, "quiet connections")

    def ask(self):
        """(what became of each, ms of the slowest)"""
        self.asked += 1
        tell(self.tool)
        wait_until(lambda: self.tool.latest().get("asked") == self.asked, 60 * SLACK, "what became of them")
        latest = self.tool.latest()
        return latest["became"], latest["ms"]


def make_config(primary="node1"):
    """With a listener on every address of the host."""
    config = pair_config(primary)
    config["listeners"]["any"] = {"bind": f"0.0.0.0:{ANY_PORT}", "mode": "tcp", "pool": "sql"}
    return config


def connections(node):
    return metrics(node)["yoke_client_connections"]


def ended(node):
    """What it has counted, and said: lines of the log."""
    return (metrics(node)["yoke_vip_moved_closed_total"],
            re.findall(r"virtual router front: .*: (\d+) connections ended", node.log()))


def check_moved(checks, old, new, left):
    """The VIP has gone from `old` to `new`, which is Active; what was of it is over on `old` soon."""
    begun = time.monotonic()
    old.wait(lambda: old.state() == "backup" and connections(old) == left, 10,
             f"only {left} of its connections are left")
    checks.at_most("until they are gone, ms", 1000 * (time.monotonic() - begun), 1000, 3 * SLACK)
    for node in (new, old):
        node.wait_in_sync()
    old.wait(lambda: table(old) == table(new), 5, "the same sessions")


def freeze(checks, lab, old, new, host, sources, left=0):
    """`old` stands still while clients come, and goes on when `new` has the VIP: with the connections that it had, and
    those that wait in its queues. Who is answered has a session that the pair knows."""
    late = Tool(lab, "client", "late", host, "81", *sources)
    wait_until(lambda: late.latest(), 10 * SLACK, "those who come late")
    old.signal_all(signal.SIGSTOP)
    tell(late)
    new.wait_state("active")
    wait_until(lambda: "ready" in late.latest(), 60 * SLACK, "they are in the queue")
    # On a busy machine some come only when the lease is over, and meet the peer.
    checks.note("connected", late.latest()["ready"])
    old.signal_all(signal.SIGCONT)
    check_moved(checks, old, new, left)
    answered = late.stop()["answered"]
    checks.true(f"{answered} were answered, {table(new)[0]} have a session", answered <= table(new)[0])


def test_moved_frozen(checks):
    """The Active stands still, the peer takes over, and the old one goes on."""
    for primary in NODES:
        checks.section(f"primary {primary}")
        with TestLab() as lab:
            old, new = lab.start_pair(primary, make_config(primary))
            quiet = Quiet(lab, *TO_VIP, f"echo:{address(old.name)}:{ANY_PORT}")
            checks.equal("connections of the Active", connections(old), 5)
            freeze(checks, lab, old, new, VIP, SOURCES, left=1)
            count, lines = ended(old)
            checks.true(f"ended: {count}", count >= 4)
            checks.equal("logged once", lines, [f"{count:.0f}"])
            became, ms = quiet.ask()
            checks.equal("when the clients say something", became, ["reset"] * 4 + ["ok"])
            checks.at_most("they know after, ms", ms, 100, 5 * SLACK)
            quiet.tool.stop()


def test_moved_frozen_ipv6(checks):
    """The kernel would send from an address that is gone; the fence does not let it."""
    sources = [f"{NETWORK6}:1:{n}" for n in range(1, 41)]
    with TestLab(ipv6=True) as lab:
        lab.ip_batch(lab.name("client"), [f"addr add {source}/64 dev eth0 nodad" for source in sources])
        config = add_ipv6(pair_config())
        config["listeners"]["known"]["bind"] = f"[{VIP6}]:81"
        config["pools"]["known"]["sticky"] = {"source": {"prefix6": 128}}
        old, new = lab.start_pair("node1", config)
        freeze(checks, lab, old, new, VIP6, sources)


def test_moved_planned(checks):
    """The operator hands over: the same, and then the other way round."""
    with TestLab() as lab:
        old, new = lab.start_pair("node1", make_config())
        learned = lab.sticky("learn")["source"]["clients"]
        for old, new in ((old, new), (new, old)):
            checks.section(f"{old.name} hands over")
            count, lines = ended(old)
            quiet = Quiet(lab, *TO_VIP, f"echo:{address(old.name)}:{ANY_PORT}")
            old.wait(lambda old=old: connections(old) == 5, 10, "its connections")
            old.ctl("failover")
            new.wait_state("active")
            check_moved(checks, old, new, left=1)
            checks.true(f"sessions: {table(new)[0]}", table(new)[0] >= learned)
            checks.equal("ended", ended(old), (count + 4, lines + ["4"]))
            became, _ = quiet.ask()
            checks.equal("when the clients say something", became, ["reset"] * 4 + ["ok"])
            quiet.tool.stop()


def test_moved_stopped(checks):
    """SIGTERM: nothing is left to wait for when the peer has the VIP."""
    with TestLab() as lab:
        old, new = lab.start_pair("node1", make_config())
        quiet = Quiet(lab, *TO_VIP)
        begun = old.sigterm()
        old.wait_exit()
        checks.at_most("until it has ended, ms", 1000 * (time.monotonic() - begun), 1000, 3 * SLACK)
        checks.equal("the peer", new.state(), "active")
        became, _ = quiet.ask()
        checks.equal("when the clients say something", became, ["reset"] * 4)
        quiet.tool.stop()


def test_moved_nowhere(checks):
    """There is no peer, and the cable is out for a moment: nobody else has the VIP, so connections outlast it."""
    with TestLab() as lab:
        lone, peer = lab.start_pair("node1", make_config())
        peer.stop()
        quiet = Quiet(lab, *TO_VIP)
        moves = len(lone.transitions())
        lab.link(lone.name, up=False)
        lone.wait_state("fault")
        lab.link(lone.name, up=True)
        lone.wait_state("active", 20)
        checks.true("it was not Active", len(lone.transitions()) > moves)
        became, ms = quiet.ask()
        checks.equal("when the clients say something", became, ["ok"] * 4)
        checks.note("slowest, ms", ms)
        checks.equal("ended", ended(lone), (0, []))
        quiet.tool.stop()


if __name__ == "__main__":
    testing.main(globals())
