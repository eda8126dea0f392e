"""HAProxy's peers: the same steps."""
import os
import re
import socket
import time

from lab import WEB_PORT, LabError, address, wait_until
from meters import Pulse, cpu_us, hurry, memory, now, percentile, pin
from segment import end_process

HTTP_RATE = 4000
INSERT_PORT, WEB_LISTENER, PEER_PORT = 8000, 8001, 10000
PER_REQUEST = 3  # entries that a request makes
HOSTS = ("node1", "node2")
CONFIG = """
global
  nbthread 1
  maxconn 4000
  stats socket {dir}/sock mode 600 level admin
peers pair
  peer node1 {node1}:{peer}
  peer node2 {node2}:{peer}
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
frontend insert
  bind :{insert}
  http-request track-sc0 hdr_ip(K0) table sessions
  http-request track-sc1 hdr_ip(K1) table sessions
  http-request track-sc2 hdr_ip(K2) table sessions
  http-request return status 200 content-type text/plain string ok
frontend web
  bind :{web}
  default_backend web
backend web
  server web1 {web1}:{web_port}
backend sessions
  stick-table type ip size {size} expire 1h store http_req_cnt peers pair
"""


class Haproxy:
    """One host with HAProxy, one thread."""

    def __init__(self, lab, role, size):
        self.lab, self.role = lab, role
        self.dir = os.path.join(lab.dir, f"haproxy-{role}")
        os.makedirs(self.dir, exist_ok=True)
        self.config = os.path.join(self.dir, "haproxy.cfg")
        self.process, self.pid = None, None
        with open(self.config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(
                dir=self.dir, node1=address("node1"), node2=address("node2"), peer=PEER_PORT,
                insert=INSERT_PORT, web=WEB_LISTENER, web1=address("web1"), web_port=WEB_PORT,
                size=size))

    def start(self, cpu):
        self.process = self.lab.start_in(self.role, "haproxy", "-db", "-L", self.role, "-f",
                                         self.config)
        self.pid = self.process.pid
        wait_until(lambda: os.path.exists(f"{self.dir}/sock") and self.entries() is not None, 10,
                   f"haproxy of {self.role} is there", pause=0.001)
        pin(self.pid, cpu)

    def stop(self):
        end_process(self.process)
        os.unlink(f"{self.dir}/sock")

    def entries(self):
        """How many the table has; None while it does not answer."""
        with socket.socket(socket.AF_UNIX) as control:
            try:
                control.connect(f"{self.dir}/sock")
                control.sendall(b"show table\n")
                text = control.makefile().read()
            except OSError:
                return None
        found = re.search(r"used:(\d+)", text)
        return int(found[1]) if found else None


def insert(lab, node, number, rate, seconds, connections=64):
    """Requests that make new entries; the Pulse."""
    return Pulse(lab, "client", address(node.role, INSERT_PORT), rate // PER_REQUEST, seconds,
                 "keys", number, connections=connections)


def fill(lab, node, sessions):
    number = 0
    while (node.entries() or 0) < sessions:
        pulse = insert(lab, node, number, 60000, 5).wait()
        number += PER_REQUEST * (len(pulse.rows) + pulse.failed)
    return node.entries()


def lag(nodes, process):
    """While a process runs: how many entries the second one has less than the first."""
    behind = []
    while process.poll() is None:
        ahead = nodes[0].entries()
        behind.append(max(0, ahead - nodes[1].entries()))
        time.sleep(0.005)
    return behind


def steps(lab, sessions, rate, seconds, times):
    """(a) to (d) as far as they make sense here."""
    active, backup = (Haproxy(lab, role, 3 * sessions) for role in HOSTS)
    active.start(0)
    for web in lab.webs.values():
        hurry(web.process.pid)
        pin(web.process.pid, 1)
    empty = memory(active.pid)
    entries = fill(lab, active, sessions)
    active_bytes = (memory(active.pid) - empty) / entries
    quiet, beside, rows = [], [], []
    for _ in range(times):
        pulse = Pulse(lab, "client", address("node1", WEB_LISTENER), HTTP_RATE, 7)
        begin = now() + 0.3
        time.sleep(2.3)
        rows.append(join(active, backup, entries, empty))
        quiet += pulse.wait().p99s(begin, rows[-1]["begin"])
        beside += pulse.p99s(rows[-1]["begin"], rows[-1]["in sync"])
        backup.stop()
    out = {key: percentile([row[key] for row in rows], 0.5) for key in rows[0]}
    out |= {"p99 without": percentile(quiet, 0.5), "p99 beside": percentile(beside, 0.5),
            "active bytes": active_bytes, "backup bytes": out["backup bytes"]}
    join(active, backup, entries, empty)
    out |= inserts(lab, (active, backup), rate, seconds)
    for node in (active, backup):
        node.stop()
    return out


def join(active, backup, entries, empty):
    """`empty`: the memory of one without entries."""
    begin, before = now(), cpu_us(active.pid)
    backup.start(1)
    wait_until(lambda: backup.entries() >= entries, 60, "the peer has all entries", pause=0.002)
    in_sync = now()
    return {"begin": begin, "in sync": in_sync, "snapshot s": in_sync - begin,
            "snapshot active us": (cpu_us(active.pid) - before) / entries,
            "snapshot backup us": cpu_us(backup.pid) / entries,
            "backup bytes": (memory(backup.pid) - empty) / entries}


def inserts(lab, nodes, rate, seconds):
    before, cpu = nodes[0].entries(), cpu_us(nodes[1].pid)
    begin = now()
    pulse = insert(lab, nodes[0], 8_000_000, rate, seconds)
    behind = lag(nodes, pulse.process)
    took = now() - begin
    pulse.wait()
    made = nodes[0].entries() - before
    if not made:
        raise LabError("no entry was made")
    wait_until(lambda: nodes[1].entries() >= before + made, 30, "the peer has all new entries")
    reached = made / took
    return {"rate": reached, "lag entries": max(behind),
            "lag p99 ms": percentile(behind, 0.99) / reached * 1000,
            "insert backup us": (cpu_us(nodes[1].pid) - cpu) / made}
