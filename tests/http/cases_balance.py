"""Which target a request goes to: by hash of what, who has too much, who is slow, and when health does not count."""
import heapq
import json
import os
import select
import socket
import subprocess
import time

from harness import BIN_DIR, STEP_TIMEOUT, Case, End, Failed, becomes, counted, do, listen, stop_listening
from messages import CLOSE, ok, req

MAGLEV = {"balance": "maglev"}
FAST = {"tcp": {}, "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 1}


class Held:
    """A request that a target has and has not answered."""

    def __init__(self, run, data, source):
        self.run, self.name = run, f"client {len(run.saved)}"
        run.saved[self.name] = True
        run.client(self.name, source).send(data)
        self.end, self.target = self.arrival()

    def arrival(self):
        """The next connection that says something: health checks say nothing."""
        targets = {t.sock: i for i, t in enumerate(self.run.targets)
                   if t.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)}
        while True:
            ready = select.select(list(targets), [], [], STEP_TIMEOUT)[0]
            if not ready:
                raise Failed("no target got the request")
            end = End(ready[0].accept()[0], f"target {targets[ready[0]]}")
            if not end.said_nothing():
                end.take_head()
                return end, targets[ready[0]]
            end.close()

    def answer(self):
        self.end.send(ok(fields=CLOSE))
        self.run.client(self.name).take_head()
        self.run.client(self.name).require(b"ok")
        self.end.close()
        self.run.clients.pop(self.name).close()
        return self.target


def went(run, data, source="127.0.0.1"):
    return Held(run, data, source).answer()


def field(line, path=b"/"):
    return req(path, line + b"\r\n" if line else b"")


def together(*requests):
    """All of these (bytes, or bytes and a source) go to one target."""
    def look(run):
        went_to = [went(run, *r) if isinstance(r, tuple) else went(run, r) for r in requests]
        if len(set(went_to)) != 1:
            raise Failed(f"went to {went_to}")
    return do(look)


def apart(make, n=16):
    """make(0), make(1), ... do not all go to one target (by chance in one of 14 million runs)."""
    def look(run):
        went_to = {went(run, *make(i)) for i in range(n)}
        if len(went_to) < 2:
            raise Failed(f"all went to {went_to}")
    return do(look)


def by_source(line, path=b"/"):
    """What these requests have says nothing: their sources decide."""
    request = field(line, path)
    return (apart(lambda i: (request, f"127.0.0.{i + 2}")),
            together((request, "127.0.0.9"), (request, "127.0.0.9")),
            together((request, "127.0.0.9"), (field(b"", path), "127.0.0.9")))


def bound(run):
    """Requests of one key that are not answered: none of three targets has more than 1.25 of a
    third of them."""
    held, counts = [], [0, 0, 0]
    for n in range(1, 13):
        held.append(Held(run, field(b"X-User: hot"), "127.0.0.1"))
        counts[held[-1].target] += 1
        if max(counts) > -(-125 * n // 300):
            raise Failed(f"of {n} in flight the targets have {counts}")
    home = held[0].target
    for one in held:
        one.answer()
    if went(run, field(b"X-User: hot")) != home:
        raise Failed("does not come back to its own target")


def panic(run, value):
    name = f'yoke_pool_panic{{pool="{run.name()}"}}'
    run.yoke.wait_for(lambda: run.yoke.metric(name) == value,
                      lambda: f"{name} is not {value}")
    events = json.loads(run.yoke.admin("/v1/events")[1])
    events = events if isinstance(events, list) else events["events"]
    last = [e for e in events if e["object"] == f"pool {run.name()}"][-1]
    wanted = ("normal", "panic") if value else ("panic", "normal")
    if (last["from"], last["to"]) != wanted or "panic_threshold 50%" not in last["reason"]:
        raise Failed(f"the event is {last}")


def tells(run):
    text = subprocess.run([os.path.join(BIN_DIR, "yokectl"),
                           "--run-dir", run.yoke.run_dir, "targets"], check=True,
                          capture_output=True, text=True).stdout
    of_pool = text.partition(f"pool {run.name()}:")[2].partition("\npool ")[0]
    if "PANIC" not in of_pool or text.count("PANIC") != 1:
        raise Failed(f"yokectl targets says {of_pool}")


def reached(run, wanted, request=req(), times=6):
    went_to = {went(run, request) for _ in range(times)}
    if went_to != set(wanted):
        raise Failed(f"{went_to} were used, not {wanted}")


class Load:
    """Clients that ask one request after the other, and targets that answer each after a time."""

    def __init__(self, run, delays):
        self.run, self.delays = run, delays
        self.due, self.counts, self.asked = [], [0] * len(delays), 0
        self.poll, self.handlers = select.poll(), {}
        for i, target in enumerate(run.targets):
            self.watch(target.sock, lambda sock, i=i: self.accept(sock, i))

    def watch(self, sock, handler):
        self.handlers[sock.fileno()] = (sock, handler)
        self.poll.register(sock, select.POLLIN)

    def accept(self, listening, i):
        sock = listening.accept()[0]
        self.run.saved[f"kept {sock.fileno()}"] = sock
        self.watch(sock, lambda s: self.request(s, i))

    def request(self, sock, i):
        if not sock.recv(65536).endswith(b"\r\n\r\n"):
            raise Failed("a request in pieces, or an end")
        self.counts[i] += 1
        heapq.heappush(self.due, (time.monotonic() + self.delays[i], sock.fileno()))

    def ask(self, sock):
        self.asked += 1
        sock.sendall(req())

    def shares(self, clients, requests):
        answered = 0
        for n in range(clients):
            end = self.run.client(f"load {n}")
            self.watch(end.sock, None)
            self.ask(end.sock)
        while answered < requests:
            wait = max(0, self.due[0][0] - time.monotonic()) if self.due else STEP_TIMEOUT
            for fd, _ in self.poll.poll(wait * 1000):
                sock, handler = self.handlers[fd]
                if handler:
                    handler(sock)
                    continue
                if sock.recv(65536) != ok():
                    raise Failed("not the response")
                answered += 1
                if self.asked < requests:
                    self.ask(sock)
            while self.due and self.due[0][0] <= time.monotonic():
                self.handlers[heapq.heappop(self.due)[1]][0].sendall(ok())
        return [count / requests for count in self.counts]

    def close(self):
        for name in [n for n in self.run.saved if n.startswith("kept ")]:
            self.run.saved.pop(name).close()


def slow_one_gets(least, most):
    """The last of three targets takes 15 times as long as the others: its share of 800 requests."""
    def look(run):
        load = Load(run, [0.002, 0.002, 0.03])
        try:
            shares = load.shares(8, 800)
        finally:
            load.close()
        if not least <= shares[2] <= most:
            raise Failed(f"shares {shares}: the slow one's is not in {least}..{most}")
    return do(look)


HEADER = {**MAGLEV, "hash_on": {"header": "X-User"}}
COOKIE = {**MAGLEV, "hash_on": {"cookie": "id"}}
PATH = {**MAGLEV, "hash_on": "path"}

CASES = [
    Case("hash_on header: the value decides, not the source",
         apart(lambda i: (field(b"X-User: u%d" % i),)),
         together(field(b"X-User: a"), (field(b"X-User: a"), "127.0.0.2"),
                  (field(b"x-uSER:  a  ", b"/other"), "127.0.0.3"),
                  (field(b"A: b\r\nX-User: a\r\nX-User: c"), "127.0.0.4")),
         targets=3, pool=HEADER),
    Case("hash_on header: without it the source decides", *by_source(b"X-Users: a"),
         targets=3, pool=HEADER),
    Case("hash_on header: an empty one is none", *by_source(b"X-User:  "), targets=3, pool=HEADER),
    Case("hash_on cookie: the value decides, not the source",
         apart(lambda i: (field(b"Cookie: id=%d" % i),)),
         together(field(b"Cookie: id=7"), (field(b"Cookie: a=b; id=7; c=d"), "127.0.0.2"),
                  (field(b"Cookie: a=b\r\nCookie: id=7"), "127.0.0.3"),
                  (field(b"Cookie: id=7; id=8", b"/other"), "127.0.0.4")),
         targets=3, pool=COOKIE),
    Case("hash_on cookie: without it the source decides", *by_source(b"Cookie: ID=7; xid=7"),
         targets=3, pool=COOKIE),
    Case("hash_on cookie: an empty or malformed one is none",
         *by_source(b"Cookie: id=; a=b"), *by_source(b"Cookie: id; ;;=7=,"),
         targets=3, pool=COOKIE),
    Case("hash_on path: without the query, whatever the source",
         apart(lambda i: (req(b"/%d" % i),)),
         together(req(b"/a"), (req(b"/a?b=c"), "127.0.0.2"), (req(b"/a?"), "127.0.0.3"),
                  (req(b"http://a/a?x"), "127.0.0.4")),
         targets=3, pool=PATH),
    Case("maglev by source", *by_source(b"X-User: a"), targets=3, pool=MAGLEV),
    Case("hash_on source", *by_source(b"X-User: a"), targets=3,
         pool={**MAGLEV, "hash_on": "source"}),
    Case("maglev in TCP mode, by source",
         apart(lambda i: (b"1\r\n\r\n", f"127.0.0.{i + 2}")),
         together((b"1\r\n\r\n", "127.0.0.9"), (b"2\r\n\r\n", "127.0.0.9")),
         targets=3, pool=MAGLEV, listener={"mode": "tcp"}),
    Case("least_time in TCP mode: a target that refuses is avoided",
         do(lambda run: reached(run, {1}, b"1\r\n\r\n", 20)), counted("yoke_retries_total", None),
         do(lambda run: reached(run, {1}, b"1\r\n\r\n", 20)), counted("yoke_retries_total", 0),
         targets=2, dead=(0,), pool={"balance": "least_time"}, listener={"mode": "tcp"}),
    Case("a hot key does not fill its target", do(bound), targets=3,
         pool={**HEADER, "hash_balance_factor": "125%"}),
    Case("a key whose target is down comes back to it",
         do(lambda run: run.saved.update(home=went(run, field(b"X-User: a")))),
         do(lambda run: run.targets[run.saved["home"]].stop_listening()),
         do(lambda run: run.yoke.wait_target(run.name(), run.saved["home"], "down")),
         together(field(b"X-User: a"), field(b"X-User: a")),
         do(lambda run: run.targets[run.saved["home"]].sock.listen(64)),
         do(lambda run: run.yoke.wait_target(run.name(), run.saved["home"], "up")),
         do(lambda run: went(run, field(b"X-User: a")) == run.saved["home"] or not_home(run)),
         targets=3, pool={**HEADER, "health": FAST}),
    Case("below the panic threshold health does not count",
         becomes(0, "up"), becomes(1, "up"), becomes(2, "up"), becomes(3, "up"),
         stop_listening(0), becomes(0, "down"), stop_listening(1), becomes(1, "down"),
         do(lambda run: reached(run, {2, 3})), stop_listening(2), becomes(2, "down"),
         do(lambda run: panic(run, 1)), do(tells), listen(0), listen(1),
         # They are down for 100 checks more, and used.
         do(lambda run: reached(run, {0, 1, 3})),
         targets=4, pool={"panic_threshold": "50%", "health": {**FAST, "rise": 100}}),
    Case("panic ends", becomes(0, "up"), becomes(1, "up"), stop_listening(0), stop_listening(1),
         do(lambda run: panic(run, 1)), listen(0), do(lambda run: panic(run, 0)),
         do(lambda run: reached(run, {0})), targets=2,
         pool={"panic_threshold": "50%", "health": FAST}),
    Case("round_robin gives a slow target as much as the others", slow_one_gets(0.3, 0.36),
         targets=3),
    Case("least_connections gives a slow target less", slow_one_gets(0, 0.2), targets=3,
         pool={"balance": "least_connections"}),
    Case("random_two gives a slow target less", slow_one_gets(0, 0.25), targets=3,
         pool={"balance": "random_two"}),
    Case("least_time gives a slow target hardly anything", slow_one_gets(0.001, 0.12), targets=3,
         pool={"balance": "least_time"}),
]


def not_home(run):
    raise Failed(f"not at target {run.saved['home']}")
