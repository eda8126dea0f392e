"""The benchmark of the proxy: its clients, its arithmetic, and that it runs."""
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import testing
from lab import PYTHON, ROOT, tool

BENCH = os.path.join(ROOT, "tests", "bench", "proxy")
sys.path.insert(0, BENCH)

from report import Run, number, spread, text  # pylint: disable=wrong-import-position
from scenarios import SCENARIOS, head

GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nSet-Cookie: who=%d; Path=/\r\n\r\nyes"


def read_head(client, rest=b""):
    while b"\r\n\r\n" not in rest:
        more = client.recv(65536)
        if not more:
            return None
        rest += more
    return rest


@contextlib.contextmanager
def server(answers, pauses=()):
    """One connection: each request is answered by the next of `answers`, the last one again and
    again; None is the end. Before an answer, by its number, it sleeps. Its port, and what it was
    asked."""
    asked = []

    def serve():
        client, _ = listener.accept()
        with client:
            while (request := read_head(client)) is not None:
                asked.append(request)
                time.sleep(dict(pauses).get(len(asked), 0))
                client.sendall(answers[min(len(asked), len(answers)) - 1])
                if answers[len(asked):] == [None]:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked


@contextlib.contextmanager
def echo(spoil=b""):
    """Sends each datagram back, and `spoil` behind the third one; its port."""
    def serve():
        for nth in range(1, 1_000_000):
            data, client = sock.recvfrom(65536)
            if not data:
                return
            sock.sendto(data + spoil * (nth == 3), client)

    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield sock.getsockname()[1]
        sock.sendto(b"", sock.getsockname())
        thread.join()


def load(port, seconds, *words, heads=(head(),)):
    """What proxy_load said: its two lines."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", newline="") as requests:
        requests.write("".join(heads))
        requests.flush()
        done = subprocess.run(
            [tool("proxy_load"), f"127.0.0.1:{port}", requests.name, str(seconds),
             "connections", "1", *words], input="\n", text=True, capture_output=True, timeout=60, check=False)
    ready, result = done.stdout.splitlines()
    return ready, json.loads(result)


def test_bench_load(checks):
    """A request that fails is never taken for one that did not."""
    good = GOOD % 1
    with server([good]) as (port, asked):
        ready, seen = load(port, 0.1)
        checks.equal("ready", ready, "ready 0")
        checks.true(f"all well: {seen}", seen["requests"] > 0 and seen["failed"] == 0)
        checks.equal("all were counted", seen["requests"] + 1, len(asked))  # and the warm-up's one
    for what, bad in (("a status", good.replace(b"200 OK", b"503 No")),
                      ("no length", good.replace(b"content-length", b"x-length")),
                      ("a short body", good[:-1]), ("no answer", b"")):
        with server([good, good, bad, None]) as (port, _):
            seen = load(port, 0.1)[1]
            checks.equal(f"{what}: {seen}", (seen["requests"], seen["failed"]), (1, 1))

    with server([good, good, good[:-1]]) as (port, _):
        seen = load(port, 0.1)[1]
        checks.equal(f"silence: {seen}", (seen["requests"], seen["failed"]), (1, 1))

    with server([good], pauses={2: 0.5}.items()) as (port, _):
        seen = load(port, 0.8, "rate", "200")[1]
        checks.equal(f"an open loop asks as often: {seen}", seen["requests"] + seen["failed"], 160)
        checks.true("and does not omit who had to wait", seen["p50_us"] > 30_000)

    with echo() as port:
        seen = load(port, 0.1, "udp", "1", "close", "1")[1]
        checks.true(f"datagrams: {seen}", seen["requests"] > 0 and seen["failed"] == 0)
    with echo(spoil=b"!") as port:
        seen = load(port, 0.1, "udp", "1")[1]
        checks.equal(f"another one: {seen}", (seen["requests"], seen["failed"]), (1, 1))

    heads = [head(path="/1"), head(path="/2", more=("Cookie: a=b",))]
    with server([GOOD % i for i in range(1, 5)]) as (port, asked):
        load(port, 0, "clients", "2", heads=heads)
    checks.true("each head in turn", all(
        request.startswith(f"GET /{1 + i % 2} ".encode()) for i, request in enumerate(asked)))
    checks.true("a cookie field of its own", b"\r\nCookie: SID=00000000\r\n\r\n" in asked[0])
    checks.true("or part of one", b"\r\nCookie: a=b; SID=00000001\r\n\r\n" in asked[1])
    checks.true(f"it learns: {asked[2]}", any(
        asked[2].endswith(f"SID={client:08x}; who={client + 1}\r\n\r\n".encode())
        for client in range(2)))


def test_bench_proxy_report(checks):
    checks.equal("numbers", [number(value) for value in (9.99, 10.06, 1234.5)],
                 ["10.0", "10.1", "1,234"])
    checks.equal("spread", spread([30, 10, 20]), "20.0 (10.0..30.0)")

    def runs(contender, scenario="a", **figures):
        count = len(next(iter(figures.values())))
        return [Run(scenario, contender, turn, rss=1_000_000 * (turn + 1),
                    **{key: values[turn] for key, values in figures.items()})
                for turn in range(count)]

    def line(*which):
        return text(SCENARIOS, "about", sum(which, []), []).splitlines()[4]
    yoke, haproxy = runs("yoke", cpu_us=[9, 7, 8]), runs("haproxy", cpu_us=[10, 50, 20])
    checks.equal("its ratio is that of medians, to the best",
                 line(yoke, haproxy, runs("nginx", cpu_us=[16, 16, 16])),
                 "| a | HTTP keep-alive, 1 KB, µs | 8.0 (7.0..9.0) | 20.0 (10.0..50.0) | "
                 "16.0 (16.0..16.0) | 0.50 | ≤ 0.76 |")
    late = line(yoke, runs("nginx", cpu_us=[10, 10, 10]))
    checks.true(f"a goal that was missed: {late}", late.endswith("| **0.80** | ≤ 0.76 |"))
    alone = line(yoke)
    checks.true(f"nobody beside: {alone}", alone.endswith("8.0 (7.0..9.0) |  | ≤ 0.76 |"))
    idle = line(runs("yoke", "h", bytes=[321]), runs("nginx", "h", bytes=[642]))
    checks.true(f"an absolute one: {idle}", idle.endswith("| **0.50** | ≤ 320 bytes |"))
    whole = text(SCENARIOS, "about", [
        *runs("yoke", "workers-1", cpu_us=[10]), *runs("yoke", "workers-2", cpu_us=[12.5]),
        *runs("yoke", "syscalls-a", syscalls=[{"recvfrom": 2, "epoll_wait": 0.25, "rare": 0.001}])],
        ["a, nginx, round 1: it ended"])
    checks.true(f"two workers: {whole}", "| yoke | 1.60 |" in whole)
    checks.true("system calls", "| yoke | 2.25 | recvfrom 2.00, epoll_wait 0.25 |" in whole)
    checks.true("what was refused is told", whole.endswith("\n- a, nginx, round 1: it ended"))


def test_bench_proxy(checks):
    """It runs. What is measured is for a quiet machine to judge."""
    done = subprocess.run(
        [PYTHON, os.path.join(BENCH, "measure.py"), "--scenarios", "a", "d", "h", "--contenders",
         "yoke", "haproxy", "--rounds", "1", "--seconds", "0.2"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150, check=False)
    checks.note("output", done.stdout)
    checks.equal("exit status", done.returncode, 0)
    lines = [line for line in done.stdout.splitlines()
             if line.startswith(("| a |", "| d |", "| h |"))]
    checks.equal("lines of both tables", len(lines), 3 + 6)
    for line in lines[:3]:
        values = [float(cell.split()[0].replace(",", "")) for cell in line.split(" | ")[2:4]]
        checks.true(f"not nothing: {line}", min(values) > 1)


if __name__ == "__main__":
    testing.main(globals())
