"""What a real-time process must not do: ask for memory, touch a page that is not there, wait for a
reader."""
import fcntl
import mmap
import os
import re
import signal
import struct

import testing
from lab import SLACK, VIP, address, pair_config, program, wait_until
from testing import TestLab

COUNTER = os.path.join(os.path.dirname(program("yoked")), "..", "tests", "count_memory.so")


class Memory:
    """What yoke-vrrp of a node has asked for so far, by tools/count_memory.c; and its page faults."""

    def __init__(self, node, path):
        self.pid = node.pid_of("yoke-vrrp")
        with open(path, "rb") as file:
            self.page = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def calls(self):
        return struct.unpack_from("Q", self.page)[0]

    def last_caller(self):
        _, offset, file = struct.unpack_from("QQ112s", self.page)
        return f"{file.rstrip(bytes(1)).decode()} +{offset:#x}"

    def faults(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return {"minor": int(fields[7]), "major": int(fields[9])}


def steady_steps(lab, first, second):
    """(what, how): everything that happens to a pair whose configuration does not change. `first`
    is Active at the beginning and at the end."""
    def hand_over(giver, taker):
        giver.ctl("failover")
        taker.wait_state("active")
        giver.wait_state("backup")

    def restart_proxy(node, taker):
        node.kill("yoke-proxy")
        taker.wait_state("active")
        node.wait_state("backup", 15)
        node.wait_in_sync()

    def freeze(node, taker):
        pid = node.pid_of("yoke-vrrp")
        os.kill(pid, signal.SIGSTOP)
        taker.wait_state("active")
        os.kill(pid, signal.SIGCONT)
        node.wait_state("backup")

    def adverts(node):
        wanted = sent(node) + 120
        wait_until(lambda: sent(node) >= wanted, 30 * SLACK, "120 adverts")

    def lose_adverts(sender, reader):
        def alarm():
            return reader.status()["virtual_routers"]["front"]["alarm"]
        lab.drop(sender.name, "ip protocol 112")
        reader.wait(alarm, 5, "the alarm: asked, and answered, by replication")
        lab.undrop()
        reader.wait(lambda: not alarm(), 5, "the end of the alarm")

    def meddle(node):
        before = node.log().count("put back")
        lab.run_in(node.name, "ip", "addr", "del", f"{VIP}/32", "dev", "eth0")
        wait_until(lambda: node.log().count("put back") > before, 5, "the VIP is put back")

    return (("handed over", lambda: hand_over(first, second)),
            ("handed back", lambda: hand_over(second, first)),
            ("the proxy killed", lambda: restart_proxy(first, second)),
            ("frozen, and thawed", lambda: freeze(second, first)),
            ("the VIP removed", lambda: meddle(first)),
            ("adverts lost", lambda: lose_adverts(first, second)),
            ("120 adverts", lambda: adverts(first)))


def sent(node):
    """Adverts, as it counts them."""
    return (node.status()["virtual_routers"]["front"]["adverts"] or {"sent": 0})["sent"]


def test_no_allocation(checks):
    if not os.path.exists(COUNTER):
        print("this build has an allocator of its own")
        raise SystemExit(testing.SKIP)
    os.environ["LD_PRELOAD"] = COUNTER
    with TestLab() as lab:
        config = pair_config("node1")
        config["virtual_routers"]["front"]["track"] = {
            "interfaces": [{"name": "lo", "weight": 10}], "pools": ["web"],
            "addresses": [{"address": address("web1"), "interval": "100ms", "timeout": "100ms"}],
            "scripts": [{"command": ["/bin/true"], "interval": "200ms"}],
            "witness": address("web2")}
        lab.write_config(config)
        first, second = (lab.nodes[name] for name in ("node1", "node2"))
        memory = {}
        for node in (first, second):
            os.environ["YOKE_COUNT_FILE"] = os.path.join(lab.dir, f"memory-{node.name}")
            node.start()
            node.wait_state("active" if node is first else "backup", 10)
            memory[node] = Memory(node, os.environ["YOKE_COUNT_FILE"])
        del os.environ["LD_PRELOAD"]
        for node in (first, second):
            node.wait_in_sync()
            checks.true(f"{node.name}: the start is counted", memory[node].calls() > 100)
        before = {node: (memory[node].calls(), memory[node].faults()) for node in memory}
        for what, step in steady_steps(lab, first, second):
            checks.section(what)
            step()
            for node, counter in memory.items():
                calls, faults = before[node]
                now = counter.calls(), counter.faults()
                checks.equal(f"{node.name}: calls for memory", now[0] - calls, 0)
                if now[0] != calls:
                    checks.note("the last one", counter.last_caller())
                checks.equal(f"{node.name}: page faults", now[1], faults)
                before[node] = now


class StoppedReader:
    """A pipe for a log that nobody reads, until drain()."""

    def __init__(self):
        self.read_end, self.write_end = os.pipe()

    def fill(self):
        """By a description of the pipe of our own, so that the others' does not change."""
        filler = os.open(f"/proc/self/fd/{self.write_end}", os.O_WRONLY | os.O_NONBLOCK)
        for size in (4096, 1):
            try:
                while True:
                    os.write(filler, b"." * size)
            except BlockingIOError:
                pass
        os.close(filler)

    def drain(self):
        os.set_blocking(self.read_end, False)
        text = b""
        try:
            while chunk := os.read(self.read_end, 1 << 16):
                text += chunk
        except BlockingIOError:
            pass
        return text.decode(errors="replace")

    def close(self):
        os.close(self.read_end)
        os.close(self.write_end)


def lost(node, process):
    _, text = node.api.request("GET", "/metrics")
    found = re.search(rf'^yoke_log_lines_lost_total{{process="{process}"}} (\d+)$', text, re.M)
    return int(found.group(1))


def test_log_full(checks):
    """A journal that is stopped stops nobody else."""
    reader = StoppedReader()
    with TestLab() as lab:
        lab.write_config(pair_config("node1"))
        first, second = lab.nodes["node1"], lab.nodes["node2"]
        first.process = lab.start_in(first.name, program("yoked"), "--config", first.config_path,
                                     "--run-dir", first.run_dir, stdout=reader.write_end,
                                     stderr=reader.write_end)
        first.wait_state("active", 10)
        second.start()
        second.wait_state("backup", 10)
        first.wait_in_sync()
        reader.fill()
        before = len(second.transitions())
        vip = f"inet {VIP}/32"
        for _ in range(3):  # each is a line of yoke-vrrp
            lab.run_in(first.name, "ip", "addr", "del", f"{VIP}/32", "dev", "eth0")
            wait_until(lambda: vip in lab.run_in(first.name, "ip", "addr"), 2 * SLACK,
                       "the VIP is put back")
        first.ctl("reload")  # and lines of the others
        adverts = sent(first)
        wait_until(lambda: sent(first) > adverts + 20, 10, "adverts go on")
        checks.equal("the peer's transitions", len(second.transitions()), before)
        checks.equal("state", first.state(), "active")
        flags = fcntl.fcntl(reader.write_end, fcntl.F_GETFL)
        checks.true("the pipe is as it was for others", not flags & os.O_NONBLOCK)
        wait_until(lambda: lost(first, "yoke-vrrp") >= 3, 5 * SLACK, "its lines count as lost")
        reader.drain()
        lab.run_in(first.name, "ip", "addr", "del", f"{VIP}/32", "dev", "eth0")
        text = []
        wait_until(lambda: text.append(reader.drain()) or "lines are lost" in "".join(text), 5,
                   "it says how many lines are lost")
        first.stop()
    reader.close()


if __name__ == "__main__":
    testing.main(globals())
