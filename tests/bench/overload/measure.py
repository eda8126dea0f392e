#!/usr/bin/python3
"""What becomes of requests when ten times as many come as the target can serve.

    measure.py [--seconds 60] [--factor 10] [--short]

One yoked with two workers, one target of known capacity: PLACES requests at a time, by max_connections, each of which
takes SERVICE_S of waiting and no processor. First as many clients as it has places ask one after the other: that is the
capacity. Then requests come at `factor` times that rate, each at its time, whatever becomes of the others
(nothing is omitted), then at half of it. Prints a line of JSON. Exit status 1 if one of these does not hold:

  goodput     90 % of the capacity
  p99         of requests that are served: queue.timeout and the service time, and 50 ms
  memory      of the proxy does not grow by more than GROWTH_MAX_KIB
  places      the target never has more than its max_connections
  sums        what clients got is what yoke has counted, by reason, one by one
  recovery    2 s after the overload each request is served, and quickly

With --short as a test that must hold on a machine that does something else, also with sanitizers: a few seconds and
places, goodput, p99 and recovery with more patience, memory not at all. YOKE_BIN_DIR says where the build is."""
import argparse
import collections
import json
import os
import select
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "http"))
sys.dont_write_bytecode = True

from harness import Yoke  # noqa: E402

PLACES, SHORT_PLACES = 8, 2
SERVICE_S = 0.020
QUEUE_S = 0.5         # so much work may wait
QUEUE_TIMEOUT_S = 0.4
GROWTH_MAX_KIB = 16 * 1024
CONNECTIONS_MAX = 2000
AT_ONCE = 64          # requests before answers are read, when the clients are late
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# -- the target: waits, then answers ------------------------------------------------------------

def serve():
    """Prints its port; when stdin ends, how many requests it had, and at once at most."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    poll, conns, due = select.epoll(), {}, collections.deque()
    poll.register(listener, select.EPOLLIN)
    poll.register(0, select.EPOLLIN)
    served = most = 0
    while True:
        wait = max(0, due[0][0] - time.monotonic()) if due else 1
        for fd, _ in poll.poll(wait):
            if fd == 0:
                print(served, most, flush=True)
                return
            if fd == listener.fileno():
                conn = listener.accept()[0]
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                conns[conn.fileno()] = conn
                poll.register(conn, select.EPOLLIN)
            elif conns[fd].recv(4096).endswith(b"\r\n\r\n"):
                due.append((time.monotonic() + SERVICE_S, conns[fd]))
                most = max(most, len(due))
            else:
                poll.unregister(fd)
                conns.pop(fd).close()
        while due and due[0][0] <= time.monotonic():
            due.popleft()[1].send(ANSWER)
            served += 1


# -- clients ------------------------------------------------------------------------------------

class Clients:
    """Requests in an open loop; what became of each is in `ended`: (due, took, reason or "ok")."""

    def __init__(self, port):
        self.port, self.poll = port, select.epoll()
        self.conns, self.free, self.due = {}, [], {}
        self.ended, self.sent, self.unsent = [], 0, 0

    def connect(self):
        conn = socket.create_connection(("127.0.0.1", self.port), 10)
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.conns[conn.fileno()] = conn
        self.poll.register(conn, select.EPOLLIN)
        return conn

    def ask(self, due):
        if not self.free and len(self.conns) >= CONNECTIONS_MAX:
            self.unsent += 1
            return
        conn = self.free.pop() if self.free else self.connect()
        self.due[conn.fileno()] = due
        self.sent += 1
        conn.send(REQUEST)

    def hear(self, fd):
        """An answer is small and comes whole."""
        data = self.conns[fd].recv(4096)
        if data == ANSWER:
            reason = "ok"
        elif data.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in data:
            reason = data.rpartition(b": ")[2].strip().decode()
        else:
            sys.exit(f"neither an answer nor 503: {data!r}")
        due = self.due.pop(fd)
        self.ended.append((due, time.monotonic() - due, reason))
        self.free.append(self.conns[fd])

    def run(self, rate, seconds):
        """`rate` requests a second, then those that are under way."""
        begin, n = time.monotonic(), 0
        end = begin + seconds
        while True:
            now = time.monotonic()
            late = 0
            while begin + n / rate <= min(now, end) and late < AT_ONCE:
                self.ask(begin + n / rate)
                n += 1
                late += 1
            if begin + n / rate > end and not self.due:
                return begin, end
            wait = begin + n / rate - now if begin + n / rate <= end else 1
            for fd, _ in self.poll.poll(max(0, min(wait, 1))):
                self.hear(fd)

    def capacity(self, places, seconds):
        """In a closed loop of as many clients as there are places."""
        end = time.monotonic() + seconds
        for _ in range(places):
            self.ask(time.monotonic())
        while self.due:
            for fd, _ in self.poll.poll(1):
                self.hear(fd)
                if time.monotonic() < end:
                    self.ask(time.monotonic())
        return len(self.ended) / seconds


# -- what yoke says -----------------------------------------------------------------------------

NAMES = {"entered": 'yoke_queue_entered_total{pool="web"}',
         "served": 'yoke_queue_served_total{pool="web"}',
         "timeouts": 'yoke_queue_timeouts_total{pool="web"}',
         "left": 'yoke_queue_left_total{pool="web"}',
         "overflows": 'yoke_queue_overflows_total{pool="web"}',
         "length": 'yoke_queue_length{pool="web"}',
         "requests": "yoke_requests_total",
         "ok": "yoke_responses_2xx_total",
         "refused": "yoke_responses_5xx_total"}


def counts(yoke):
    return {name: int(yoke.metric(metric)) for name, metric in NAMES.items()}


def reason(yoke, word):
    text = yoke.admin("/metrics")[1].decode()
    name = f'yoke_refused_total{{what="request",reason="{word}"}} '
    return sum(int(float(line[len(name):])) for line in text.splitlines() if line.startswith(name))


def proxy_pid(yoke):
    path = f"/proc/{yoke.process.pid}/task/{yoke.process.pid}/children"
    with open(path, encoding="ascii") as file:
        for pid in file.read().split():
            with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                if comm.read().strip() == "yoke-proxy":
                    return pid
    sys.exit("no yoke-proxy")


def most_memory_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))


# -- the measurement ----------------------------------------------------------------------------

def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0


def measure(yoke, port, options):
    seconds = options.seconds
    clients = Clients(port)
    rate = clients.capacity(options.places, min(5, seconds))
    clients.run(rate / 2, 1)
    before = most_memory_kib(proxy_pid(yoke))
    clients.ended.clear()
    sent_before, base = clients.sent, counts(yoke)
    begin, end = clients.run(rate * options.factor, seconds)
    overload = collections.Counter(why for _, _, why in clients.ended)
    took = [t for _, t, why in clients.ended if why == "ok"]
    good = sum(why == "ok" and begin <= due + t <= end for due, t, why in clients.ended)
    sent = clients.sent - sent_before
    growth = most_memory_kib(proxy_pid(yoke)) - before
    after = counts(yoke)
    grown = {name: after[name] - base[name] for name in NAMES}
    reasons = {word: reason(yoke, word) for word in ("queue_full", "queue_timeout")}
    clients.ended.clear()
    calm_s = 4
    calm_begin, _ = clients.run(rate / 2, calm_s)
    bad = [due + t - calm_begin for due, t, why in clients.ended
           if why != "ok" or t > 5 * SERVICE_S]
    return {"capacity": round(rate, 1), "offered": round(sent / seconds, 1), "seconds": seconds, "sent": sent,
            "unsent": clients.unsent,
            "goodput": round(good / seconds / rate, 3), "answers": dict(overload), "yoke": grown,
            "reasons": reasons, "p50_ms": round(quantile(took, 0.5) * 1e3, 1),
            "p99_ms": round(quantile(took, 0.99) * 1e3, 1), "max_ms": round(max(took) * 1e3, 1),
            "memory_grew_kib": growth, "memory_kib": before + growth,
            "recovered_s": round(max(bad, default=0), 2), "connections": len(clients.conns)}


def judge(result, options, served, most):
    """What does not hold, as texts."""
    answers, yoke = result["answers"], result["yoke"]
    patience_s = 1.0 if options.short else 0.05
    checks = {
        f"goodput is {result['goodput']} of the capacity":
            result["goodput"] >= (0.5 if options.short else 0.9),
        f"p99 is {result['p99_ms']} ms":
            result["p99_ms"] <= 1e3 * (QUEUE_TIMEOUT_S + SERVICE_S + patience_s),
        f"memory grew by {result['memory_grew_kib']} KiB":
            options.short or result["memory_grew_kib"] <= GROWTH_MAX_KIB,
        f"{result['unsent']} requests were not sent, as so many were on their way":
            options.short or result["unsent"] == 0,
        f"the target had {most} requests at a time": most <= options.places,
        f"recovered after {result['recovered_s']} s":
            result["recovered_s"] <= (4 if options.short else 2),
        "nobody was refused": answers.get("queue_full", 0) > 0,
        "clients got other answers than were counted": yoke["ok"] == answers.get("ok", 0),
        "sent and answered differ": result["sent"] == sum(answers.values()) == yoke["requests"],
        "refused otherwise": set(answers) <= {"ok", "queue_full", "queue_timeout"},
        "overflows": yoke["overflows"] == answers.get("queue_full", 0) == result["reasons"]["queue_full"],
        "timeouts":
            yoke["timeouts"] == answers.get("queue_timeout", 0) == result["reasons"]["queue_timeout"],
        "5xx": yoke["refused"] == yoke["overflows"] + yoke["timeouts"],
        "the queue's sum": yoke["entered"] == yoke["served"] + yoke["timeouts"] and yoke["left"] == 0,
        "somebody still waits": yoke["length"] == 0,
        f"the target served {served} requests": served == result["all_ok"],
    }
    return [what for what, holds in checks.items() if not holds]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--factor", type=float, default=10)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    options.places = SHORT_PLACES if options.short else PLACES
    if options.short:
        options.seconds = 3
    target = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--serve"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    yoke = Yoke({
        "listeners": {"web": {"bind": f"127.0.0.1:{port}", "pool": "web"}},
        "pools": {"web": {"targets": [{"address": f"127.0.0.1:{int(target.stdout.readline())}",
                                       "max_connections": options.places}],
                          "queue": {"max": int(options.places / SERVICE_S * QUEUE_S), "timeout": f"{int(QUEUE_TIMEOUT_S * 1e3)}ms"}}},
        "workers": 2})
    try:
        yoke.wait_ready()
        result = measure(yoke, port, options)
        result["all_ok"] = int(yoke.metric("yoke_responses_2xx_total"))
    finally:
        problem = yoke.stop()
        target.stdin.close()
        said = target.stdout.read()
        target.wait(10)
    served, most = map(int, said.split())
    failed = judge(result, options, served, most)
    if problem:
        failed.append(str(problem))
    print(json.dumps({**result, "most_at_a_time": most}))
    for what in failed:
        print(f"does not hold: {what}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(serve() if sys.argv[1:] == ["--serve"] else main())
