"""How large a request's body may be, and reading it before a target is asked."""
import json
import time

from harness import (STEP_TIMEOUT, Case, Failed, answer, closed, do, drip, gets, gets_error, leave, released,
                     sees, send, untouched)
from messages import TE, chunked, fwd, fwd10, fwd_post, ok, ok_close, post, req, served
from transfer import pattern

EXPECT = b"Expect: 100-continue\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
BIG = pattern(1 << 20)


def put(body=b"hello", fields=b"", path=b"/"):
    """Not a POST: a PUT may use a pooled connection however long it idled."""
    return req(path, fields + b"Content-Length: %d\r\n" % len(body), b"PUT", body)


def fwd_put(body=b"hello", fields=b"", path=b"/"):
    return fwd(path, fields + b"Content-Length: %d\r\n" % len(body), b"PUT", body)


def put_chunked(body):
    return req(method=b"PUT", fields=TE, body=body)


def fwd_chunked(body):
    return fwd(method=b"PUT", fields=TE, body=body)


def no_target_is_busy(run):
    """Nothing counts as a request in progress, or it ends at once."""
    deadline = time.monotonic() + STEP_TIMEOUT
    while True:
        targets = json.loads(run.yoke.admin(f"/v1/pools/{run.name()}")[1])["targets"]
        if all(target["connections"] == 0 for target in targets):
            return
        if time.monotonic() > deadline:
            raise Failed(f"a target was chosen too early: {targets}")
        time.sleep(0.01)


# That the worker has seen what was sent before shows by its serving somebody else meanwhile.
meanwhile = (*served(b"/meanwhile", c="2"), do(no_target_is_busy))


def held(name, first, rest, seen, size="64KiB", **kw):
    """What the client sends first does not reach the target, with the rest all of it does."""
    return Case(name, send(first), *meanwhile, send(rest), sees(seen), answer(ok()), gets(ok()),
                *served(b"/2"), listener={"buffer_request": size}, **kw)


def passed(name, first, rest, seen_first, size="64KiB"):
    """What the client sends first is passed on before the rest comes."""
    return Case(name, send(first), sees(seen_first), send(rest), sees(rest), answer(ok()),
                gets(ok()), *served(b"/2"), listener={"buffer_request": size})


def too_large(name, sent, size, *more):
    return Case(name, send(sent), gets_error(413), untouched(), *more,
                listener={"max_body_size": size})


def fits(name, sent, seen, size):
    return Case(name, send(sent), sees(seen), answer(ok()), gets(ok()), *served(b"/2"),
                listener={"max_body_size": size})


CASES = [
    # buffer_request
    held("a body is read to its end first", put()[:-3], b"llo", fwd_put()),
    held("a head alone is held", put()[:-5], b"hello", fwd_put()),
    held("a body of just the size", put()[:-1], b"o", fwd_put(), size="5B"),
    held("a chunked body is read to its end first",
         put_chunked(chunked(b"hel", b"lo"))[:-2], b"\r\n", fwd_chunked(chunked(b"hel", b"lo"))),
    Case("a request behind the body is served afterwards",
         send(put()[:-1]), *meanwhile, send(b"o" + req(b"/next")), sees(fwd_put()), answer(ok()),
         gets(ok()), sees(fwd(b"/next")), answer(ok()), gets(ok()),
         listener={"buffer_request": "5B"}),
    held("a long body", put(BIG)[:-1], BIG[-1:], fwd_put(BIG), size="1MiB"),
    Case("a body byte by byte", drip(put()), sees(fwd_put()), answer(ok()), gets(ok()),
         listener={"buffer_request": "64KiB"}),
    Case("requests without a body are not delayed", *served(), send(put(b"")), sees(fwd_put(b"")),
         answer(ok()), gets(ok()), listener={"buffer_request": "64KiB"}),
    passed("a body that is larger passes as it comes", put()[:-2], b"lo", fwd_put()[:-2],
           size="4B"),
    passed("by default each body passes as it comes", put()[:-2], b"lo", fwd_put()[:-2],
           size="0B"),
    passed("a chunked body passes from where it is larger",
           put_chunked(b"5\r\nhello\r\n"), b"0\r\n\r\n", fwd_chunked(b"5\r\nhello\r\n"), size="8B"),
    Case("who expects 100 gets the target's",
         send(put(fields=EXPECT)[:-5]), sees(fwd_put(fields=EXPECT)[:-5]), answer(CONTINUE),
         gets(CONTINUE), send(b"hello"), sees(b"hello"), answer(ok()), gets(ok()),
         listener={"buffer_request": "64KiB"}),
    Case("one of HTTP/1.0 without Host passes as it comes",
         send(b"PUT / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhe"),
         do(lambda run: run.backend("b").require(
             fwd10(method=b"PUT", fields=b"Content-Length: 5\r\n", body=b"he",
                   host=b"127.0.0.1:%d" % run.targets[0].port))),
         send(b"llo"), sees(b"llo"), answer(ok()), gets(ok_close()), closed(),
         listener={"buffer_request": "64KiB"}),
    Case("who leaves before the end has asked nobody", send(put()[:-1]), *meanwhile, leave(),
         *served(b"/2", c="2"), untouched(), listener={"buffer_request": "64KiB"}),
    Case("who stops before the end is told", send(put()[:-1]), gets_error(408), untouched(),
         listener={"buffer_request": "64KiB", "idle_timeout": "300ms"}),
    Case("a malformed body is refused before a target is asked",
         send(put_chunked(b"5\r\nhello\r\n")), send(b"x"), gets_error(400), untouched(),
         listener={"buffer_request": "64KiB"}),
    Case("no target is there when the body is", send(put()[:-1]), send(b"o"),
         gets_error(502, closed=False), dead=(0,), listener={"buffer_request": "64KiB"}),
    Case("what was read can go to another target", send(post(BIG)),
         sees(fwd_post(BIG), t=1), answer(ok()), gets(ok()), targets=2, dead=(0,),
         listener={"buffer_request": "1MiB"}),
    # max_body_size
    fits("as large as it may be", put(), fwd_put(), "5B"),
    fits("chunks that are small count by their data",
         put_chunked(chunked(b"a", b"b", b"c", b"d", b"e")),
         fwd_chunked(chunked(b"a", b"b", b"c", b"d", b"e")), "5B"),
    fits("no body", req(), fwd(), "1B"),
    fits("no limit", put(BIG), fwd_put(BIG), "0B"),
    too_large("a byte too large", put(b"hello!"), "5B"),
    too_large("much too large, before the body comes",
              req(method=b"PUT", fields=b"Content-Length: 9223372036854775807\r\n"), "1MiB"),
    too_large("too large for who expects 100", put(b"hello!", EXPECT)[:-6], "5B"),
    too_large("too large, and a request behind it", put(b"hello!") + req(b"/2"), "5B"),
    too_large("a chunk that is too large", put_chunked(b"6\r\n"), "5B"),
    too_large("a chunk of a huge size", put_chunked(b"fffffffffffffff\r\nx"), "5B"),
    too_large("chunks that are too large together", put_chunked(b"3\r\nabc\r\n3\r\n"), "5B"),
    Case("chunks that become too large on their way",
         send(put_chunked(b"3\r\nabc\r\n")), sees(fwd_chunked(b"3\r\nabc\r\n")),
         send(b"3\r\ndef\r\n"), gets_error(413), released(), listener={"max_body_size": "5B"}),
    Case("chunks that become too large when the response has begun",
         send(put_chunked(b"3\r\nabc\r\n")), sees(fwd_chunked(b"3\r\nabc\r\n")),
         answer(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n"),
         gets(b"HTTP/1.1 200 OK\r\n" + TE + b"Connection: close\r\n\r\n"),
         send(b"3\r\ndef\r\n"), closed(reset=True), released(), listener={"max_body_size": "5B"}),
    Case("both: a chunked body that is read first may not be too large",
         send(put_chunked(b"3\r\nabc\r\n")), send(b"3\r\n"), gets_error(413), untouched(),
         listener={"max_body_size": "5B", "buffer_request": "64KiB"}),
]
