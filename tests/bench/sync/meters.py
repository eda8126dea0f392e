"""What is measured: processor time, memory, latency."""
import os
import subprocess
import time

from lab import LabError, tool
from segment import children_of

SLICE_S, ENOUGH = 0.2, 200  # seconds, requests


def cpu_us(pid, thread=None):
    """Processor time so far: of all threads of a process, or of those with this name."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        base = f"/proc/{pid}/task/{task}"
        with open(f"{base}/comm", encoding="ascii") as file:
            name = file.read().strip()
        if thread in (None, name):
            with open(f"{base}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0]) / 1000
    return total


def memory(pid, what="VmRSS"):
    """Bytes; what: VmRSS now, VmHWM the most so far."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
    raise LabError(f"no {what} of {pid}")


def pin(pid, cpu):
    """A process, all its threads and children, to one processor."""
    for one in children_of(pid):
        for task in os.listdir(f"/proc/{one}/task"):
            os.sched_setaffinity(int(task), {cpu})


def hurry(pid):
    """Clients and servers are hosts of their own in life: they do not wait for the pair's processor."""
    for one in children_of(pid):
        os.sched_setscheduler(one, os.SCHED_RR, os.sched_param(1))


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else None


class Pulse:
    """http_pulse in a namespace: requests at a steady pace. stop() or wait(), then p99_us()."""

    def __init__(self, lab, role, where, rate, seconds, *words, connections=32):
        self.path = os.path.join(lab.dir, f"pulse-{len(lab.processes)}")
        with open(self.path, "w", encoding="ascii") as out:
            self.process = lab.start_in(role, tool("http_pulse"), where, rate, seconds,
                                        connections, *words, stdout=out)
        self.rows, self.failed = [], 0
        hurry(self.process.pid)

    def wait(self, timeout=120):
        try:
            if self.process.wait(timeout) != 0:
                raise LabError("http_pulse cannot connect")
        except subprocess.TimeoutExpired:
            raise LabError("http_pulse does not end") from None
        with open(self.path, encoding="ascii") as file:
            lines = file.read().splitlines()
        self.failed = int(lines.pop().split()[1])
        self.rows = [tuple(map(int, line.split()[:2])) for line in lines]
        return self

    def rate(self):
        times = [due for due, _ in self.rows]
        return len(times) / ((max(times) - min(times)) / 1e6)

    def p99s(self, begin, end):
        """The 99 % latency of each fifth of a second of a span (CLOCK_MONOTONIC, in seconds)."""
        slices = {}
        for due, took in self.rows:
            if begin <= due / 1e6 < end:
                slices.setdefault(int((due / 1e6 - begin) / SLICE_S), []).append(took)
        return [percentile(took, 0.99) for took in slices.values() if len(took) >= ENOUGH]


def now():
    return time.monotonic()
