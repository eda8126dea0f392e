"""The Active is killed again and again under load, and each time the survivor is asked for every
session whose response reached its client. A session is a client's address; each client comes once,
on two connections at the same moment, as browsers do. See README.md, "Killed in series"."""
import contextlib
import json
import os
import random
import signal
import time
from dataclasses import dataclass, field

from freeze import Frozen, threads
from lab import (SLACK, SOURCE_PORT, VIP, WEB_PORT, WEBS, LabError, address, alive, pair_config,
                 tool, wait_until)
from testing import TestLab

FROM = 1 << 16                # the first client: 10.1.0.0
TTL_S, JUDGED_S = 60, 30      # a session lives for so long; so old ones are looked at
WINDOW_MS, WINDOW = 1000, 20000  # of async
PAUSE_S = 0.3                 # a kill comes at any moment of this
STALLED_S = {"acked": (0.01, 0.05), "async": (0.05, 0.3)}
KINDS = ("all", "yoke-proxy", "yoke-vrrp", "yoked")
ENDS = ("all", "yoked")       # nobody is left to start the rest again
STALLS = ("no", "sender", "path")
TARGETS = {address(web, WEB_PORT): web for web in WEBS}


def config(mode, out=None):
    """Patience is long enough that a busy machine is not taken for a late peer."""
    out = out or pair_config()
    out["workers"] = 2
    for pool in out["pools"].values():
        if "sticky" in pool:
            pool["sticky"]["ttl"] = f"{TTL_S}s"
    out["sync"] |= {"sessions": mode, "ack_timeout": "2s", "max_lag": f"{WINDOW_MS}ms",
                    "max_lag_entries": WINDOW}
    return out


def route_clients(lab):
    """The client's host has all addresses of 10.0.0.0/8."""
    for role in ("node1", "node2"):
        lab.run_in(role, "ip", "route", "add", "10.0.0.0/8", "via", address("client"))
    lab.run_in("client", "ip", "route", "add", "local", "10.0.0.0/8", "dev", "lo")


@dataclass
class Client:
    name: str         # what it is known by: its address
    answered: float   # CLOCK_MONOTONIC, the first of its answers
    webs: set = field(default_factory=set)
    verified: bool = False  # a survivor had it


class Clients:
    """http_pulse with new clients, and who of them was answered."""

    def __init__(self, lab, rate):
        self.lab = lab
        route_clients(lab)
        path = os.path.join(lab.dir, "clients")
        with open(path, "w", encoding="ascii") as out:
            self.process = self.start(rate, out)
        self.file = open(path, encoding="ascii")
        self.rest, self.latest = "", 0.0
        self.known, self.answered, self.responses, self.torn = {}, 0, 0, 0
        self.slowest = 0.0

    def start(self, rate, out):
        return self.lab.start_in("client", tool("http_pulse"), f"{VIP}:{SOURCE_PORT}", 2 * rate,
                                 100000, 4000, "twins", FROM, stdout=out)

    def parse(self, line):
        """(number, name, when it was answered, seconds that took, web) of a line of its output."""
        due, took, number, web = line.split()
        number = int(number)
        name = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        return number, name, (int(due) + int(took)) / 1e6, int(took) / 1e6, web

    def read(self):
        """Takes what was answered since the last time."""
        if self.process.poll() is not None:
            raise LabError("the clients are gone")
        lines = (self.rest + self.file.read()).split("\n")
        self.rest = lines.pop()
        for line in lines:
            number, name, answered, took, web = self.parse(line)
            client = self.known.get(number)
            if not client:
                client = self.known[number] = Client(name, answered)
                self.answered += 1
            client.answered = min(client.answered, answered)
            self.torn += len(client.webs) == 1 and web not in client.webs
            client.webs.add(web)
            self.latest = max(self.latest, answered)
            self.slowest = max(self.slowest, took)
            self.responses += 1

    def wait(self, moment, timeout=10):
        """Until somebody was answered after that moment."""
        def later():
            self.read()
            return self.latest > moment
        wait_until(later, timeout * SLACK, "answers")

    def forget(self, before):
        for number in [n for n, client in self.known.items() if client.answered < before]:
            del self.known[number]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.file.close()


@dataclass
class Kill:
    """What became of the clients after one kill."""
    node: str
    kind: str
    stall: str               # what kept records from the peer until the kill
    stalled_ms: float = 0.0
    degraded: bool = False   # the Active had said that it is unprotected
    takeover_ms: float = 0.0
    judged: int = 0          # sessions that the survivor must have
    missing: list = field(default_factory=list)  # ms between the response and the kill
    lost: int = 0            # of these, known to an earlier survivor
    unprotected: int = 0     # of those whose response left while the Active was unprotected
    unprotected_missing: int = 0
    moved: int = 0           # another target than the client has seen
    asked_again: int = 0     # over the VIP, and met the same target

    def story(self):
        text = f"stalled: {self.stall}"
        if self.stalled_ms:
            text += f", {self.stalled_ms:.0f} ms"
        if self.missing:
            text += (f"; {len(self.missing)} of {self.judged} missing, answered "
                     f"{min(self.missing):.0f} to {max(self.missing):.0f} ms before")
        return text + ("; unprotected" if self.degraded else "")


def table(node):
    """{client's address: web} as the node has it."""
    out, cursor = {}, "0"
    while cursor is not None:
        _, page = node.api.request(
            "GET", f"/v1/sessions?pool=known&keys=1&limit=10000&cursor={cursor}", timeout=20)
        out |= {entry["key"]: TARGETS[entry["target"]] for entry in page["entries"]}
        cursor = page["next"]
    return out


def protection(node):
    status = node.status()
    return ((status or {}).get("sync") or {}).get("protection") or {}


class Campaign:
    """kill() as often as you like, then report()."""
    clients_of = Clients

    def __init__(self, lab, mode, rate, seed):
        self.lab, self.mode, self.random = lab, mode, random.Random(seed)
        self.active, self.backup = lab.start_pair(config=self.config(mode))
        self.clients = self.clients_of(lab, rate)
        self.kills, self.stalls = [], []

    def config(self, mode):
        return config(mode)

    def table(self):
        """{name of a client: web} as the survivor has it."""
        return table(self.backup)

    def wait_whole(self):
        """Until one node is Active and protected, the other one Backup; the moment."""
        def whole():
            states = {node.state(): node for node in self.lab.nodes.values()}
            self.active, self.backup = states.get("active"), states.get("backup")
            return self.active and self.backup and protection(self.active).get("protected")
        wait_until(whole, 30 * SLACK, "a protected Active and a Backup")
        return time.monotonic()

    @contextlib.contextmanager
    def stalled(self, kill, proxy):
        """New records do not get to the peer for a while: whether a response waits shows then,
        however quick the machine is. Their sender stands still, or what it sends is lost."""
        [sync] = threads(proxy, "sync")
        if kill.stall == "path":
            # Who sorts first dials.
            port = "dport" if self.active.name < self.backup.name else "sport"
            self.lab.drop(self.active.name, f"tcp {port} 5405")
        with Frozen(sync) if kill.stall == "sender" else contextlib.nullcontext():
            if kill.stall != "no":
                kill.stalled_ms = 1000 * self.random.uniform(*STALLED_S[self.mode])
                time.sleep(kill.stalled_ms / 1000)
            yield

    def strike(self, kill):
        """At a random moment."""
        active = self.active
        proxy, pids = active.pid_of("yoke-proxy"), list(active.processes())
        pid = active.process.pid if kill.kind == "yoked" else active.pid_of(
            "yoke-vrrp" if kill.kind == "yoke-vrrp" else "yoke-proxy")
        time.sleep(self.random.uniform(0, PAUSE_S))
        with self.stalled(kill, proxy):
            if kill.kind == "all":
                moment = active.signal_all(signal.SIGKILL)
            else:
                moment = time.monotonic()
                os.kill(pid, signal.SIGKILL)
        # Without yoked the others end by themselves.
        dead = pids if kill.kind in ENDS else [pid]
        if kill.kind in ENDS:
            active.process.wait()
        wait_until(lambda: not any(map(alive, dead)), 5 * SLACK, "the killed are dead")
        return moment

    def judge(self, kill, protected_since, moment, until):
        """Who was answered `until` then was so by who is dead now."""
        has, now = self.table(), time.monotonic()
        for number, client in list(self.clients.known.items()):
            if not now - JUDGED_S < client.answered < until:
                continue
            must = client.verified or (client.answered >= protected_since and not kill.degraded)
            web = has.get(client.name)
            kill.judged += must
            kill.unprotected += not must
            if web is None:
                if must:
                    kill.missing.append(1000 * (moment - client.answered))
                    kill.lost += client.verified
                else:
                    kill.unprotected_missing += 1
                del self.clients.known[number]
                continue
            kill.moved += web not in client.webs
            client.verified = True
        return has

    def ask_again(self, has, n=20):
        """The last ones before the kill come again, over the VIP."""
        last = sorted((c for c in self.clients.known.values() if c.verified),
                      key=lambda client: client.answered)[-n:]
        rows = [{"backend": has[c.name], "address": c.name} for c in last]
        with open(os.path.join(self.lab.dir, "again.json"), "w", encoding="ascii") as file:
            json.dump({"cookie": [], "source": rows}, file)
        done = self.lab.sticky("check", clients="again.json")["source"]
        if done["kept"] != len(rows):
            raise LabError(f"clients that came again: {done}")
        return done["kept"]

    def kill(self):
        """One kill, and what became of it. The dead start again, but are not waited for."""
        # The nodes take turns; after eight kills each has died in all ways.
        kind = KINDS[len(self.kills) // 2 % len(KINDS)]
        self.stalls = self.stalls or self.random.sample(STALLS, len(STALLS))
        protected_since = self.wait_whole()
        kill = Kill(self.active.name, kind, self.stalls.pop())
        self.clients.wait(protected_since)
        said = len(self.active.log())
        moment = self.strike(kill)
        until_then = self.active.log()[said:].split("link to yoke-vrrp lost")[0]
        kill.degraded = "sync: unprotected" in until_then
        active = self.backup.wait_state("active", 10)
        kill.takeover_ms = 1000 * (active - moment)
        self.clients.wait(active + 0.05)
        has = self.judge(kill, protected_since, moment, active)
        kill.asked_again = self.ask_again(has)
        if kill.stall == "path":
            self.lab.undrop()  # later: a dead sender's kernel sends again what was lost
        self.clients.forget(time.monotonic() - JUDGED_S)
        if kill.kind in ENDS:
            self.active.start()
        self.kills.append(kill)
        return kill

    def total(self, name):
        return sum(getattr(kill, name) for kill in self.kills)

    def missing(self):
        return [age for kill in self.kills for age in kill.missing]

    def report(self):
        """[(what, value)]"""
        missing = self.missing()
        takeovers = sorted(kill.takeover_ms for kill in self.kills)
        counts = {f"{node}, {kind}": sum((k.node, k.kind) == (node, kind) for k in self.kills)
                  for node in ("node1", "node2") for kind in KINDS}
        return [
            ("kills", f"{len(self.kills)} ({', '.join(f'{k}: {n}' for k, n in counts.items())})"),
            ("replication stalled until the kill", ", ".join(
                f"{what}: {sum(k.stall == what for k in self.kills)}" for what in STALLS)),
            ("clients answered, responses", f"{self.clients.answered}, {self.clients.responses}"),
            ("judgments: the survivor must have it", self.total("judged")),
            ("missing", len(missing)),
            ("of these known to an earlier survivor", self.total("lost")),
            ("missing after one kill at most", max(len(k.missing) for k in self.kills)),
            ("oldest missing, ms before the kill", max(missing, default=0.0)),
            ("other target", self.total("moved")),
            ("came again and met the same target", self.total("asked_again")),
            ("answered while unprotected: judgments", self.total("unprotected")),
            ("of these missing", self.total("unprotected_missing")),
            ("kills of an Active that had said it is unprotected",
             sum(k.degraded for k in self.kills)),
            ("takeover, ms: median, worst",
             f"{takeovers[len(takeovers) // 2]:.0f}, {takeovers[-1]:.0f}")]


def campaign(checks, mode, kills, rate, seed, kind=Campaign):
    """All of it, with what must be true of it."""
    checks.section(f"{mode}: {kills} kills, {rate} new clients a second, seed {seed}")
    with TestLab() as lab:
        run = kind(lab, mode, rate, seed)
        for n in range(kills):
            kill = run.kill()
            checks.section(f"{n + 1}: {kill.kind} of {kill.node}, {kill.story()}")
        run.clients.stop()
    for what, value in run.report():
        checks.note(what, value)
    checks.true("sessions were judged", run.total("judged") > kills)
    checks.true("clients came again", run.total("asked_again") >= kills)
    checks.equal("sessions with another target than the client has seen", run.total("moved"), 0)
    if mode == "acked":
        checks.equal("missing sessions whose response has reached the client", len(run.missing()), 0)
        checks.equal("clients that met two targets at once", run.clients.torn, 0)
    else:
        # So the campaign would notice.
        checks.true("some sessions are missing", run.missing())
        checks.true("none is older than the window", max(run.missing(), default=0) <= WINDOW_MS)
        checks.true("no more than the window after any kill",
                    all(len(kill.missing) <= WINDOW for kill in run.kills))
