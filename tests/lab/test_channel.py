"""The replication channel breaks, or at its other end is somebody hostile, with the pair's key or
without: no request fails, no VIP moves, the reason can be read, and afterwards the pair is in sync by
itself, session by session."""
import base64
import json
import os
import time

import testing
from lab import (HERE, NODES, PYTHON, SLACK, SOURCES, VIP, WEB_PORT, WEBS, Prober, Tool, address,
                 wait_until)
from testing import TestLab

PORT = 5405
LINES_BURST, LINES_PER_S = 32, 1
TOLD_BURST, TOLD_PER_S = 512, 10  # events of targets
EVENTS_BURST, EVENTS_PER_S = 32, 0.1
ADVERTS_PER_S = 30  # 10 of its own, 10 in answer to handovers
# Percent of one processor. The rest is traffic's, however much somebody sends.
PROXY_CPU, VRRP_CPU = 60, 20
GROWTH_MIB = 16 if SLACK == 1 else 1000  # sanitizers keep what is freed


class Hostile(Tool):
    """tools/hostile_peer.c calls node2 in the name of node1, from a third host."""

    def __init__(self, lab, behaviour, *words, key="sync.key"):
        super().__init__(lab, "observer", "hostile_peer", "node1", "node2", address("node2", PORT),
                         os.path.join(lab.dir, key), behaviour, *words, built=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait(self, what, more):
        target = self.latest().get(what, 0) + more
        wait_until(lambda: self.latest().get(what, 0) >= target, 10 * SLACK, f"{more} {what}")


class Clients:
    """Each is known by its address; more of them come all the time."""

    def __init__(self, lab):
        self.lab, self.next = lab, 0

    def come(self, n):
        sources = SOURCES[self.next:self.next + n]
        self.next += n
        done = json.loads(self.lab.run_in(
            "client", PYTHON, os.path.join(HERE, "tools", "sticky.py"), "learn",
            os.path.join(self.lab.dir, "come.json"), VIP, "--cookies", 0, "--sources", *sources))
        return done["source"]["failed"]


class Usage:
    """What a node has used since: processor, memory, lines of its log."""

    def __init__(self, node):
        self.node, self.began = node, time.monotonic()
        self.pids = {name: pid for pid, name in node.processes().items()}
        self.before = self.now()
        self.log_at = len(node.log())
        self.adverts_before = adverts(node)

    def now(self):
        out = {}
        for name, pid in self.pids.items():
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            out[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        with open(f"/proc/{self.pids['yoke-proxy']}/statm", encoding="ascii") as file:
            out["MiB"] = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        return out

    def seconds(self):
        return time.monotonic() - self.began

    def share(self, name):
        return 100 * (self.now()[name] - self.before[name]) / self.seconds()

    def advert_rate(self):
        return (adverts(self.node) - self.adverts_before) / self.seconds()

    def growth(self):
        return self.now()["MiB"] - self.before["MiB"]

    def lines(self):
        return [line for line in self.node.log()[self.log_at:].splitlines() if " sync: " in line]


def adverts(node):
    return node.status()["virtual_routers"]["front"]["adverts"]["sent"]


def sync_of(node):
    return (node.status() or {}).get("sync") or {}


def counter(node, name):
    for line in node.api.request("GET", "/metrics")[1].splitlines():
        if line.startswith(f"yoke_sync_{name}_total "):
            return float(line.split()[1])
    raise KeyError(name)


def shown(node, since):
    """Every reason in the status of replication, as of now and of the last disconnection if it was
    after `since`."""
    sync = sync_of(node)
    last = sync.get("last_disconnect")
    recent = last and time.monotonic() - last["age_ms"] / 1000 >= since
    return sync.get("reason", "") + "; " + (last["reason"] if recent else "")


def sessions(node):
    """{address of the client: target}."""
    body = node.api.get("/v1/sessions?pool=known&limit=100000&keys=1") or {"entries": []}
    return {entry["key"]: entry["target"] for entry in body["entries"]}


class Story:
    """A pair with traffic and clients, to which something is done."""

    def __init__(self, checks, lab, primary):
        self.checks, self.lab = checks, lab
        self.active, self.backup = lab.start_pair(primary)
        self.clients = Clients(lab)

    def begin(self):
        self.moves = {node.name: len(node.transitions()) for node in self.both()}
        self.began = time.monotonic()
        self.prober = Prober(self.lab, deadline_ms=3000)
        self.prober.wait_ok()
        self.checks.equal("clients without an answer", self.clients.come(20), 0)

    def both(self):
        return (self.active, self.backup)

    def heals(self):
        """The pair is in sync again, without help; the same sessions on both."""
        began = time.monotonic()
        for node in self.both():
            node.wait(lambda node=node: sync_of(node).get("state") == "in_sync"
                      and sync_of(node).get("digest_equal"), 15, "in sync, digests equal")
        self.checks.note("in sync and equal after, ms", 1000 * (time.monotonic() - began))
        mine, theirs = map(sessions, self.both())
        self.checks.equal("sessions on the Active", len(mine), self.clients.next)
        self.checks.true("the same ones on the Backup", mine == theirs)
        for node, peer in (self.both(), self.both()[::-1]):
            said = node.wait(lambda node=node: node.status()["virtual_routers"]["front"]["peer"], 5,
                             "what the peer says of its router")
            self.checks.equal(f"{node.name}: the peer is", said["state"], peer.state())

    def end(self):
        traffic = self.prober.stop()
        self.checks.equal("requests that failed", traffic.failures_text(), "none")
        slowest = max(traffic.good(), key=lambda row: row[1] - row[0])
        self.checks.note("slowest request, ms", 1000 * (slowest[1] - slowest[0]))
        self.checks.note("begun at", slowest[0] - self.checks.begun)
        self.checks.equal("who has the VIP",
                          [name for name in NODES if VIP in self.lab.addresses(name)],
                          [self.active.name])
        for node in self.both():
            self.checks.equal(f"{node.name}: VRRP transitions",
                              len(node.transitions()) - self.moves[node.name], 0)
            self.checks.at_most(f"{node.name}: events about it",
                                len(node.events("sync") + node.events("protection")),
                                EVENTS_BURST + EVENTS_PER_S * (time.monotonic() - self.began) + 2)


def suffer(story, target, behaviour, text, count=None, words=(), until=None):
    """Somebody behaves so towards `target`, until the reason is shown and logged and has been
    counted."""
    checks = story.checks
    checks.section(behaviour)
    usage = Usage(target)
    before = counter(target, count) if count else 0
    with Hostile(story.lab, behaviour, *words) as peer:
        target.wait(lambda: text in shown(target, usage.began), 15, f"status shows: {text}")
        target.wait(lambda: any(text in line for line in usage.lines()), 15, f"the log says: {text}")
        if count:
            target.wait(lambda: counter(target, count) > before, 5, f"{count} counts")
        if until:
            until(peer)
        if usage.seconds() > 0.5:
            checks.at_most("yoke-proxy, % of a processor", usage.share("yoke-proxy"), PROXY_CPU)
            checks.at_most("yoke-vrrp, % of a processor", usage.share("yoke-vrrp"), VRRP_CPU)
            checks.at_most("adverts a second", usage.advert_rate(), ADVERTS_PER_S)
        checks.at_most("lines about it", len(usage.lines()),
                       LINES_BURST + LINES_PER_S * usage.seconds() + 2)
    checks.at_most("memory, MiB more", usage.growth(), GROWTH_MIB)


def change_a_target(story, target):
    """All the time. It is so; but the events are for other things, too."""
    story.checks.section("changes a target")
    began, before = time.monotonic(), len(target.events("pool "))
    with Hostile(story.lab, "changes_a_target", f"web,{address(WEBS[0], WEB_PORT)}") as peer:
        target.wait(lambda: any("so it says" in event["reason"] for event in target.events("pool ")),
                    10, "the events say so")
        peer.wait("frames", 2000)
    story.checks.at_most("events about it", len(target.events("pool ")) - before,
                         TOLD_BURST + TOLD_PER_S * (time.monotonic() - began) + 2)


def flood(peer):
    """Long enough to see what it costs."""
    peer.wait("connections", 30)


def cut_off(story):
    """node2 and node1 do not hear each other's replication any more, and VRRP goes on."""
    story.lab.drop("node1", f"tcp dport {PORT}")


def test_channel_cut(checks):
    """The path breaks in each way that a path has; and strangers find the port."""
    with TestLab() as lab:
        story = Story(checks, lab, "node1")
        active, backup = story.both()
        story.begin()

        checks.section("cable cut: silence both ways, and more clients come")
        began = time.monotonic()
        for name in NODES:
            lab.drop(name, f"tcp sport {PORT}")
            lab.drop(name, f"tcp dport {PORT}")
        for node in story.both():
            node.wait(lambda node=node: "no heartbeat for 1.5 s" in shown(node, began), 5, "a reason")
        checks.equal("clients without an answer", story.clients.come(20), 0)
        lab.undrop()
        story.heals()
        checks.true("without another snapshot", "resumed" in sync_of(active)["reason"])

        checks.section("half-open: the peer starts anew, and nobody tells the Active")
        for name in NODES:
            lab.drop(name, f"tcp sport {PORT}")
            lab.drop(name, f"tcp dport {PORT}")
        old = backup.pid_of("yoke-proxy")
        backup.kill("yoke-proxy")
        backup.wait(lambda: "yoke-proxy" in backup.processes().values()
                    and backup.pid_of("yoke-proxy") != old, 5, "a new yoke-proxy")
        checks.equal("clients without an answer", story.clients.come(20), 0)
        lab.undrop()
        backup.wait_state("backup", 10)
        story.moves[backup.name] = len(backup.transitions())
        story.heals()

        checks.section("reset")
        began = time.monotonic()
        lab.run_in("node2", "nft", f"""
            add table inet lab
            add chain inet lab input {{ type filter hook input priority 0; }}
            add rule inet lab input tcp dport {PORT} reject with tcp reset""")
        active.wait(lambda: "refused" in shown(active, began), 5, "a reason")
        checks.true("it was reset", "reset" in sync_of(active)["last_disconnect"]["reason"])
        checks.equal("clients without an answer", story.clients.come(20), 0)
        lab.run_in("node2", "nft", "delete table inet lab")
        story.heals()

        with open(os.open(os.path.join(lab.dir, "wrong.key"), os.O_CREAT | os.O_WRONLY, 0o600),
                  "wb") as file:
            file.write(base64.b64encode(os.urandom(32)) + b"\n")
        connects = counter(backup, "connects")
        for behaviour, key in (("silent_stranger", "sync.key"), ("garbage_without_key", "sync.key"),
                               ("follows", "wrong.key")):
            checks.section(f"a stranger: {behaviour}, {key}")
            before = counter(backup, "handshake_failures")
            with Hostile(lab, behaviour, key=key):
                backup.wait(lambda before=before:
                            counter(backup, "handshake_failures") > before, 5, "it is counted")
            checks.equal("the pair", sync_of(backup)["state"], "in_sync")
        checks.equal("connections of the pair", counter(backup, "connects") - connects, 0)
        story.heals()
        story.end()


def test_channel_backup(checks):
    """In place of the Backup: somebody with the key who breaks the rules."""
    with TestLab() as lab:
        story = Story(checks, lab, "node2")
        active = story.active
        story.begin()
        whole = Usage(active)
        cut_off(story)

        suffer(story, active, "silent", "no heartbeat for 1.5 s")
        suffer(story, active, "half_frame", "no heartbeat for 1.5 s")
        for behaviour, text in (
                ("garbage", "over the limit"), ("oversized", "over the limit"),
                ("epoch_out_of_range", "epoch"), ("too_old", "version"),
                ("too_new", "it speaks protocol versions 99 to 99, this node 1 to"),
                ("other_name", "it calls itself gamma"), ("second_hello", "a second hello"),
                ("acks_unsent", "it acknowledges record")):
            suffer(story, active, behaviour, text, "refused_frames")
        suffer(story, active, "half_frame_and_end", "disconnected", "connects")
        checks.equal("clients without an answer", story.clients.come(20), 0)
        lab.undrop()
        story.heals()

        cut_off(story)
        suffer(story, active, "acks_nothing", "it has acknowledged nothing for 5 s", "connects",
               until=lambda peer: wait_until(lambda: "for 5 s" in peer.latest()["bye"], 10,
                                             "it is told so"))
        suffer(story, active, "reads_a_byte_a_second", "for 5 s", "connects")
        suffer(story, active, "from_the_future", "in sync with node1: snapshot of")
        suffer(story, active, "highest_epoch", "in sync with node1: snapshot of")
        checks.equal("clients without an answer", story.clients.come(20), 0)
        lab.undrop()
        story.heals()

        cut_off(story)
        for behaviour in ("changes_roles", "asks_for_all_again", "talks", "events", "hands_over"):
            suffer(story, active, behaviour, "it talks too much", "refused_frames", until=flood)
        checks.equal("clients without an answer", story.clients.come(20), 0)
        checks.true("what happened here is not forgotten", active.transitions())
        checks.at_most("memory, MiB more, of all", whole.growth(), GROWTH_MIB)
        lab.undrop()
        story.heals()
        story.end()


def test_channel_active(checks):
    """In place of the Active, towards the Backup."""
    with TestLab() as lab:
        story = Story(checks, lab, "node2")
        record = os.path.join(lab.dir, "record")
        checks.section("what the Active says in this life is recorded")
        cut_off(story)
        with Hostile(lab, "follows", record):
            story.active.wait(lambda: "in sync" in shown(story.active, 0), 5, "it follows")
            checks.equal("clients without an answer", story.clients.come(20), 0)
        lab.undrop()
        story.heals()
        story.active.ctl("failover")
        story.backup.wait_state("active")
        story.active, story.backup = story.backup, story.active
        story.active.wait_in_sync()
        story.begin()
        backup = story.backup

        cut_off(story)
        suffer(story, backup, "replays", "are refused: they are of epoch", "refused_frames", [record])
        checks.equal("no session is lost", len(sessions(backup)), story.clients.next)
        suffer(story, backup, "half_a_snapshot", "its snapshot has stood still for 5 s")
        checks.true("it does not trust it", not sync_of(backup)["digest_equal"]
                    and backup.api.get("/v1/pools/web")["checked_by"] == "this node")
        suffer(story, backup, "repairs", "repair", "refused_frames", until=flood)
        suffer(story, backup, "highest_epoch_active", "its snapshot has stood still for 5 s")
        change_a_target(story, backup)
        checks.equal("clients without an answer", story.clients.come(20), 0)
        lab.undrop()
        story.heals()

        cut_off(story)
        for behaviour in ("begins", "digests", "talks", "events", "hands_over"):
            suffer(story, backup, behaviour, "it talks too much", "refused_frames", until=flood)
        lab.undrop()
        story.heals()
        story.end()


if __name__ == "__main__":
    testing.main(globals())
