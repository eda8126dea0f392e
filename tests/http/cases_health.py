"""Health checks as targets see them, and what they do to users. Each check is a connection that a step
answers, and the intervals are hours where no second one may come: nothing depends on time."""
import os
import subprocess

from harness import (BIN_DIR, Case, Failed, answer, becomes, do, gets_error, hangup, reload_with, send,
                     untouched)
from messages import chunked, ok, req, served

LONG = {"interval": "1h", "timeout": "10m"}
FAST = {**LONG, "fast_interval": "10ms"}


def health(how, **http):
    return {"health": {"http": http, **how}}


def asked(b, path=b"/", has=(), lacks=()):
    """The target gets a check, on a new connection `b`."""
    def look(run):
        head = run.backend(b).take_head()
        lines = head.split(b"\r\n")
        if lines[0] != b"GET " + path + b" HTTP/1.1" or lines[-2:] != [b"", b""]:
            raise Failed(f"not a check: {head!r}")
        for line in (b"Connection: close", *has):
            if lines.count(line) != 1:
                raise Failed(f"no {line!r} in {head!r}")
        for line in lacks:
            if line in head:
                raise Failed(f"{line!r} in {head!r}")
    return do(look)


def checked(reply, b, **kw):
    return asked(b, **kw), answer(reply, b=b)


def reason(text, index=0):
    """Why the target is in its state."""
    def look(run):
        found = run.yoke.target(run.name(), index)["reason"]
        if found != text:
            raise Failed(f"the reason is {found!r}, not {text!r}")
    return do(look)


def shown(index, *cells):
    """yokectl targets: these cells of the target's row stand below their heads."""
    def look(run):
        yokectl = os.path.join(BIN_DIR, "yokectl")
        text = subprocess.run([yokectl, "--run-dir", run.yoke.run_dir, "targets"], check=True, timeout=10,
                              capture_output=True, text=True).stdout
        lines = text[text.index(f"pool {run.name()}:"):].splitlines()
        head = lines[1]
        row = next(line for line in lines if f"127.0.0.1:{run.targets[index].port} " in line)
        for column, wanted in cells:
            if not row[head.index(column):].startswith(wanted):
                raise Failed(f"{column} is not {wanted!r} in\n{head}\n{row}")
    return do(look)


def says(name, body, replies, state, why, end=False, **kw):
    """One check, whose answer comes in these pieces, is the verdict."""
    steps = [asked("h")]
    steps += [answer(piece, b="h") for piece in replies]
    steps += [hangup("h")] if end else []
    user = served() if state == "up" else (send(req()), gets_error(503, closed=False))
    return Case("body: " + name, *steps, becomes(0, state), reason(why), *user,
                pool=health(LONG, body=body, **kw))


def drip(data):
    return [data[i:i + 1] for i in range(len(data))]


def te(*chunks):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*chunks)


LACKS = "HTTP 200, not the body that is wanted"
PLAIN = b"HTTP/1.1 200 OK\r\n\r\n"
BIG = b"x" * (64 * 1024)

CASES = [
    says("it has the text", "ready", [ok(b"I am ready.")], "up", "HTTP 200"),
    says("it has not", "ready", [ok(b"I am not.")], "down", LACKS),
    says("it is empty", "ready", [ok(b"")], "down", LACKS),
    says("there is none", "ready", [b"HTTP/1.1 204 No Content\r\n\r\n"], "down",
         "HTTP 204, not the body that is wanted"),
    says("the text comes in two pieces", "ready", [ok(b"I am ready.")[:-4], b"ady."], "up", "HTTP 200"),
    says("byte by byte", "ready", drip(ok(b"I am ready")), "up", "HTTP 200"),
    says("byte by byte, until the connection closes", "ready", drip(PLAIN + b"I am ready"), "up",
         "HTTP 200"),
    says("without length, and never there", "ready", [PLAIN + b"I am"], "down", LACKS, end=True),
    says("without length, byte by byte, and never there", "ready", drip(PLAIN + b"read"), "down", LACKS,
         end=True),
    says("chunks divide the text", "ready", [te(b"re", b"a", b"dy")], "up", "HTTP 200"),
    says("chunks divide the text, byte by byte", "ready", drip(te(b"re", b"a", b"dy")[:-7]), "up", "HTTP 200"),
    says("the text in the head of a chunk is none", "ready",
         [te(b"").replace(b"0\r\n", b"2;ready\r\nno\r\n0\r\n", 1)], "down", LACKS),
    says("nor in the trailers", "ready",
         [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
          + chunked(b"no", trailers=b"X: ready\r\n")], "down", LACKS),
    says("nor in the head", "ready", [ok(b"no", b"X: ready\r\n", b"200 ready")], "down", LACKS),
    says("capital letters differ", "ready", [ok(b"Ready READY")], "down", LACKS),
    says("a star is a star", "a*c", [ok(b"abc")], "down", LACKS),
    says("an expression", "~\"status\": ?\"(up|busy)\"", [ok(b'{"status": "busy"}')], "up", "HTTP 200"),
    says("an expression that is not found", "~\"status\": ?\"(up|busy)\"", [ok(b'{"status": "down"}')],
         "down", LACKS),
    says("an expression sees the body from its beginning to its end", "~^re.*dy$",
         [te(b"re", b"\n\n", b"dy")], "up", "HTTP 200"),
    says("and what is behind its end", "~^ready$", [ok(b"ready\n")], "down", LACKS),
    says("an expression that takes too long", "~^(a+)+$", [ok(b"a" * 60 + b"b")], "down",
         "HTTP 200, body too complex for the expression"),
    says("the length says less than what comes", "ready",
         [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nready"], "down", LACKS),
    says("the length says more", "ready", [ok(b"I am ready")[:-2]], "down",
         "HTTP 200, closed before its end", end=True),
    says("what is found is enough, however much is to come", "ready", [ok(b"ready" + BIG * 9)[:100]],
         "up", "HTTP 200"),
    says("the last byte that is looked at", "ready", [PLAIN + BIG[5:] + b"ready"], "up", "HTTP 200"),
    says("behind 64 KiB nobody looks, nor waits", "ready", [PLAIN + BIG[4:] + b"ready"], "down", LACKS),
    says("malformed chunks", "ready", [te(b"no").replace(b"0\r\n", b"zz\r\n")], "down",
         "HTTP 200, bad_chunk"),
    says("a malformed head", "ready", [b"HTTP/1.1 200 OK\r\nX : y\r\n\r\nready"], "down",
         "HTTP 200, bad_field_name"),
    says("a length that is none", "ready", [b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nready"],
         "down", "HTTP 200, bad_content_length"),
    says("a head without end", "ready", [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20000], "down",
         "HTTP 200, head_too_large"),
    says("closed in the head", "ready", [b"HTTP/1.1 200 OK\r\nX: y"], "down",
         "HTTP 200, closed before its end", end=True),
    says("the status matters first", "ready", [ok(b"ready", status=b"500 Oops")], "down",
         "HTTP 500, wanted 200-399"),
    Case("body: without a wish, none is read", *checked(PLAIN, "h"), becomes(0, "up"), *served(),
         pool=health(LONG)),

    Case("headers: the target gets them",
         *checked(ok(), "h", path=b"/status", has=(b"Host: h.example", b"Authorization: Bearer x",
                                                    b"User-Agent: me"), lacks=(b"yoke-health",)),
         becomes(0, "up"),
         pool=health(LONG, path="/status", host="h.example",
                     headers={"Authorization": "Bearer x", "User-Agent": "me"})),

    Case("initial: unknown, used, and the first check decides",
         asked("h"), *served(), answer(ok(status=b"500 Oops"), b="h"), becomes(0, "down"), send(req()),
         gets_error(503, closed=False), pool=health({**LONG, "fall": 3})),
    Case("initial: up, used until fall checks have failed",
         becomes(0, "up"), reason("not checked yet"), *checked(ok(status=b"500 Oops"), "h1"),
         asked("h2"), becomes(0, "up"), *served(), answer(ok(status=b"500 Oops"), b="h2"),
         becomes(0, "down"), reason("HTTP 500, wanted 200-399"), send(req(b"/2")), gets_error(503, closed=False),
         pool=health({**FAST, "fall": 2, "initial": "up"})),
    Case("initial: down, not used until rise checks were good",
         becomes(0, "down"), reason("not checked yet"), send(req()), gets_error(503, closed=False),
         *checked(ok(), "h1"), asked("h2"), becomes(0, "down"), send(req()),
         gets_error(503, closed=False), answer(ok(), b="h2"), becomes(0, "up"), *served(),
         pool=health({**FAST, "rise": 2, "initial": "down"})),
    Case("initial: a reload does not make a target new",
         *checked(ok(status=b"500 Oops"), "h"), becomes(0, "down"),
         reload_with(lambda run, _, pools: pools[run.name()]["health"].update(initial="up", interval="2h")),
         becomes(0, "down"), send(req()), gets_error(503, closed=False), pool=health(LONG)),

    Case("fast_interval: exactly as many checks as it takes, and then none",
         becomes(0, "up"), *[step for n in range(4) for step in checked(ok(status=b"500 Oops"), f"h{n}")],
         becomes(0, "down"), untouched(), pool=health({**FAST, "fall": 4, "initial": "up"})),
    Case("fast_interval: also on the way up", *checked(ok(status=b"500 Oops"), "h0"), becomes(0, "down"),
         reload_with(lambda run, _, pools: pools[run.name()]["health"].update(down_interval="20ms")),
         *[step for n in range(1, 4) for step in checked(ok(), f"h{n}")], becomes(0, "up"),
         untouched(), *served(), pool=health({**FAST, "rise": 3})),
    Case("yokectl targets: state, reason, and what speaks against it",
         becomes(0, "up"), shown(0, ("TARGET", "127.0.0.1:"), ("STATE", "up "), ("SINCE", "- "), ("CHECKED", "never "),
                                 ("REASON", "not checked yet")),
         *checked(ok(status=b"500 Oops"), "h1"), asked("h2"),
         shown(0, ("STATE", "up "), ("REASON", "not checked yet; now 1 of 2 checks failed: HTTP 500, wanted 200-399")),
         answer(ok(status=b"500 Oops"), b="h2"), becomes(0, "down"),
         shown(0, ("STATE", "down "), ("REASON", "HTTP 500, wanted 200-399")),
         pool=health({**FAST, "fall": 2, "initial": "up"})),
    Case("fast_interval: a good check ends the doubt",
         becomes(0, "up"), *checked(ok(status=b"500 Oops"), "h1"), *checked(ok(), "h2"),
         do(lambda run: run.yoke.wait_for(lambda: not run.yoke.target(run.name(), 0)["checks"]["failed"],
                                          lambda: str(run.yoke.target(run.name(), 0)))),
         untouched(), *served(), pool=health({**FAST, "fall": 2, "initial": "up"})),
    Case("down_interval: while nothing changes",
         *[step for n in range(5) for step in checked(ok(status=b"500 Oops"), f"h{n}")],
         becomes(0, "down"), pool=health({**LONG, "down_interval": "20ms", "fast_interval": "1h"})),
]
