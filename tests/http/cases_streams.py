"""Streams and slow conversations: events, long polls, early and late words, what has no body."""
from harness import (Case, Failed, answer, answer_drip, closed, do, drip, gets, gets_error,
                     half_close, hangup, leave, pause, released, sees, send, shut, untouched)
from messages import CLOSE, TE, chunked, fwd, fwd10, fwd_post, ok, ok_close, post, req, served
from transfer import copy, pattern, push, require_equal

EVENTS = b"Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
OK_TE = b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
EXPECT = b"Expect: 100-continue\r\n"
MIB = 1 << 20


def each(*pieces):
    """Each piece is with the client before the target says the next one."""
    return [step for piece in pieces for step in (answer(piece), gets(piece))]


def each_up(*pieces):
    return [step for piece in pieces for step in (send(piece), sees(piece))]


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def memory_of_proxy(run):
    """Resident KiB of yoke-proxy."""
    with open(f"/proc/{run.yoke.proxy_pid()}/status", encoding="ascii") as status:
        return int(next(line.split()[1] for line in status if "VmRSS" in line))


def endless(run, source, sink, frame):
    """`source` never stops and `sink` does not read, then reads a part: the source is stopped each
    time, the memory of the proxy stays where it was, and the bytes are right."""
    data = b"".join(frame(pattern(30011)) for _ in range(64))
    before = memory_of_proxy(run)
    sent = received = 0
    for _ in range(4):
        view = push(source, (data * (64 * MIB // len(data) + 1))[sent % len(data):])
        taken = 64 * MIB // len(data) * len(data) + len(data) - sent % len(data) - len(view)
        if taken > 48 * MIB:
            raise Failed(f"{taken} bytes were taken for one who does not read")
        sent += taken
        part = min(2 * MIB, sent - received)
        got = sink.take(part)
        at = received % len(data)
        require_equal(got, (data * (part // len(data) + 2))[at:at + part])
        received += part
    grown = memory_of_proxy(run) - before
    if grown > 8 << 10:
        raise Failed(f"the proxy grew by {grown} KiB")


abandon = (leave(reset=True), hangup(reset=True))


def endless_response(run, frame):
    endless(run, run.backend("b"), run.client("c"), frame)


def endless_request(run, frame):
    endless(run, run.client("c"), run.backend("b"), frame)


def refused_upload(run):
    """The target refuses at once and reads no more; the client reads only when it cannot send more."""
    client, refusal = run.client("c"), ok(status=b"413 Content Too Large")
    client.send(req(method=b"POST", fields=b"Content-Length: %d\r\n" % (64 * MIB)))
    run.backend("b").require(fwd(method=b"POST", fields=b"Content-Length: %d\r\n" % (64 * MIB)))
    push(client, pattern(64 * MIB))
    run.backend("b").send(refusal)
    client.require(ok_close(status=b"413 Content Too Large"))


def exchange(name, response, got=None, sent=None, seen=None):
    """A response after which the connection goes on: what has no body is not waited for."""
    return Case(name, send(sent or req()), sees(seen or fwd()), answer(response),
                gets(got or response), *served(b"/2"))


def head(name, response, got=None):
    return exchange("HEAD: " + name, response, got, req(method=b"HEAD"), fwd(method=b"HEAD"))


def bad(name, response, method=b"GET"):
    return Case(name, send(req(method=method)), sees(fwd(method=method)), answer(response),
                gets_error(502, closed=False, body=method != b"HEAD"), released(),
                *served(b"/2", b="b2"))


def of_size(first, n, last=b"\r\n"):
    """A head of just n bytes."""
    return first + b"X: " + b"x" * (n - len(first) - 5 - len(last)) + b"\r\n" + last


def large_request(n, **listener):
    """A head of n bytes, which the target sees whole."""
    start = b"GET / HTTP/1.1\r\nHost: a\r\n"
    text = of_size(start, n)
    return Case(f"a request head of {n} bytes", send(text),
                sees(fwd(fields=text[len(start):-2])), answer(ok()), gets(ok()), *served(b"/2"),
                listener=listener)


def large_response(n, **listener):
    text = of_size(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", n)
    return Case(f"a response head of {n} bytes", send(req()), sees(fwd()), answer(text + b"ok"),
                gets(text + b"ok"), *served(b"/2"), listener=listener)


CASES = [
    # server-sent events, long polls
    Case("events in chunks, each at once",
         send(req()), sees(fwd()), *each(
             b"HTTP/1.1 200 OK\r\n" + EVENTS + TE + b"\r\n", chunk(b"data: 1\n\n"),
             chunk(b"data: 2\n\n"), chunk(b": ping\n\n"), chunk(b"data: 3\ndata: 4\n\n"),
             b"0\r\n\r\n"), *served(b"/2")),
    Case("a part of an event is not kept back",
         send(req()), sees(fwd()), *each(OK_TE, b"9\r", b"\nda", b"ta: 1", b"\n\n\r", b"\n",
                                         b"0\r\n", b"\r\n"), *served(b"/2")),
    Case("events until the target closes",
         send(req()), sees(fwd()), answer(b"HTTP/1.1 200 OK\r\n" + EVENTS + b"\r\n"),
         gets(b"HTTP/1.1 200 OK\r\n" + EVENTS + CLOSE + b"\r\n"),
         *each(b"data: 1\n\n", b"data: 2\n\n"), hangup(), closed()),
    Case("events in chunks for HTTP/1.0",
         send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"), sees(fwd10()), answer(OK_TE),
         gets(b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\n"),
         *[step for n in range(3) for step in (answer(chunk(b"data: %d\n\n" % n)),
                                               gets(b"data: %d\n\n" % n))],
         answer(b"0\r\n\r\n"), closed()),
    Case("events behind a response that came at once", *served(), send(req(b"/2")), sees(fwd(b"/2")),
         *each(OK_TE, chunk(b"data: 1\n\n")), leave(reset=True), released()),
    Case("a client that goes away ends the stream",
         send(req()), sees(fwd()), *each(OK_TE, chunk(b"data: 1\n\n")), leave(reset=True),
         released()),
    Case("events keep the connection beyond idle_timeout",
         send(req()), sees(fwd()), *each(OK_TE),
         *[step for n in range(5) for step in (pause(0.5), *each(chunk(b"%d" % n)))],
         answer(b"0\r\n\r\n"), gets(b"0\r\n\r\n"), listener={"idle_timeout": "2s"}),
    Case("a stream on which nothing comes is closed",
         send(req()), sees(fwd()), *each(OK_TE), closed(reset=True), released(),
         listener={"idle_timeout": "1s"}),
    Case("a long poll is longer than idle_timeout",
         send(req()), sees(fwd()), pause(1.5), answer(ok()), gets(ok()), *served(b"/2"),
         listener={"idle_timeout": "1s"}, pool={"response_timeout": "20s"}),
    Case("a long poll, and the client asks again", *[
        step for n in range(3) for step in (send(req(b"/%d" % n)), sees(fwd(b"/%d" % n)),
                                            answer(ok(b"%d" % n)), gets(ok(b"%d" % n)))]),
    Case("a long poll of a client that has finished",
         send(req()), shut(), sees(fwd()), pause(0.2), answer(ok()), gets(ok()), closed()),
    Case("a long poll whose client resets", send(req()), sees(fwd()), leave(reset=True),
         released()),
    # endless, and slow
    Case("an endless chunked response for a slow client",
         send(req()), sees(fwd()), *each(OK_TE), do(lambda run: endless_response(run, chunk)), *abandon),
    Case("an endless response until close for a slow client",
         send(req()), sees(fwd()), answer(b"HTTP/1.1 200 OK\r\n\r\n"),
         gets(b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\n"),
         do(lambda run: endless_response(run, bytes)), *abandon),
    Case("an endless response with Content-Length for a slow client",
         send(req()), sees(fwd()),
         *each(b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"),
         do(lambda run: endless_response(run, bytes)), *abandon),
    Case("an endless chunked request for a slow target",
         send(req(method=b"POST", fields=TE)), sees(fwd(method=b"POST", fields=TE)),
         do(lambda run: endless_request(run, chunk)), *abandon),
    Case("an endless request with Content-Length for a slow target",
         send(req(method=b"POST", fields=b"Content-Length: 9223372036854775807\r\n")),
         sees(fwd(method=b"POST", fields=b"Content-Length: 9223372036854775807\r\n")),
         do(lambda run: endless_request(run, bytes)), *abandon),
    Case("an upload passes piece by piece",
         send(req(method=b"POST", fields=TE)), sees(fwd(method=b"POST", fields=TE)),
         *each_up(chunk(b"one"), b"3\r", b"\ntw", b"o\r\n", chunk(b"three"), b"0\r\n\r\n"),
         answer(ok()), gets(ok()), *served(b"/2")),
    Case("both ways at once",
         send(req(method=b"POST", fields=TE)), sees(fwd(method=b"POST", fields=TE)),
         answer(OK_TE), gets(OK_TE.replace(TE, TE + CLOSE)),
         *[step for n in range(4) for step in (*each_up(chunk(b"q%d" % n)),
                                               *each(chunk(b"a%d" % n)))],
         *each_up(b"0\r\n\r\n"), *each(b"0\r\n\r\n"), closed()),
    # early responses
    Case("a long upload that is refused", do(refused_upload), closed(reset=None),
         hangup(reset=True)),
    Case("an early response, and the upload goes on",
         send(post(b"x" * 100)[:-60]), sees(fwd_post(b"x" * 100)[:-60]), answer(ok(b"12345")[:-3]),
         gets(ok_close(b"12345")[:-3]), *each_up(b"x" * 30), answer(b"345"), gets(b"345"), closed(),
         released()),
    Case("an early response to a chunked upload",
         send(req(method=b"POST", fields=TE) + chunk(b"x")),
         sees(fwd(method=b"POST", fields=TE) + chunk(b"x")), answer(ok()), gets(ok_close()),
         closed(), released()),
    Case("an early response, and a request behind the unfinished one is not served",
         send(post(b"x" * 100)[:-50]), sees(fwd_post(b"x" * 100)[:-50]), answer(ok()),
         gets(ok_close()), send(b"x" * 50 + req(b"/2")), closed(reset=None), released(),
         untouched()),
    Case("an early reset of the target is a 502",
         send(post(b"x" * 100)[:-50]), sees(fwd_post(b"x" * 100)[:-50]), hangup(reset=True),
         gets_error(502)),
    # 100-continue
    Case("100 after the body", send(post(fields=EXPECT)), sees(fwd_post(fields=EXPECT)),
         *each(CONTINUE, ok()), *served(b"/2")),
    Case("100 twice", send(post(fields=EXPECT)[:-5]), sees(fwd_post(fields=EXPECT)[:-5]),
         *each(CONTINUE, CONTINUE), *each_up(b"hello"), *each(ok()), *served(b"/2")),
    Case("100 that nobody expects", send(req()), sees(fwd()), *each(CONTINUE, ok()),
         *served(b"/2")),
    Case("100 that does not come: the client sends all the same",
         send(post(fields=EXPECT)[:-5]), sees(fwd_post(fields=EXPECT)[:-5]), pause(0.1),
         *each_up(b"hello"), *each(ok()), *served(b"/2")),
    Case("a chunked body that waits for 100",
         send(req(method=b"POST", fields=TE + EXPECT)),
         sees(fwd(method=b"POST", fields=TE + EXPECT)), *each(CONTINUE),
         *each_up(chunked(b"hello")), *each(ok()), *served(b"/2")),
    Case("a final status instead of 100, and the body follows",
         send(post(fields=EXPECT)[:-5]), sees(fwd_post(fields=EXPECT)[:-5]),
         answer(ok(status=b"401 Unauthorized")), gets(ok_close(status=b"401 Unauthorized")),
         send(b"hello"), closed(reset=None), released()),
    Case("a target that closes instead of 100",
         send(post(fields=EXPECT)[:-5]), sees(fwd_post(fields=EXPECT)[:-5]), hangup(),
         gets_error(502)),
    Case("a client that waits for 100 too long is told",
         send(post(fields=EXPECT)[:-5]), sees(fwd_post(fields=EXPECT)[:-5]), gets_error(408),
         released(), listener={"idle_timeout": "300ms"}),
    # interim responses
    Case("interim responses of a HEAD", send(req(method=b"HEAD")), sees(fwd(method=b"HEAD")),
         *each(HINTS, ok(b"12345")[:-5]), *served(b"/2")),
    Case("hop-by-hop fields of an interim response stay here", send(req()), sees(fwd()),
         answer(b"HTTP/1.1 103 Early Hints\r\nConnection: x\r\nX: 1\r\nY: 2\r\n\r\n"),
         gets(b"HTTP/1.1 103 Early Hints\r\nY: 2\r\n\r\n"), *each(ok())),
    Case("statuses of 1xx that nobody knows", send(req()), sees(fwd()),
         *each(b"HTTP/1.1 199 Hm\r\nX: 1\r\n\r\n", ok()), *served(b"/2")),
    Case("interim responses do not stop response_timeout", send(req()), sees(fwd()), *each(HINTS),
         gets_error(504, closed=False), released(),
         pool={"response_timeout": "1s"}, listener={"idle_timeout": "1s"}),
    bad("101 instead of a response", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    # what has no body
    head("Content-Length: 0", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    head("a length beyond all bodies",
         b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n"),
    head("304", b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
    head("404 in chunks", b"HTTP/1.1 404 Not Found\r\n" + TE + b"\r\n"),
    head("204", b"HTTP/1.1 204 No Content\r\n\r\n"),
    Case("HEAD of HTTP/1.0, in chunks for others",
         send(b"HEAD / HTTP/1.0\r\nHost: a\r\n\r\n"), sees(fwd10(method=b"HEAD")),
         answer(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n"), gets(b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\n"),
         closed()),
    Case("HEAD: a body that comes all the same is not the next response",
         send(req(method=b"HEAD")), sees(fwd(method=b"HEAD")), answer(ok(b"12345")),
         gets(ok(b"12345")[:-5]), released(reset=None), *served(b"/2", b="b2")),
    bad("HEAD: two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HEAD"),
    exchange("304 in chunks", b"HTTP/1.1 304 Not Modified\r\n" + TE + b"\r\n"),
    exchange("304 without framing", b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
    exchange("304 with Content-Length: 0", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n"),
    exchange("205 with an empty body", b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
    bad("204 with a length", b"HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\nx"),
    bad("204 in chunks", b"HTTP/1.1 204 No Content\r\n" + TE + b"\r\n0\r\n\r\n"),
    bad("304 with both framings",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n" + TE + b"\r\n"),
    bad("103 in chunks", b"HTTP/1.1 103 Early Hints\r\n" + TE + b"\r\n" + ok()),
    # trailers and TE
    exchange("trailers of a response pass",
             b"HTTP/1.1 200 OK\r\nTrailer: X\r\n" + TE + b"\r\n" + chunked(b"a", trailers=b"X: 1\r\n")),
    exchange("TE is ours to say, so it stays here, and trailers pass all the same",
             OK_TE + chunked(b"a", trailers=b"X: 1\r\n"),
             sent=req(fields=b"Connection: te\r\nTE: trailers\r\n"), seen=fwd()),
    exchange("TE that Connection does not name stays here too", ok(),
             sent=req(fields=b"TE: gzip;q=0.5, trailers\r\n"), seen=fwd()),
    # halves of a connection
    Case("a target that finishes behind its response",
         send(req()), sees(fwd()), answer(ok()), half_close(), gets(ok()), released(reset=None),
         *served(b"/2", b="b2")),
    Case("a target that finishes in the middle of chunks",
         send(req()), sees(fwd()), *each(OK_TE, chunk(b"a")), half_close(), closed(reset=True)),
    Case("a client that finishes in the middle of its body asks nothing",
         send(post()[:-1]), sees(fwd_post()[:-1]), shut(), closed(), released()),
    Case("a client that finishes gets a long body to its end",
         send(req()), shut(), sees(fwd()), answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
                                                 % (4 * MIB)),
         gets(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (4 * MIB)),
         do(lambda run: require_equal(copy(run.backend("b"), run.client("c"), pattern(4 * MIB)),
                                      pattern(4 * MIB))), closed()),
    # large heads
    large_request(4096, max_header_size="4KiB"),
    large_request(16384),
    large_request(32768, max_header_size="32KiB"),
    large_response(16384),
    large_response(32768, max_header_size="32KiB"),
    Case("a head of the largest size, byte by byte",
         drip(of_size(b"GET / HTTP/1.1\r\nHost: a\r\n", 4096)),
         sees(fwd(fields=of_size(b"GET / HTTP/1.1\r\nHost: a\r\n", 4096)[25:-2])), answer(ok()),
         gets(ok()), listener={"max_header_size": "4KiB"}),
    Case("a byte more is too large", send(of_size(b"GET / HTTP/1.1\r\nHost: a\r\n", 4097)),
         gets_error(431), untouched(), listener={"max_header_size": "4KiB"}),
    Case("a response with a byte more is too large", send(req()), sees(fwd()),
         answer(of_size(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 4097)),
         gets_error(502, closed=False), released(), listener={"max_header_size": "4KiB"}),
    Case("a response head of the largest size, byte by byte", send(req()), sees(fwd()),
         answer_drip(of_size(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 4096)),
         gets(of_size(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 4096)), *served(b"/2"),
         listener={"max_header_size": "4KiB"}),
]
