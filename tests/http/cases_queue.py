"""Targets with a limit (max_connections), and the queue of those who find no place."""
from cases_sticky import COOKIE, SOURCE, get_cookie, send_cookie, source, value_of
from cases_upgrade import opened, talks
from datagrams import UdpCase, grew, remember
from harness import (Case, answer, becomes, closed, do, gets, gets_error, gets_head, hangup, leave,
                     listen, released, reload_with, sees, send, shut, turned_away, untouched)
from logfile import logged
from messages import fwd, fwd10, fwd_post, ok, ok_close, post, req, served

TOP_LEVEL = {"access_log": {"file": "@DIR@/access.log"}}
ONE = {"max_connections": 1}
FAST = {"tcp": {}, "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 1}


def queue(run, name):
    return run.yoke.metric(f'yoke_queue_{name}{{pool="{run.name()}"}}')


def waits(n=1):
    """Waits until so many requests wait."""
    return do(lambda run: run.yoke.wait_for(lambda: queue(run, "length") == n,
                                            lambda: f"{queue(run, 'length'):g} wait, not {n}"))


def became(**counts):
    """What became of all who had to wait so far: nothing is lost, nothing is counted twice."""
    def look(run):
        names = ("served", "timeouts", "left", "overflows")
        found = {name: queue(run, name + "_total") for name in names}
        wanted = {name: counts.get(name, 0) for name in names}
        run.yoke.wait_for(lambda: {n: queue(run, n + "_total") for n in names} == wanted,
                          lambda: f"{found}, not {wanted}")
        ended = sum(wanted[name] for name in names[:3])
        run.yoke.wait_for(lambda: queue(run, "entered_total") == ended + queue(run, "length"),
                          lambda: f"{queue(run, 'entered_total'):g} entered")
    return do(look)


def busy(path=b"/busy", c="busy", b="b", t=0):
    """A request that occupies its target until `done`."""
    return send(req(path), c=c), sees(fwd(path), b=b, t=t)


def done(c="busy", b="b"):
    return answer(ok(), b=b), gets(ok(), c=c)


def passed(path, c, b="b", t=0):
    """A request that was sent before gets through."""
    return sees(fwd(path), b=b, t=t), answer(ok(), b=b), gets(ok(), c=c)


def gone(c, b="b"):
    """The client and its target are done with each other."""
    return leave(c, reset=True), released(b, reset=None)


def limit(n, index=0):
    """A reload with another limit."""
    def change(run, _, pools):
        target = pools[run.name()]["targets"][index]
        target["max_connections"] = n
    return reload_with(change)


def one(name, *steps, target=None, **kw):
    return Case(name, *steps, target=target or ONE, **kw)


def tcp(name, *steps, **kw):
    return one(name, *steps, listener={"mode": "tcp"}, **kw)


def rejected(why, c):
    """503 with this reason, and the connection goes on."""
    body = b"503 Service Unavailable: %s\n" % why
    return (gets_head(503, has=(b"Retry-After: 1", b"Content-Length: %d" % len(body)), c=c),
            gets(body, c=c))


CASES = [
    # First: checks fill the queue of a target that accepts nothing yet, and then it is down.
    one("a target that comes up serves who waits",
        becomes(0, "down"), becomes(1, "up"), *busy(t=1), send(req(b"/1"), c="1"), waits(),
        listen(0), *passed(b"/1", "1", b="x", t=0), *done(), targets=2, dead=(0,),
        pool={"health": FAST}),
    one("when no target is left, who waits gets 503",
        becomes(0, "up"), *busy(), send(req(b"/1"), c="1"), waits(),
        do(lambda run: run.targets[0].stop_listening()), *rejected(b"no_target", "1"), *done(),
        became(left=1), pool={"health": FAST}),
    one("a sticky client goes elsewhere when the target that it waits for goes down",
        becomes(0, "up"), becomes(1, "up"), *get_cookie("1", 0, "x", "1"), send_cookie("1", c="s"),
        do(lambda run: run.backend("x").require(
            fwd(fields=b"Cookie: SRV=%s\r\n" % value_of(run, "1")))),
        send_cookie("1"), waits(), do(lambda run: run.targets[0].stop_listening()),
        do(lambda run: run.backend("y", 1).require(
            fwd(fields=b"Cookie: SRV=%s\r\n" % value_of(run, "1")))),
        answer(ok(), b="y"), gets_head(200), gets(b"ok"), answer(ok(), b="x"), gets(ok(), c="s"),
        targets=2, pool={**COOKIE, "health": FAST}),
    one("who finds its target full waits for a place",
        *busy(), send(req(b"/1"), c="1"), waits(), untouched(), *done(), *passed(b"/1", "1"),
        waits(0), became(served=1)),
    one("they are served in the order in which they came",
        *busy(), *[step for n in range(1, 6)
                   for step in (send(req(b"/%d" % n), c=f"{n}"), waits(n))],
        *done(), *[step for n in range(1, 6) for step in passed(b"/%d" % n, f"{n}")],
        became(served=5)),
    one("two at a time",
        *busy(b"/x", "x", "x"), *busy(b"/y", "y", "y"), send(req(b"/1"), c="1"), waits(),
        untouched(), *done("y", "y"), *passed(b"/1", "1", "y"), *done("x", "x"),
        target={"max_connections": 2}),
    one("a full target is passed over",
        *busy(b"/x", "x", "x", 0), *busy(b"/y", "y", "y", 1), *done("y", "y"),
        *[step for n in range(3) for step in served(b"/%d" % n, c="c", b="y", t=1)],
        *done("x", "x"), became(), targets=2),
    one("whichever has a place first",
        *busy(b"/x", "x", "x", 0), *busy(b"/y", "y", "y", 1), send(req(b"/1"), c="1"), waits(),
        *done("y", "y"), *passed(b"/1", "1", "y", 1), *done("x", "x"), targets=2),
    one("least connections with all full",
        *busy(b"/x", "x", "x", 0), *busy(b"/y", "y", "y", 1), send(req(b"/1"), c="1"), waits(),
        *done("x", "x"), *passed(b"/1", "1", "x", 0), *done("y", "y"), targets=2,
        pool={"balance": "least_connections"}),
    one("without a queue the answer is 503 at once",
        *busy(), send(req(), c="1"), *rejected(b"queue_full", "1"), *done(),
        *served(b"/1", c="1"), became(overflows=1), pool={"queue": 0}),
    one("a queue that is full",
        *busy(), send(req(b"/1"), c="1"), waits(), send(req(b"/2"), c="2"),
        *rejected(b"queue_full", "2"), *done(), *passed(b"/1", "1"), *served(b"/2", c="2"),
        became(served=1, overflows=1), pool={"queue": 1}),
    one("who waits too long gets 503, and its connection goes on",
        *busy(), send(req(b"/1"), c="1"), *rejected(b"queue_timeout", "1"), *done(),
        *served(b"/1", c="1"), became(timeouts=1), pool={"queue": {"timeout": "100ms"}}),
    one("a client that is reset makes room",
        *busy(), send(req(b"/1"), c="1"), waits(), send(req(b"/2"), c="2"), waits(2),
        leave("1", reset=True), waits(1), *done(), *passed(b"/2", "2"),
        became(served=1, left=1)),
    one("a client that half-closes is served",
        *busy(), send(req(b"/1"), c="1"), shut("1"), waits(), *done(), sees(fwd(b"/1")),
        answer(ok()), gets(ok(), c="1"), closed("1")),
    one("while one waits, its connection is not read",
        *busy(), send(req(b"/1") + req(b"/2"), c="1"), waits(), *done(), *passed(b"/1", "1"),
        *passed(b"/2", "1")),
    one("a body waits with its head",
        *busy(), send(post(), c="1"), waits(), *done(), sees(fwd_post()), answer(ok()),
        gets(ok(), c="1")),
    one("the rest of a body is read when there is a place",
        *busy(), send(post(b"y" * 100)[:-50], c="1"), waits(), *done(),
        sees(fwd_post(b"y" * 100)[:-50]), send(b"y" * 50, c="1"), sees(b"y" * 50), answer(ok()),
        gets(ok(), c="1")),
    one("a body that is read before a target is chosen",
        *busy(), send(post()[:-2], c="1"), do(lambda run: run.yoke.metric("yoke_requests_total")),
        send(post()[-2:], c="1"), waits(), *done(), sees(fwd_post()), answer(ok()),
        gets(ok(), c="1"), listener={"buffer_request": "1KiB"}),
    one("503 to a body that was not read to its end",
        *busy(), send(post(b"z" * 100)[:-50], c="1"), gets_error(503, c="1"), *done(),
        pool={"queue": {"timeout": "100ms"}}),
    one("a request of HTTP/1.0 without a host",
        *busy(), send(b"GET /1 HTTP/1.0\r\n\r\n", c="1"), waits(), *done(),
        do(lambda run: run.backend("b").require(
            fwd10(path=b"/1", host=b"127.0.0.1:%d" % run.targets[0].port))),
        answer(ok()), gets(ok_close(), c="1"), closed("1")),
    one("who fails on one target waits for the next",
        *busy(t=1), send(req(b"/1"), c="1"), waits(), *done(), *passed(b"/1", "1", t=1),
        became(served=1), targets=2, dead=(0,)),
    one("a target that fails gives its place back",
        *busy(), send(req(b"/1"), c="1"), waits(), hangup(), gets_error(502, c="busy", closed=False),
        *passed(b"/1", "1", b="b2"), pool={"retries": 0}),
    one("a client that leaves gives its place back",
        *busy(), send(req(b"/1"), c="1"), waits(), leave("busy", reset=True), released(reset=None),
        *passed(b"/1", "1", b="b2")),
    one("a tunnel keeps its place",
        *opened, *talks, send(req(b"/1"), c="1"), waits(), *gone("c"),
        *passed(b"/1", "1", b="b2")),

    # what changes meanwhile
    one("a reload that raises the limit",
        *busy(), send(req(b"/1"), c="1"), waits(), send(req(b"/2"), c="2"), waits(2), limit(2),
        *passed(b"/1", "1", b="b2"), *passed(b"/2", "2", b="b2"), *done(), became(served=2)),
    one("a reload that takes the limit away",
        *busy(), send(req(b"/1"), c="1"), waits(), send(req(b"/2"), c="2"), waits(2), limit(0),
        sees(fwd(b"/1"), b="b2"), sees(fwd(b"/2"), b="b3"), *done("1", "b2"), *done("2", "b3"),
        *done()),
    one("a reload that lowers the limit",
        *busy(b"/x", "x", "x"), *busy(b"/y", "y", "y"), limit(1), *done("x", "x"),
        send(req(b"/1"), c="1"), waits(), untouched(), *done("y", "y"),
        sees(fwd(b"/1"), b="y"), answer(ok(), b="y"), gets(ok(), c="1"),
        target={"max_connections": 2}),
    one("who waited before a reload waits on after it, and first",
        *busy(), send(req(b"/1"), c="1"), waits(),
        reload_with(lambda run, _, pools: pools[run.name()].update(retries=1)),
        send(req(b"/2"), c="2"), waits(2), *done(), *passed(b"/1", "1"), *passed(b"/2", "2"),
        became(served=2)),

    # sticky clients
    one("a sticky client waits for its own target",
        *get_cookie("1", 0, "x", "1"), *busy(b"/y", "y", "y", 1),
        do(lambda run: run.client("s").send(req(b"/x", b"Cookie: SRV=%s\r\n" % value_of(run, "1")))),
        do(lambda run: run.backend("x").require(
            fwd(b"/x", b"Cookie: SRV=%s\r\n" % value_of(run, "1")))),
        send_cookie("1"), waits(), answer(ok(), b="y"), gets_head(200, c="y"), gets(b"ok", c="y"),
        answer(ok(), b="x"), gets(ok(), c="s"),
        do(lambda run: run.backend("x").require(
            fwd(fields=b"Cookie: SRV=%s\r\n" % value_of(run, "1")))),
        answer(ok(), b="x"), gets(ok()), targets=2, pool=COOKIE),
    one("others pass one that waits for its own target",
        *get_cookie("1", 0, "x", "1"), send_cookie("1", c="s"),
        do(lambda run: run.backend("x").require(
            fwd(fields=b"Cookie: SRV=%s\r\n" % value_of(run, "1")))),
        send_cookie("1"), waits(), *get_cookie("2", 1, "y", "2"), answer(ok(), b="x"),
        gets(ok(), c="s"), do(lambda run: run.backend("x").require(
            fwd(fields=b"Cookie: SRV=%s\r\n" % value_of(run, "1")))),
        answer(ok(), b="x"), gets(ok()), became(served=1), targets=2, pool=COOKIE),
    one("sticky by source waits for its own target",
        *source(b"/1", "127.0.0.8", b="x", t=0, c="1"),
        send(req(b"/2"), c="2", source="127.0.0.8"),
        sees(fwd(b"/2").replace(b"For: 127.0.0.1", b"For: 127.0.0.8"), b="x", t=0),
        send(req(b"/3"), c="3", source="127.0.0.8"), waits(), untouched(1), answer(ok(), b="x"),
        gets(ok(), c="2"), sees(fwd(b"/3").replace(b"For: 127.0.0.1", b"For: 127.0.0.8"), b="x"),
        answer(ok(), b="x"), gets(ok(), c="3"), targets=2, pool=SOURCE),

    # the access log
    one("the access log says how long one waited",
        *busy(), send(req(b"/1"), c="1"), waits(), *done(), *passed(b"/1", "1"),
        logged(path="/busy", lacks=("queue_us",)),
        logged(path="/1", status=200, queue_us=lambda us: us > 0)),
    one("the access log says why one was refused",
        *busy(), send(req(b"/1"), c="1"), waits(), send(req(b"/2"), c="2"),
        *rejected(b"queue_full", "2"), logged(path="/2", status=503, why="queue_full",
                                             lacks=("target", "queue_us")),
        leave("1", reset=True), logged(path="/1", status=0, why="client_reset",
                                       queue_us=lambda us: us > 0, lacks=("target",)),
        send(req(b"/3"), c="2"), *rejected(b"queue_timeout", "2"),
        logged(path="/3", status=503, why="queue_timeout", queue_us=lambda us: us >= 1_000_000),
        *done(), pool={"queue": {"max": 1, "timeout": "1s"}}),

    # TCP and UDP
    tcp("tcp: a connection waits before it is connected",
        send(b"1", c="1"), sees(b"1"), send(b"2", c="2"), waits(), untouched(), *gone("1"),
        sees(b"2", b="b2"), answer(b"two", b="b2"), gets(b"two", c="2"),
        became(served=1)),
    tcp("tcp: in the order in which they came",
        send(b"0", c="0"), sees(b"0", b="b0"),
        *[step for n in range(1, 4) for step in (send(b"%d" % n, c=f"{n}"), waits(n))],
        *[step for n in range(1, 4) for step in (
            *gone(f"{n - 1}", f"b{n - 1}"), sees(b"%d" % n, b=f"b{n}"))]),
    tcp("tcp: what the client has sent meanwhile is there",
        send(b"1", c="1"), sees(b"1"), send(b"2" * 50_000, c="2"),
        waits(), *gone("1"), sees(b"2" * 50_000, b="b2")),
    tcp("tcp: too long", send(b"1", c="1"), sees(b"1"), turned_away("2"), became(timeouts=1),
        pool={"queue": {"timeout": "100ms"}}),
    tcp("tcp: a full queue", send(b"1", c="1"), sees(b"1"), turned_away("2"),
        became(overflows=1), pool={"queue": 0}),
    tcp("tcp: a client that is reset makes room",
        send(b"1", c="1"), sees(b"1"), send(b"2", c="2"), waits(), send(b"3", c="3"), waits(2),
        leave("2", reset=True), waits(1), *gone("1"), sees(b"3", b="b2"),
        became(served=1, left=1)),
    tcp("tcp: who has said all waits on",
        send(b"1", c="1"), sees(b"1"), send(b"2", c="2"), shut("2"), waits(), *gone("1"),
        sees(b"2", b="b2"), answer(b"two", b="b2"), hangup("b2"), gets(b"two", c="2"),
        closed("2")),
    tcp("tcp: who fails on one target waits for the next",
        send(b"1", c="1"), sees(b"1", t=1), send(b"2", c="2"), waits(), *gone("1"),
        sees(b"2", b="b2", t=1), became(served=1), targets=2, dead=(0,)),
    tcp("tcp: a reload that raises the limit",
        send(b"1", c="1"), sees(b"1"), send(b"2", c="2"), waits(), limit(2), sees(b"2", b="b2")),
    tcp("tcp: the access log",
        send(b"1", c="1"), sees(b"1"), send(b"2", c="2"), waits(), leave("2", reset=True),
        logged(why="client_reset", queue_us=lambda us: us > 0, lacks=("target",)),
        turned_away("3"), logged(why="queue_timeout", queue_us=lambda us: us >= 1_000_000),
        pool={"queue": {"timeout": "1s"}}),
    UdpCase("udp: a session too many is dropped",
            remember("yoke_udp_dropped_limit_total"), send(b"1", c="1"), sees(b"1"),
            send(b"2", c="2"), grew("yoke_udp_dropped_limit_total"), untouched(), target=ONE),
]
