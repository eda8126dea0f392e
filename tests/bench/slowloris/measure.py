#!/usr/bin/python3
"""What a crowd of silent clients costs the others: measure.py [ROUNDS]. Requests of one fast client, with
and without 5,000 connections beside it that send a head byte by byte (each one in fifteen seconds) and
never end it. Prints the median and the 99th percentile of both, and their ratio."""
import os
import signal
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "http"))
sys.dont_write_bytecode = True

from crowd import Crowd, FastClient, allow_descriptors  # noqa: E402
from harness import Yoke  # noqa: E402

CROWD, REQUESTS, TURN_S = 5000, 20000, 15
ADDRESS, PORT = "127.9.9.9", 10080


def be_a_crowd(ready):
    """In a process of its own, until it is killed. It is elsewhere in truth: it preempts nobody."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    crowd = Crowd(ADDRESS, PORT)
    crowd.grow(CROWD, b"GET / HTTP/1.1\r\nX-")
    os.write(ready, b"1")
    while True:
        for sock in crowd.socks:
            sock.send(b"a")
            time.sleep(TURN_S / CROWD)


def begin_crowd():
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            be_a_crowd(writable)
        finally:
            os._exit(1)
    os.read(readable, 1)
    os.close(readable)
    os.close(writable)
    return pid


def end_crowd(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def ask():
    client = FastClient(ADDRESS, PORT, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ in range(REQUESTS):
        client.ask(client.kept)
    client.close()
    times = sorted(client.times_s)
    return times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6


def main(rounds):
    allow_descriptors(CROWD + 100)
    yoke = Yoke({"workers": 1, "listeners": {"web": {"bind": f"{ADDRESS}:{PORT}", "header_timeout": "1h",
                                                     "routes": [{"respond": {"status": 200}}]}}})
    alone, beside = [], []
    try:
        yoke.wait_ready()
        ask()
        for _ in range(rounds):
            alone.append(ask())
            pid = begin_crowd()
            try:
                beside.append(ask())
                crowd = yoke.metric("yoke_client_connections")
            finally:
                end_crowd(pid)
            if crowd < CROWD:
                raise SystemExit(f"only {crowd:g} connections were there")
            yoke.wait_for(lambda: yoke.metric("yoke_client_connections") < 10, lambda: "the crowd stays")
    finally:
        yoke.stop()
    for n, what in enumerate(("median", "p99")):
        a = statistics.median(row[n] for row in alone)
        b = statistics.median(row[n] for row in beside)
        print(f"{what}: {a:.0f} us alone, {b:.0f} us beside {CROWD}: {b / a:.2f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
