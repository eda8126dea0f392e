"""Where it is measured: a network namespace with loopback only, the backend, one proxy at a time,
its clients, each on its CPUs."""
import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from contenders import HOST, PORT
from report import Run
from scenarios import BACKEND, SMALL_PORT
from segment import LabError, children_of, end_process, run, wait_until

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
BIN_DIR = os.environ.get("YOKE_BIN_DIR", os.path.join(ROOT, "build", "release", "bin"))
INSIDE = "YOKE_BENCH_INSIDE"


def tool(name):
    path = os.path.join(os.path.dirname(BIN_DIR), "tests", name)
    if not os.path.exists(path):
        raise LabError(f"{path} is missing: build first")
    return path


def enter():
    """Goes on in namespaces of its own: nothing else is reached, and nothing of it outlives us."""
    if os.environ.get(INSIDE):
        return
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child",
                          sys.executable, *sys.argv])


def prepare():
    run("ip", "link", "set", "lo", "up")
    for name, value in (("ip_local_port_range", "20000 65000"),
                        ("tcp_congestion_control", "reno")):  # others pace, which distorts loopback
        with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
            file.write(value)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def cpu_us(pids):
    """Processor time so far of all their threads."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0]) / 1000
    return total


def memory(pids, what="VmRSS"):
    """Bytes; what: VmRSS now, VmHWM the most so far."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith(what)) * 1024
    return total


def bound(port, mode):
    """Does somebody listen there?"""
    protocol, state = ("udp", "07") if mode == "udp" else ("tcp", "0A")
    with open(f"/proc/net/{protocol}", encoding="ascii") as file:
        rows = [line.split() for line in file]
    return any(row[1].endswith(f":{port:04X}") and row[3] == state for row in rows)


class Load:
    """load.c. It is prepared when this returns; its connections stay until the block ends."""

    def __init__(self, bed, cpus, scenario, seconds, warm_up=0.3, **more):
        path = os.path.join(bed.dir, "requests")
        with open(path, "w", encoding="ascii", newline="") as file:
            file.write("".join(scenario.heads))
        words = [str(word) for pair in ({"warm_up": warm_up} | scenario.load | more).items()
                 for word in pair]
        self.process = bed.start(cpus, tool("proxy_load"), f"{HOST}:{PORT}", path,
                                 str(seconds), *words, stdin=subprocess.PIPE)
        ready = self.process.stdout.readline().split()
        if ready != ["ready", "0"]:
            raise LabError(f"{ready[1]} requests failed before it began" if ready
                           else "the load generator ended")

    def work(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        result = json.loads(self.process.stdout.readline() or '{"requests": 0, "failed": "all"}')
        if result["failed"] or not result["requests"]:
            raise LabError(f"{result['failed']} requests failed, {result['requests']} did not")
        return result

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        end_process(self.process, 10)


class Proxy:
    """A contender that runs, and listens."""

    def __init__(self, bed, cpus, contender, setup):
        wait_until(lambda: not bound(PORT, setup.mode), 5, "the port is free")
        self.dir = tempfile.mkdtemp(dir=bed.dir)
        self.contender, self.log = contender, os.path.join(self.dir, "log")
        with open(self.log, "w", encoding="ascii") as log:
            self.process = bed.start(cpus, *contender.command(setup, self.dir),
                                     stdout=log, stderr=log)
        try:
            wait_until(lambda: self.process.poll() is not None or bound(PORT, setup.mode), 20,
                       f"{contender.name} listens")
            self.check()
        except LabError:
            self.stop()
            raise

    def pids(self):
        """Those that serve are here when a request was served."""
        return children_of(self.process.pid)

    def check(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                raise LabError(f"{self.contender.name} ended: {file.read()[-500:]}")

    def logged(self):
        """How many lines the access log has."""
        with open(os.path.join(self.dir, self.contender.LOG), "rb") as file:
            return file.read().count(b"\n")

    def stop(self):
        end_process(self.process, 15)
        shutil.rmtree(self.dir)


class Bed:
    def __init__(self, proxy_cpus, load_cpus):
        self.proxy_cpus, self.load_cpus = proxy_cpus, load_cpus
        self.dir = tempfile.mkdtemp(prefix="yoke-bench.")
        os.chmod(self.dir, 0o711)  # for proxies that give up root

    def __enter__(self):
        prepare()
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def start(self, cpus, *words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=None):
        return subprocess.Popen(["taskset", "--cpu-list", cpus, *words], text=True, stdin=stdin,
                                stdout=stdout, stderr=stderr)

    def start_backend(self, cpus):
        words = [str(word) for pair in BACKEND.items() for word in pair]
        process = self.start(cpus, tool("proxy_backend"), *words)
        wait_until(lambda: bound(SMALL_PORT, "tcp"), 5, "the backend listens")
        return process

    def cpus(self, scenario):
        """Of the proxy, and of all others. Two workers and their clients need more than two CPUs;
        if that is all there is, they share them."""
        if not scenario.spread or "," in self.proxy_cpus or "-" in self.proxy_cpus:
            return self.proxy_cpus, self.load_cpus
        both = f"{self.proxy_cpus},{self.load_cpus}"
        return both, both

    def measure(self, contender, scenario, turn, seconds):
        """A Run; LabError if a single request failed."""
        proxy_cpus, load_cpus = self.cpus(scenario)
        how = {"bytes": self.idle, "syscalls": self.traced}.get(scenario.figure, self.busy)
        with contextlib.ExitStack() as stack:
            backend = self.start_backend(load_cpus)
            stack.callback(end_process, backend)
            proxy = Proxy(self, proxy_cpus, contender, scenario.setup)
            stack.callback(proxy.stop)
            figures = how(proxy, load_cpus, scenario, seconds)
            proxy.check()
            return Run(scenario.key, contender.name, turn, memory(proxy.pids(), "VmHWM"), **figures)

    def busy(self, proxy, cpus, scenario, seconds):
        with Load(self, cpus, scenario, seconds) as load:
            pids = proxy.pids()
            before = cpu_us(pids)
            result = load.work()
            took = cpu_us(pids) - before
        if scenario.setup.access_log:
            wait_until(lambda: proxy.logged() >= result["requests"], 5, "all are in the log")
        return {"cpu_us": took / result["requests"], "core": took / 1e6 / result["seconds"],
                "rate": result["requests"] / result["seconds"]} | {
                    key: result[key] for key in ("requests", "p50_us", "p99_us", "p999_us")}

    def idle(self, proxy, cpus, scenario, _):
        with Load(self, cpus, scenario, 0.2, idle=0, connections=16) as load:
            load.work()  # what it has anyway
        pids = proxy.pids()
        before = memory(pids)
        with Load(self, cpus, scenario, 0, warm_up=0):
            time.sleep(0.3)  # what it gives back after a request is not counted
            return {"bytes": (memory(pids) - before) / scenario.load["idle"]}

    def traced(self, proxy, cpus, scenario, seconds):
        with Load(self, cpus, scenario, seconds) as load:
            with Strace(self, proxy.pids()) as strace:
                result = load.work()
        return {"syscalls": {name: calls / result["requests"]
                             for name, calls in strace.calls().items()}}


class Strace:
    """Counts the system calls of processes, all their threads, while the block lasts."""

    def __init__(self, bed, pids):
        self.path = os.path.join(bed.dir, "strace")
        which = [word for pid in pids for word in ("--attach", str(pid))]
        self.tasks = [f"/proc/{pid}/task/{task}" for pid in pids
                      for task in os.listdir(f"/proc/{pid}/task")]
        self.process = subprocess.Popen(
            ["strace", "--summary-only", "--follow-forks", "--output", self.path, *which],
            stderr=subprocess.DEVNULL)

    def __enter__(self):
        wait_until(lambda: all(map(traced, self.tasks)), 10, "strace is attached")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)

    def calls(self):
        """Columns: % of time, seconds, µs a call, calls, perhaps errors, name."""
        with open(self.path, encoding="ascii") as file:
            rows = [line.split() for line in file]
        return {row[-1]: int(row[3]) for row in rows
                if len(row) in (5, 6) and row[3].isdigit() and row[-1] != "total"}


def traced(task):
    with open(f"{task}/status", encoding="ascii") as file:
        return "TracerPid:\t0\n" not in file.read()
