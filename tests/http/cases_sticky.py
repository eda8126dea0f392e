"""Clients that stay with their target: by cookie, by source address."""
import base64
import re
import select

from harness import (Case, Failed, answer, becomes, do, gets, gets_error, gets_head, listen,
                     released, sees, send, show, stop_listening, untouched)
from messages import CLOSE, fwd, ok, req

COOKIE = {"sticky": {"cookie": {"name": "SRV"}, "ttl": "1h"}}
SOURCE = {"sticky": {"source": {}, "ttl": "1h"}}
SHAPE = re.compile(rb"\r\nSet-Cookie: SRV=([A-Za-z0-9_-]{40,}); Path=/; HttpOnly; SameSite=Lax\r\n")


def value_of(run, name):
    match = SHAPE.search(run.saved[name])
    if not match:
        raise Failed(f"no cookie as promised in {show(run.saved[name])}")
    return match[1]


def get_cookie(name, t, b, c, path=b"/"):
    """A first visit: target `t` serves it, the cookie is remembered as `name`."""
    return (send(req(path), c=c), sees(fwd(path), b=b, t=t), answer(ok(), b=b),
            gets_head(200, c=c, save=name), gets(b"ok", c=c), do(lambda run: value_of(run, name)))


def with_cookie(name, b, t=0, c="c", around=(b"", b""), change=None, path=b"/back", again=False):
    """A visit with the cookie, which must arrive on connection `b` of target `t`; the response
    brings a new cookie only if `again`."""
    def visit(run):
        value = value_of(run, name)
        if change:
            value = change(value)
        field = b"Cookie: %sSRV=%s%s\r\n" % (around[0], value, around[1])
        run.client(c).send(req(path, field))
        run.backend(b, t).require(fwd(path, field))
    if again:
        return (do(visit), answer(ok(), b=b), gets_head(200, c=c, save="new"), gets(b"ok", c=c),
                do(lambda run: value_of(run, "new")))
    return do(visit), answer(ok(), b=b), gets(ok(), c=c)


def send_cookie(name, c="c"):
    return do(lambda run: run.client(c).send(
        req(fields=b"Cookie: SRV=%s\r\n" % value_of(run, name))))


def flip_each(run):
    """A cookie with any one character changed is not ours."""
    value = bytearray(value_of(run, "1"))
    for at in range(0, len(value), 5):
        other = bytearray(value)
        other[at] = ord("A") if other[at] != ord("A") else ord("B")
        run.client("f").send(req(b"/f", b"Cookie: SRV=%s\r\n" % bytes(other)))
        end = run.backend("x")
        end.require(fwd(b"/f", b"Cookie: SRV=%s\r\n" % bytes(other)))
        end.send(ok())
        head = run.client("f").take_head()
        run.client("f").require(b"ok")
        if b"Set-Cookie: SRV=" not in head:
            raise Failed(f"the cookie passed with character {at} changed")


def no_secrets(run):
    value = value_of(run, "1")
    if value == value_of(run, "2"):
        raise Failed("two clients of one target have the same cookie")
    plain = base64.urlsafe_b64decode(value + b"=" * (-len(value) % 4))
    port = run.targets[0].port
    if any(p in plain for p in (b"127.0.0.1", str(port).encode(), port.to_bytes(2, "big"))):
        raise Failed("the cookie shows the target")


def source(path, source, b, t=0, c="c", close=b""):
    """A visit from a source address on a new connection."""
    forwarded = fwd(path).replace(b"For: 127.0.0.1", b"For: " + source.encode())
    return (send(req(path), c=c, source=source), sees(forwarded, b=b, t=t),
            answer(ok(fields=close), b=b), gets(ok(), c=c))


FAST = {"tcp": {}, "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 1}

CASES = [
    Case("a cookie is set once and followed",
         *get_cookie("1", 0, "x", "1"), *get_cookie("2", 1, "y", "2"),
         *with_cookie("1", "x", c="1"), *with_cookie("1", "x", c="3"),
         *with_cookie("2", "y", c="3"), *with_cookie("2", "y", c="1"),
         *with_cookie("1", "x", c="2"), targets=2, pool=COOKIE),
    Case("a cookie among others",
         *get_cookie("1", 0, "x", "1"), *get_cookie("2", 1, "y", "2"),
         *with_cookie("1", "x", around=(b"a=b; ", b"; c=d")),
         *with_cookie("1", "x", around=(b"XSRV=1; ", b"")),
         *with_cookie("1", "x", around=(b"", b"; SRVX=2")), targets=2, pool=COOKIE),
    Case("each visit without a cookie gets one",
         *get_cookie("1", 0, "x", "c"), *get_cookie("2", 1, "y", "c"),
         *get_cookie("3", 0, "x", "c"), targets=2, pool=COOKIE),
    Case("a forged cookie is replaced",
         *get_cookie("1", 0, "x", "c"),
         *with_cookie("1", "x", change=lambda v: b"x" * len(v), again=True),
         *with_cookie("1", "x", change=lambda v: v[:-1], again=True),
         *with_cookie("1", "x", change=lambda v: b"", again=True),
         *with_cookie("1", "x", change=lambda v: v * 20, again=True),
         *with_cookie("1", "x", change=lambda v: b"\xff\xfe", again=True), do(flip_each),
         pool=COOKIE),
    Case("a cookie shows nothing",
         *get_cookie("1", 0, "x", "1"), *get_cookie("2", 0, "x", "2"), do(no_secrets),
         pool=COOKIE),
    Case("a cookie does not hide behind Connection",
         send(req()), sees(fwd(), b="x"), answer(ok(), b="x"), gets_head(200, save="1"),
         gets(b"ok"),
         do(lambda run: run.client("c").send(
             req(b"/c", b"Connection: cookie\r\nCookie: SRV=%s\r\n" % value_of(run, "1")))),
         do(lambda run: run.backend("x").require(
             fwd(b"/c", b"Cookie: SRV=%s\r\n" % value_of(run, "1")))),
         answer(ok(), b="x"), gets(ok()), pool=COOKIE),
    Case("errors of our own set no cookie",
         send(req()), gets_head(502, lacks=[b"Set-Cookie"]), do(lambda run: run.clients.pop("c")),
         dead=(0,), pool=COOKIE),
    Case("a source address keeps its target",
         *source(b"/1", "127.0.0.2", "x", 0, "1"), *source(b"/2", "127.0.0.3", "y", 1, "2"),
         *source(b"/3", "127.0.0.2", "x", 0, "3"), *source(b"/4", "127.0.0.3", "y", 1, "4"),
         *source(b"/5", "127.0.0.2", "x", 0, "1"), *source(b"/6", "127.0.0.2", "x", 0, "5"),
         targets=2, pool=SOURCE),
    Case("a source network keeps its target",
         *source(b"/1", "127.1.0.2", "x", 0, "1"), *source(b"/2", "127.1.0.77", "x", 0, "2"),
         *source(b"/3", "127.2.0.2", "y", 1, "3"), *source(b"/4", "127.2.0.99", "y", 1, "4"),
         *source(b"/5", "127.1.0.1", "x", 0, "5"), targets=2,
         pool={"sticky": {"source": {"prefix4": 24}}}),
    Case("a client whose target is down moves, and stays there",
         *get_cookie("1", 0, "x", "1"), *get_cookie("2", 1, "y", "2"), stop_listening(0),
         becomes(0, "down"), *with_cookie("1", "y", again=True), *with_cookie("new", "y"),
         listen(0), becomes(0, "up"), *with_cookie("new", "y"), *with_cookie("1", "x"),
         targets=2, pool={**COOKIE, "health": FAST}),
    Case("when_down: fail",
         *get_cookie("1", 0, "x", "1"), *get_cookie("2", 1, "y", "2"), stop_listening(0),
         becomes(0, "down"), send_cookie("1"), gets_error(503, closed=False),
         listen(0), becomes(0, "up"), *with_cookie("1", "x"),
         targets=2, pool={"sticky": {**COOKIE["sticky"], "when_down": "fail"}, "health": FAST}),
    Case("a source whose target is down moves, and stays there",
         *source(b"/1", "127.0.0.2", "x", 0, "1"), *source(b"/2", "127.0.0.3", "y", 1, "2"),
         stop_listening(0), becomes(0, "down"), *source(b"/3", "127.0.0.2", "y", 1, "1"),
         listen(0), becomes(0, "up"), *source(b"/4", "127.0.0.2", "y", 1, "3"),
         targets=2, pool={**SOURCE, "health": FAST}),
    Case("a source whose target refuses moves",
         *source(b"/1", "127.0.0.2", "x", 0, "1", CLOSE), released("x"),
         *source(b"/2", "127.0.0.3", "y", 1, "2"), stop_listening(0),
         *source(b"/3", "127.0.0.2", "y", 1, "1"), *source(b"/4", "127.0.0.2", "y", 1, "3"),
         targets=2, pool=SOURCE),
    Case("sticky connections in TCP mode",
         send(b"1", c="1", source="127.0.0.2"), sees(b"1", b="x1", t=0),
         send(b"2", c="2", source="127.0.0.3"), sees(b"2", b="y1", t=1),
         send(b"3", c="3", source="127.0.0.2"), sees(b"3", b="x2", t=0),
         send(b"4", c="4", source="127.0.0.2"), sees(b"4", b="x3", t=0), untouched(1),
         targets=2, listener={"mode": "tcp"}, pool=SOURCE),
    Case("source_hash keeps a source without a table",
         do(lambda run: hash_visits(run)), targets=3, pool={"balance": "source_hash"}),
]


def hash_visits(run):
    """Each of some sources goes to one target, whichever; not all go to the same."""
    chosen = {}
    for turn in range(3):
        for n in range(2, 18):
            name = f"{turn}-{n}"
            client = run.client(name, f"127.0.0.{n}")
            client.send(req())
            waiting = [t.sock for t in run.targets] + [e.sock for e in run.backends.values()]
            ready = select.select(waiting, [], [], 5)[0]
            for t, target in enumerate(run.targets):
                if target.sock in ready:
                    run.backend(f"{t}", t)
            t = next(t for t in range(3) if f"{t}" in run.backends and select.select(
                [run.backends[f"{t}"].sock], [], [], 0.05)[0])
            end = run.backend(f"{t}")
            end.take_head()
            end.send(ok())
            client.require(ok())
            if chosen.setdefault(n, t) != t:
                raise Failed(f"127.0.0.{n} moved from target {chosen[n]} to {t}")
    if len(set(chosen.values())) < 2:
        raise Failed(f"all sources are on one target: {chosen}")
