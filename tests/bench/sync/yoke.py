"""yoke: two sync_nodes (the channel alone), a real Backup fed by a sync_node, and a real pair."""
import os
import re
import time

from lab import SOURCE_PORT, VIP, LabError, address, pair_config, wait_until
from meters import Pulse, cpu_us, hurry, memory, now, percentile, pin
from peers import Keepalived, Router
from sync_node import SyncNode

DIRECT_PORT = 8001
HTTP_RATE = 4000
NEW = 5_000_000  # numbers of sessions that no other step has


def config(sessions):
    """The lab's, with one worker, room for all sessions, and a listener that also a Backup serves."""
    out = pair_config("node1")
    out["workers"] = 1
    out["virtual_routers"]["front"]["authenticate"] = False  # for the sake of keepalived
    out["sync"]["max_sessions"] = 3 * sessions
    out["listeners"]["direct"] = {"bind": f"0.0.0.0:{DIRECT_PORT}", "mode": "http", "pool": "web"}
    return out


def spent(nodes, act, thread="sync"):
    """What act() returns, and the processor time of the sync threads meanwhile."""
    before = [cpu_us(pid, thread) for pid in nodes]
    result = act()
    return result, [cpu_us(pid, thread) - was for pid, was in zip(nodes, before)]


def channel(lab, sessions, rate, seconds):
    """(a), (b), (c) of the channel without the proxy."""
    active, backup = SyncNode(lab, "node2", "node1"), SyncNode(lab, "node1", "node2")
    pin(active.pid, 0)
    pin(backup.pid, 1)
    empty = memory(active.pid)
    active.ask("fill", sessions, 0)
    out = {"active bytes": (memory(active.pid) - empty) / sessions}
    empty = memory(backup.pid)
    active.ask("active")
    synced, cpu = spent((active.pid, backup.pid), lambda: backup.ask("in_sync", sessions))
    active.ask("in_sync", sessions)
    out |= {"snapshot s": synced["since_connected_us"] / 1e6,
            "snapshot active us": cpu[0] / sessions, "snapshot backup us": cpu[1] / sessions,
            "backup bytes": (memory(backup.pid) - empty) / sessions,
            "backup peak bytes": (memory(backup.pid, "VmHWM") - empty) / sessions}
    lag, cpu = spent((active.pid, backup.pid),
                     lambda: active.ask("insert", rate * seconds, rate, NEW))
    out |= lag_of(lag) | {"insert active us": cpu[0] / rate / seconds,
                          "insert backup us": cpu[1] / rate / seconds}
    if active.ask("digest") != backup.ask("digest"):
        raise LabError("the tables of the two sync_nodes differ")
    for node in (active, backup):
        node.stop()
    return out


def lag_of(lag):
    return {"rate": lag["rate"], "lag p50 ms": lag["lag_p50_us"] / 1000,
            "lag p99 ms": lag["lag_p99_us"] / 1000, "lag max ms": lag["lag_max_us"] / 1000,
            "lag entries": lag["lag_entries"]}


class RealPair:
    """node1 is a real yoke all the time. First node2 is a sync_node that fills it, with keepalived to
    keep it Backup; then node1 is Active and node2 is a real yoke that joins."""

    def __init__(self, lab, sessions):
        self.lab, self.sessions = lab, sessions
        self.node1, self.node2 = lab.nodes["node1"], lab.nodes["node2"]
        lab.write_config(config(sessions))
        self.keepalived = Keepalived(lab, "node2", Router(priority=250))
        self.keepalived.start()
        self.keepalived.wait_active(10)
        self.node1.start()
        self.node1.wait_state("backup", 10)
        self.node1.wait_pools("up", 10)
        pin(self.node1.process.pid, 0)
        for web in lab.webs.values():
            hurry(web.process.pid)
            pin(web.process.pid, 1)
        self.proxy1 = self.node1.pid_of("yoke-proxy")
        self.empty = memory(self.proxy1)

    def fill(self):
        """The Backup gets its sessions; the sync_node that has them, and the figures."""
        feeder = SyncNode(self.lab, "node2", "node1")
        pin(feeder.pid, 1)
        feeder.ask("fill", self.sessions, 0)
        feeder.ask("active")
        synced, cpu = spent([self.proxy1], lambda: feeder.ask("in_sync", self.sessions))
        return feeder, {"snapshot s": synced["since_connected_us"] / 1e6,
                        "snapshot backup us": cpu[0] / self.sessions,
                        "backup bytes": (memory(self.proxy1) - self.empty) / self.sessions}

    def follow(self, feeder, rate, seconds):
        """A burst of new sessions, beside traffic at the Backup."""
        pulse = Pulse(self.lab, "client", address("node1", DIRECT_PORT), HTTP_RATE, seconds + 4)
        begin = now() + 0.5
        time.sleep(2.5)
        middle = now()
        lag, cpu = spent([self.proxy1],
                         lambda: feeder.ask("insert", rate * seconds, rate, NEW))
        end = now()
        pulse.wait()
        return lag_of(lag) | {"insert backup us": cpu[0] / rate / seconds,
                              "p99 without": percentile(pulse.p99s(begin, middle), 0.5),
                              "p99 beside": percentile(pulse.p99s(middle, end), 0.5),
                              "failed": pulse.failed}

    def promote(self):
        """After the sync_node has gone."""
        self.keepalived.stop()
        self.node1.wait_state("active", 10)

    def joins(self, times):
        """A fresh Backup joins, again and again, beside traffic on the Active. What starts and asks
        it stays off the Active's processor."""
        quiet, beside, rows, everywhere = [], [], [], os.sched_getaffinity(0)
        for _ in range(times):
            pulse = Pulse(self.lab, "client", f"{VIP}:80", HTTP_RATE, 7)
            begin = now() + 0.3
            time.sleep(2.3)
            os.sched_setaffinity(0, {1})
            rows.append(self.join())
            os.sched_setaffinity(0, everywhere)
            quiet += pulse.wait().p99s(begin, rows[-1]["begin"])
            beside += pulse.p99s(rows[-1]["in sync"] - rows[-1]["snapshot s"], rows[-1]["in sync"])
            self.node2.stop()
        out = {key: percentile([row[key] for row in rows], 0.5) for key in rows[0]}
        return out | {"p99 without": percentile(quiet, 0.5), "p99 beside": percentile(beside, 0.5)}

    def join(self):
        begin, before, known = now(), cpu_us(self.proxy1, "sync"), len(self.snapshots())
        self.node2.start()
        wait_until(lambda: len(self.snapshots()) > known, 30, "node2 in sync", pause=0.01)
        in_sync, proxy2 = now(), self.node2.pid_of("yoke-proxy")
        return {"begin": begin, "in sync": in_sync, "snapshot s": self.took(),
                "snapshot active us": (cpu_us(self.proxy1, "sync") - before) / self.sessions,
                "snapshot backup us": cpu_us(proxy2, "sync") / self.sessions,
                "active bytes": (memory(self.proxy1) - self.empty) / self.sessions,
                "backup bytes": (memory(proxy2) - self.empty) / self.sessions}

    def snapshots(self):
        """Sessions and milliseconds of each that node2 says it got: asking it would be traffic, too."""
        return re.findall(r"snapshot of (\d+) sessions, \d+ targets in (\d+) ms", self.node2.log())

    def took(self):
        found = self.snapshots()
        if not found or int(found[-1][0]) < self.sessions:
            raise LabError(f"node2 has {found and found[-1][0]} of {self.sessions} sessions")
        return int(found[-1][1]) / 1000

    def new_clients(self, rate, seconds):
        """End to end: each request is a new client's, who is answered when the Backup has it."""
        self.node2.start()
        self.node2.wait_in_sync(30)
        for role in ("node1", "node2"):
            self.lab.run_in(role, "ip", "route", "add", "10.0.0.0/8", "via", address("client"))
        self.lab.run_in("client", "ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")
        pulse = Pulse(self.lab, "client", f"{VIP}:{SOURCE_PORT}", rate, seconds, "new", 0,
                      connections=1000)
        lags = []
        while pulse.process.poll() is None:
            status = self.node1.status()
            lags.append((status["sync"]["lag_entries"], status["sync"]["lag_ms"]))
            time.sleep(0.05)
        pulse.wait()
        self.node1.wait(lambda: self.node1.status()["sync"]["digest_equal"], 10, "equal digests")
        return {"rate": pulse.rate(), "lag p99 ms": percentile([ms for _, ms in lags], 0.99),
                "lag entries": max(entries for entries, _ in lags), "failed": pulse.failed,
                "p99": percentile([took for _, took in pulse.rows], 0.99)}
