#!/usr/bin/python3
"""yoked under full load between clients and targets that misbehave: see README.md.

  soak.py [--minutes M] [--seed S] [--clients N] [--asan]
"""
import argparse
import json
import os
import select
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "http"))
sys.dont_write_bytecode = True

from harness import Failed, Yoke, sanitizer_complained  # noqa: E402

WARM_UP_S = 10       # memory and descriptors are compared from here on
RELOAD_S = 3
STICKY_TTL = "24h"   # half of it is longer than any run: no cookie is renewed
IDLE_S = 90          # until what is left over is gone
RSS_GROWTH = 1.10    # last third against the first,
RSS_SLACK_KB = 2048  # and this much besides
COUNTED, COUNTING_CLIENTS = 300, 10
FRONTS = {  # name: (mode, kind, targets)
    "clean": ("http", "clean", 3), "faulty": ("http", "faulty", 3), "sticky": ("http", "sticky", 3),
    "stream": ("tcp", "clean", 2), "broken": ("tcp", "faulty", 2)}


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


class Soak:
    def __init__(self, args):
        self.args = args
        pid = os.getpid()
        self.address = f"127.{16 + (pid >> 8) % 200}.{pid & 255}.1"
        ports = free_ports(sum(targets for _, _, targets in FRONTS.values()))
        self.targets = {name: [ports.pop() for _ in range(n)] for name, (_, _, n) in FRONTS.items()}
        self.refusing = socket.socket()  # bound, not listening
        self.refusing.bind(("127.0.0.1", 0))
        self.n_reloads = 0
        self.yoke = Yoke(self.config())
        self.yoke.wait_ready()
        self.proxy = self.pid_of("yoke-proxy")

    # yoked

    def config(self):
        """Each reload brings other weights, another target that refuses, another listener."""
        listeners, pools = {}, {}
        odd = self.n_reloads % 2
        for i, (name, (mode, kind, _)) in enumerate(FRONTS.items()):
            targets = [{"address": f"127.0.0.1:{port}", "weight": 1 + odd * k}
                       for k, port in enumerate(self.targets[name])]
            listeners[name] = {"bind": f"{self.address}:{10000 + i}", "mode": mode, "pool": name}
            pools[name] = {"targets": targets}
            if mode == "http":
                pools[name]["response_timeout"] = "60s"
            if kind == "faulty":
                listeners[name]["idle_timeout"] = "4s"
                targets.append({"address": "127.0.0.1:%d" % self.refusing.getsockname()[1]})
            if kind == "sticky":
                pools[name]["sticky"] = {"cookie": {"name": "SOAK"}, "ttl": STICKY_TTL}
        if odd:
            listeners["more"] = {"bind": f"{self.address}:11000", "pool": "clean"}
        pools["broken"]["balance"] = "least_connections"
        return {"workers": 2, "shutdown_timeout": "5s", "listeners": listeners, "pools": pools}

    def reload(self):
        self.n_reloads += 1
        path = os.path.join(self.yoke.dir.name, "yoke.json")
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.config(), file)
        os.rename(path + ".new", path)
        self.yoke.process.send_signal(signal.SIGHUP)

    def generation(self):
        return json.loads(self.yoke.admin("/v1/status")[1])["generation"]

    def pid_of(self, name):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    comm, rest = file.read().rsplit(")", 1)
            except OSError:
                continue
            if comm.endswith("(" + name) and int(rest.split()[1]) == self.yoke.process.pid:
                return int(pid)
        raise Failed(f"no {name}")

    def rss_kb(self):
        with open(f"/proc/{self.proxy}/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("VmRSS"):
                    return int(line.split()[1])
        raise Failed(f"yoke-proxy died\n{self.yoke.log()}")

    def descriptors(self):
        """All but pipes, of which some are kept."""
        names, kinds = os.listdir(f"/proc/{self.proxy}/fd"), []
        for name in names:
            try:
                kinds.append(os.readlink(f"/proc/{self.proxy}/fd/{name}"))
            except OSError:
                pass
        return sum(not kind.startswith("pipe:") for kind in kinds)

    def metrics(self):
        text = self.yoke.admin("/metrics")[1].decode()
        return {name: float(value) for name, _, value in
                (line.partition(" ") for line in text.splitlines() if line[0] != "#")}

    # clients and targets

    def peers(self, fronts, seconds, clients, exchanges):
        seed = (self.args.seed + self.n_reloads) & 0xffffffff
        command = [os.path.join(os.environ.get("YOKE_TEST_DIR", "build/release/tests"), "soak_peers"),
                   str(seed), str(seconds), str(clients), str(exchanges)]
        for name in fronts:
            mode, kind, _ = FRONTS[name]
            command += [f"target={port},{name},{mode}" for port in self.targets[name]]
            port = 10000 + list(FRONTS).index(name)
            command.append(f"front={self.address},{port},{name},{mode},{kind}")
        # All that the proxy leaves is theirs, but no more: yoked kills a proxy that does not run.
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                preexec_fn=lambda: os.nice(10))

    def finish(self, peers, patience):
        try:
            output = peers.communicate(timeout=patience)[0].strip()
        except subprocess.TimeoutExpired:
            peers.kill()
            raise Failed(f"clients have not come to an end:\n{peers.communicate()[0]}") from None
        if peers.returncode != 0:
            raise Failed(f"clients or targets saw what is wrong ({peers.returncode}):\n{output}")
        return dict(zip(output.split()[::2], map(int, output.split()[1::2])))

    # what is measured

    def wait_idle(self, want=None):
        """Nobody is connected: the number of descriptors, `want` if it becomes that."""
        deadline, seen = time.monotonic() + IDLE_S, None
        while time.monotonic() < deadline:
            self.require_running()
            now = self.metrics()
            if now["yoke_client_connections"] == now["yoke_upstream_connections"] == 0:
                seen = min(self.descriptors() for _ in range(20))
                if want is None or seen <= want:
                    return seen
            select.select([], [], [], 0.25)
        if seen is not None:
            return seen
        raise Failed(f"connections are left: {now['yoke_client_connections']:.0f} of clients, "
                     f"{now['yoke_upstream_connections']:.0f} to targets")

    def require_running(self):
        if self.yoke.process.poll() is not None or not os.path.exists(f"/proc/{self.proxy}"):
            raise Failed(f"yoke died\n{self.yoke.log()}")

    def load(self, seconds):
        """Everything at once, with reloads. Returns (totals, memory over time)."""
        peers, rss = self.peers(FRONTS, seconds, self.args.clients, 0), []
        begin = reloaded = time.monotonic()
        try:
            while peers.poll() is None and time.monotonic() < begin + seconds:
                select.select([], [], [], 0.25)
                self.require_running()
                rss.append(self.rss_kb())
                if time.monotonic() > reloaded + RELOAD_S:
                    self.reload()
                    reloaded = time.monotonic()
            return self.finish(peers, 180), rss
        finally:
            peers.kill()
            peers.wait()

    def require_exact_counters(self):
        """Without faults every request is counted once."""
        before = self.metrics()
        peers = self.peers(["clean"], 0, COUNTING_CLIENTS, COUNTED)
        totals = self.finish(peers, 180)
        self.wait_idle()
        after = self.metrics()
        n = COUNTED * COUNTING_CLIENTS
        if totals["done"] != n:
            raise Failed(f"{totals['done']} of {n} exchanges")
        for name in ("requests", "responses_2xx"):
            counted = after[f"yoke_{name}_total"] - before[f"yoke_{name}_total"]
            if counted != n:
                raise Failed(f"{name}: {counted:.0f} were counted of {n}")
        for name in ("responses_4xx", "responses_5xx", "refused_malformed", "target_failed"):
            if after[f"yoke_{name}_total"] != before[f"yoke_{name}_total"]:
                raise Failed(f"{name} has grown without a reason")

    def require_flat(self, rss):
        third = len(rss) // 3
        first, last = statistics.median(rss[:third]), statistics.median(rss[-third:])
        print(f"memory: {first / 1024:.1f} MiB in the first third, {last / 1024:.1f} in the last, "
              f"{max(rss) / 1024:.1f} at most")
        if not self.args.asan and last > first * RSS_GROWTH + RSS_SLACK_KB:
            raise Failed("memory grows")

    def run(self):
        self.load(WARM_UP_S)
        idle = self.wait_idle()
        seconds = int(self.args.minutes * 60)
        before = self.generation()
        totals, rss = self.load(seconds)
        print(", ".join(f"{n} {what}" for what, n in totals.items()) +
              f"; {totals['done'] / seconds:.0f} exchanges/s, {totals['bytes'] / seconds / 1e6:.0f} MB/s")
        left = self.wait_idle(idle)
        generations = self.generation() - before
        print(f"{generations} reloads; descriptors: {idle} before, {left} after")
        if left > idle:
            raise Failed("descriptors are left open")
        if generations < seconds // (4 * RELOAD_S):
            raise Failed("reloads did not come into force")
        if not totals["done"] or not totals["cut"] or not totals["refused"] or not totals["faults"]:
            raise Failed("the faults did not happen")
        self.require_flat(rss)
        self.require_exact_counters()

    def close(self):
        log = self.yoke.log()
        problem = self.yoke.stop()
        self.refusing.close()
        return problem or (log if sanitizer_complained(log) else None)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xffffffff)
    parser.add_argument("--clients", type=int, default=12, help="of each listener")
    parser.add_argument("--asan", action="store_true",
                        help="the programs are built with sanitizers: they tell of leaks themselves")
    return parser.parse_args()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that all is tidied up
    args = arguments()
    print(f"seed {args.seed}", flush=True)
    soak = Soak(args)
    problem = None
    try:
        soak.run()
    except Failed as e:
        problem = str(e)
    finally:
        problem = soak.close() or problem
    print(f"FAILED soak: {problem}" if problem else "passed")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
