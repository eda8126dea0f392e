"""Switching protocols: Upgrade, tunnels, and what never becomes one; CONNECT."""
from harness import (Case, Failed, answer, answer_drip, closed, do, gets, gets_error, gets_head,
                     half_close, hangup, leave, pause, released, sees, send, shut, untouched)
from messages import TE, chunked, fwd, fwd10, ok, ok_close, req, served
from transfer import copy, pattern, push, require_equal

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
ASK = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\n"
WS = req(fields=ASK + KEY)
# Our own Connection and Upgrade stand before what else we add.
FWD_WS = fwd(fields=KEY + ASK)
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
TOOK = SWITCH + ASK + ACCEPT + b"\r\n"
GOT = SWITCH + ACCEPT + ASK + b"\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"

opened = (send(WS), sees(FWD_WS), answer(TOOK), gets(GOT))
talks = (send(b"\x81\x02hi"), sees(b"\x81\x02hi"), answer(b"\x81\x03you"), gets(b"\x81\x03you"))


def grows(name, change, *steps):
    """The steps make a counter grow by so much."""
    def before(run):
        run.saved[name] = run.yoke.metric(f"yoke_{name}_total")

    def after(run):
        grown = run.yoke.metric(f"yoke_{name}_total") - run.saved[name]
        if grown != change:
            raise Failed(f"{name} grew by {grown}, not {change}")
    return do(before), *steps, do(after)


def dropped(name, sent, seen=None, **kw):
    """Upgrade does not reach the target, and what it answers is an ordinary response."""
    return Case(name, *grows("upgrades_dropped", 1, send(sent), sees(seen or fwd()), answer(ok()),
                             gets(ok())), *served(b"/2"), **kw)


def refused(name, response, sent=WS, seen=FWD_WS, **kw):
    """A 101 that is none: nothing passes behind it, and the connection to the target is closed."""
    return Case(name, *grows("tunnels", 0, send(sent), sees(seen), answer(response + b"secret"),
                             gets_error(502, closed=False), released()),
                *served(b"/2", b="b2"), **kw)


def ordinary(name, response, got=None):
    """The target does not switch: the request that comes next is one of HTTP."""
    return Case(name, *grows("tunnels", 0, send(WS), sees(FWD_WS), answer(response),
                             gets(got or response), send(HIDDEN), sees(fwd(b"/hidden")),
                             answer(ok()), gets(ok())))


def bulk_both_ways(run):
    """4 MiB each way at once, so that both sides are blocked time and again."""
    data = pattern(4 << 20)
    require_equal(copy(run.client("c"), run.backend("b"), data), data)
    require_equal(copy(run.backend("b"), run.client("c"), data), data)


def require_cookie(run):
    if b"\r\nSet-Cookie: YOKE=" not in run.saved["head"]:
        raise Failed(f"no cookie in {run.saved['head']}")


def slow(source, sink):
    """Who does not read stops the other side, and gets everything in the end."""
    data = pattern(64 << 20)
    left = push(source, data)
    if len(left) < 16 << 20:
        raise Failed(f"{len(data) - len(left)} bytes were taken for one who does not read")
    require_equal(copy(source, sink, left, len(data)), data)


CASES = [
    Case("a tunnel", *grows("tunnels", 1, *opened, *talks), *talks, hangup(), closed()),
    Case("the connection to the target is not used again", *opened, leave(), released(reset=False),
         *served(b"/2", c="2", b="b2")),
    Case("what the target says right behind its 101",
         send(WS), sees(FWD_WS), answer(TOOK + b"early"), gets(GOT + b"early"), *talks),
    Case("a 101 byte by byte",
         send(WS), sees(FWD_WS), answer_drip(TOOK + b"early"), gets(GOT + b"early"), *talks),
    Case("what the client says right behind its request",
         send(WS + b"early"), sees(FWD_WS), answer(TOOK), gets(GOT), sees(b"early"), *talks),
    Case("a request right behind, when the target switches, is not one of HTTP",
         send(WS + HIDDEN), sees(FWD_WS), answer(TOOK), gets(GOT), sees(HIDDEN), *talks,
         untouched()),
    Case("a request right behind, when the target does not switch",
         send(WS + HIDDEN), sees(FWD_WS), answer(ok()), gets(ok()), sees(fwd(b"/hidden")),
         answer(ok()), gets(ok())),
    Case("a request behind another one",
         *served(), *opened, *talks),
    Case("interim responses before 101",
         send(WS), sees(FWD_WS), answer(b"HTTP/1.1 103 Early Hints\r\n\r\n" + TOOK),
         gets(b"HTTP/1.1 103 Early Hints\r\n\r\n" + GOT), *talks),
    Case("both sides much at a time", *opened, do(bulk_both_ways), *talks),
    Case("a client that does not read stops the target",
         *opened, do(lambda run: slow(run.backend("b"), run.client("c"))), *talks),
    Case("a target that does not read stops the client",
         *opened, do(lambda run: slow(run.client("c"), run.backend("b"))), *talks),
    Case("the client finishes, and still reads",
         *opened, shut(), released(reset=False), answer(b"more"), gets(b"more"), hangup(),
         closed()),
    Case("the target finishes, and still reads",
         *opened, half_close(), closed(), send(b"more"), sees(b"more"), leave(),
         released(reset=False)),
    Case("a client that has finished before 101",
         send(WS), shut(), sees(FWD_WS), answer(TOOK), gets(GOT), released(reset=False),
         answer(b"more"), gets(b"more"), hangup(), closed()),
    Case("a target that finishes with its 101",
         send(WS), sees(FWD_WS), answer(TOOK + b"bye"), hangup(), gets(GOT + b"bye"), closed()),
    Case("a reset by the client", *opened, leave(reset=True), released(reset=True)),
    Case("a reset by the target", *opened, hangup(reset=True), closed(reset=True)),
    Case("tunnel_timeout closes a tunnel on which nothing moves",
         *opened, *talks, closed(), released(reset=False), listener={"tunnel_timeout": "1s"}),
    Case("idle_timeout does not, nor does response_timeout",
         *opened, pause(1.5), *talks, listener={"idle_timeout": "1s"},
         pool={"response_timeout": "1s"}),
    Case("bytes of one side keep it", *opened,
         *[step for _ in range(5) for step in (pause(0.5), answer(b"x"), gets(b"x"))],
         *[step for _ in range(5) for step in (pause(0.5), send(b"x"), sees(b"x"))],
         listener={"tunnel_timeout": "2s"}),
    Case("a sticky cookie comes with 101",
         send(WS), sees(FWD_WS), answer(TOOK), gets_head(101, has=[
             b"Connection: Upgrade", b"Upgrade: websocket"], save="head"),
         do(require_cookie), *talks,
         pool={"sticky": {"cookie": {}}}),
    Case("other protocols, if the listener says so",
         send(req(method=b"POST", fields=b"Connection: upgrade\r\nUpgrade: spdy/3.1\r\n")),
         sees(fwd(method=b"POST", fields=b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n")),
         answer(SWITCH + b"Upgrade: SPDY/3.1\r\nConnection: upgrade\r\n\r\n"),
         gets(SWITCH + b"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"), *talks,
         listener={"upgrade": ["SPDY/3.1"]}),
    Case("of several the first that is allowed is passed on",
         send(req(fields=b"Connection: upgrade, http2-settings\r\nHTTP2-Settings: AA\r\n"
                  b"Upgrade: h2c, x\r\nUpgrade: WebSocket, spdy/3.1\r\n")),
         sees(fwd(fields=ASK)), answer(TOOK), gets(GOT), *talks,
         listener={"upgrade": ["SPDY/3.1", "websocket"]}),
    Case("Content-Length: 0 is no body",
         send(req(fields=ASK + b"Content-Length: 0\r\n")),
         sees(fwd(fields=b"Content-Length: 0\r\n" + ASK)), answer(TOOK), gets(GOT), *talks),
    Case("our Via and forwarded fields are there, Via in the response too",
         send(WS), sees(FWD_WS), answer(TOOK),
         gets(SWITCH + ACCEPT + b"Via: 1.1 yoke\r\n" + ASK + b"\r\n"), *talks,
         listener={"via": {"responses": True}}),
    # what is not passed on
    dropped("h2c", req(fields=b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                       b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n")),
    dropped("a protocol that the listener does not have",
            req(fields=b"Connection: upgrade\r\nUpgrade: x, tls/1.0\r\n")),
    dropped("no protocol at all, if the listener says so", req(fields=ASK),
            listener={"upgrade": []}),
    dropped("Upgrade with a body",
            req(method=b"POST", fields=ASK + b"Content-Length: 2\r\n", body=b"hi"),
            fwd(method=b"POST", fields=b"Content-Length: 2\r\n", body=b"hi")),
    dropped("Upgrade with a chunked body",
            req(method=b"POST", fields=ASK + TE, body=chunked(b"hi")),
            fwd(method=b"POST", fields=TE, body=chunked(b"hi"))),
    Case("Upgrade in HTTP/1.0", send(b"GET / HTTP/1.0\r\nHost: a\r\n" + ASK + b"\r\n"),
         sees(fwd10()), answer(ok()), gets(ok_close()), closed()),
    Case("Upgrade that Connection does not name", send(req(fields=b"Upgrade: websocket\r\n")),
         sees(fwd()), answer(ok()), gets(ok())),
    Case("Connection: upgrade without Upgrade", send(req(fields=b"Connection: upgrade\r\n")),
         sees(fwd()), answer(ok()), gets(ok())),
    # the target does not switch
    ordinary("an ordinary answer", ok()),
    ordinary("426 to a wrong version does not open a tunnel",
             ok(status=b"426 Upgrade Required", fields=b"Sec-WebSocket-Version: 13\r\n")),
    ordinary("426 with Upgrade does not open a tunnel",
             b"HTTP/1.1 426 Upgrade Required\r\n" + ASK + b"Content-Length: 2\r\n\r\nok",
             ok(status=b"426 Upgrade Required")),
    ordinary("200 with Upgrade does not open a tunnel",
             b"HTTP/1.1 200 OK\r\n" + ASK + b"Content-Length: 2\r\n\r\nok", ok()),
    Case("an answer to a client that wanted to close",
         send(req(fields=b"Connection: close, upgrade\r\nUpgrade: websocket\r\n")),
         sees(fwd(fields=ASK)), answer(ok()), gets(ok_close()), closed(), *served(c="2")),
    # 101 that is none
    refused("101 without Upgrade", SWITCH + b"Connection: Upgrade\r\n\r\n"),
    refused("101 without Connection", SWITCH + b"Upgrade: websocket\r\n\r\n"),
    refused("101 without either", SWITCH + b"\r\n"),
    refused("101 to another protocol", SWITCH + ASK.replace(b"websocket", b"h2c") + b"\r\n"),
    refused("101 to two protocols",
            SWITCH + ASK.replace(b"websocket", b"websocket, h2c") + b"\r\n"),
    refused("101 with two Upgrade fields", SWITCH + ASK + b"Upgrade: websocket\r\n\r\n"),
    refused("101 in HTTP/1.0", SWITCH.replace(b"1.1", b"1.0") + ASK + b"\r\n"),
    refused("101 with a body", SWITCH + ASK + b"Content-Length: 6\r\n\r\n"),
    refused("101 with a chunked body", SWITCH + ASK + TE + b"\r\n"),
    refused("101 to who did not ask", TOOK, sent=req(), seen=fwd()),
    refused("101 to who asked for something else",
            TOOK, sent=req(fields=ASK.replace(b"websocket", b"h2c")), seen=fwd()),
    refused("101 to who may not ask", TOOK, sent=WS, seen=fwd(fields=KEY),
            listener={"upgrade": []}),
    # CONNECT
    *[Case(f"CONNECT is refused: {line!r}", send(line + b"\r\n"), gets_error(501), untouched())
      for line in (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n",
                   b"CONNECT a:80 HTTP/1.1\r\nHost: b\r\n",
                   b"CONNECT [::1]:443 HTTP/1.1\r\nHost: a\r\n",
                   b"CONNECT a:80 HTTP/1.0\r\n",
                   b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n",
                   b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n" + TE,
                   b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n" + ASK,
                   b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nProxy-Connection: keep-alive\r\n")],
    *[Case(f"CONNECT is malformed: {line!r}", send(line + b"\r\n"), gets_error(400), untouched())
      for line in (b"CONNECT a HTTP/1.1\r\nHost: a\r\n",
                   b"CONNECT /x HTTP/1.1\r\nHost: a\r\n",
                   b"CONNECT * HTTP/1.1\r\nHost: a\r\n",
                   b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n",
                   b"CONNECT a:0 HTTP/1.1\r\nHost: a\r\n",
                   b"CONNECT u@a:80 HTTP/1.1\r\nHost: a\r\n")],
    Case("a request behind CONNECT is not served",
         send(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + HIDDEN), gets_error(501),
         untouched()),
]
