"""Bodies and their framing, interim responses, both ways."""
from harness import (Case, answer, answer_drip, closed, do, drip, gets, gets_error, gets_head,
                     half_close, hangup, leave, released, sees, send, untouched)
from messages import (CLOSE, TE, chunked, fwd, fwd10, fwd_post, ok, ok_close, post, req, served)
from transfer import (backend_to_client, client_to_backend, copy, pattern, require_equal,
                      slow_backend, slow_client)

MIB10 = 10 << 20
BODY = chunked(b"hello, ", b"world")
ODD = (b"5;ext=1;q=\"a;b\"\r\nhello\r\nA\r\n0123456789\r\n000;last\r\n"
       b"X-Checksum: 1\r\nX-Empty:\r\n\r\n")
LOOKS_LIKE = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def big_chunked(n):
    data = pattern(n)
    return chunked(*[data[i:i + 30011] for i in range(0, n, 30011)])


def chunked_up(run):
    body = big_chunked(MIB10)
    run.client("c").send(req(method=b"POST", fields=TE))
    run.backend("b").require(fwd(method=b"POST", fields=TE))
    require_equal(copy(run.client("c"), run.backend("b"), body), body)


def chunked_down(run):
    body = big_chunked(MIB10)
    run.backend("b").send(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n")
    run.client("c").require(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n")
    require_equal(copy(run.backend("b"), run.client("c"), body), body)


def unchunked_down(run):
    """What an HTTP/1.0 client gets of a chunked body."""
    data = pattern(MIB10)
    run.backend("b").send(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n")
    run.client("c").require(b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\n")
    require_equal(copy(run.backend("b"), run.client("c"), big_chunked(MIB10), len(data)), data)


# Around what is copied, what goes through a pipe, and what fits one.
ODD_SIZES = [(k << 10) + d for k in (16, 32, 48, 64, 128, 160, 288, 1024) for d in (-1, 0, 1)]


def odd_sizes_down(run):
    """One connection, one body after the other."""
    for n in ODD_SIZES:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % n
        run.client("c").send(req())
        run.backend("b").require(fwd())
        backend_to_client(run, n, head, head)


def odd_sizes_up(run):
    for n in ODD_SIZES:
        fields = b"Content-Length: %d\r\n" % n
        client_to_backend(run, n, req(method=b"POST", fields=fields),
                          fwd(method=b"POST", fields=fields))
        run.backend("b").send(ok())
        run.client("c").require(ok())


LONG = b"Content-Length: %d\r\n" % MIB10
POST_LONG = req(method=b"POST", fields=LONG)
OK_LONG = b"HTTP/1.1 200 OK\r\n" + LONG + b"\r\n"
LENGTH_64 = b"Content-Length: %d\r\n" % (64 << 20)
OK_64 = b"HTTP/1.1 200 OK\r\n" + LENGTH_64 + b"\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
EXPECT = b"Expect: 100-continue\r\n"

CASES = [
    # requests
    Case("a body with Content-Length",
         send(post()), sees(fwd_post()), answer(ok()), gets(ok()), *served(b"/2")),
    Case("a body behind its head",
         send(post()[:-5]), sees(fwd_post()[:-5]), send(b"he"), sees(b"he"), send(b"llo"),
         sees(b"llo"), answer(ok()), gets(ok()), *served(b"/2")),
    Case("Content-Length: 0",
         send(post(b"")), sees(fwd_post(b"")), answer(ok()), gets(ok()), *served(b"/2")),
    Case("a GET with a body",
         send(post().replace(b"POST", b"GET")), sees(fwd_post().replace(b"POST", b"GET")),
         answer(ok()), gets(ok()), *served(b"/2")),
    Case("a chunked body",
         send(req(method=b"POST", fields=TE) + BODY), sees(fwd(method=b"POST", fields=TE) + BODY),
         answer(ok()), gets(ok()), *served(b"/2")),
    Case("an empty chunked body",
         send(req(method=b"POST", fields=TE) + chunked()),
         sees(fwd(method=b"POST", fields=TE) + chunked()), answer(ok()), gets(ok()),
         *served(b"/2")),
    Case("chunk extensions and trailers go through",
         send(req(method=b"POST", fields=TE + b"Trailer: X-Checksum\r\n") + ODD),
         sees(fwd(method=b"POST", fields=TE + b"Trailer: X-Checksum\r\n") + ODD),
         answer(ok()), gets(ok()), *served(b"/2")),
    Case("a chunked body byte by byte",
         drip(req(method=b"POST", fields=TE) + ODD), sees(fwd(method=b"POST", fields=TE) + ODD),
         answer(ok()), gets(ok()), *served(b"/2")),
    Case("a request in a body stays a body",
         send(post(LOOKS_LIKE)), sees(fwd_post(LOOKS_LIKE)), answer(ok()), gets(ok()),
         send(req(method=b"POST", fields=TE) + chunked(LOOKS_LIKE)),
         sees(fwd(method=b"POST", fields=TE) + chunked(LOOKS_LIKE)), answer(ok()), gets(ok()),
         untouched()),
    Case("a request behind a chunked body",
         send(req(method=b"POST", fields=TE) + BODY + req(b"/2")),
         sees(fwd(method=b"POST", fields=TE) + BODY), answer(ok()), gets(ok()), sees(fwd(b"/2")),
         answer(ok(b"2")), gets(ok(b"2"))),
    Case("10 MiB with Content-Length to the target",
         do(lambda run: client_to_backend(run, MIB10, POST_LONG,
                                          fwd(method=b"POST", fields=LONG))),
         answer(ok()), gets(ok()), *served(b"/2")),
    Case("10 MiB in chunks to the target", do(chunked_up), answer(ok()), gets(ok()),
         *served(b"/2")),
    Case("bodies of odd sizes to the target", do(odd_sizes_up), *served(b"/2")),
    Case("a target that does not read stops the client",
         do(lambda run: slow_backend(run, 64 << 20, req(method=b"POST", fields=LENGTH_64),
                                     fwd(method=b"POST", fields=LENGTH_64))),
         answer(ok()), gets(ok()), *served(b"/2")),
    # Expect
    Case("Expect: 100-continue goes through, 100 comes back",
         send(post(fields=EXPECT)[:-5]), sees(fwd_post(fields=EXPECT)[:-5]), answer(CONTINUE),
         gets(CONTINUE), send(b"hello"), sees(b"hello"), answer(ok()), gets(ok()),
         *served(b"/2")),
    Case("a client that does not wait for 100",
         send(post(fields=EXPECT)), sees(fwd_post(fields=EXPECT)), answer(CONTINUE + ok()),
         gets(CONTINUE + ok()), *served(b"/2")),
    Case("a target that answers without 100",
         send(post(fields=EXPECT)[:-5]), sees(fwd_post(fields=EXPECT)[:-5]),
         answer(ok(status=b"403 Forbidden")), gets(ok_close(status=b"403 Forbidden")), closed(),
         released(reset=None)),
    Case("an expectation in HTTP/1.0 stays here",
         send(b"POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab"),
         sees(fwd10(method=b"POST", fields=b"Content-Length: 2\r\n", body=b"ab")), answer(ok()),
         gets(ok_close()), closed()),
    # interim responses
    Case("103 is relayed",
         send(req()), sees(fwd()), answer(HINTS), gets(HINTS), answer(ok()), gets(ok()),
         *served(b"/2")),
    Case("several interim responses",
         send(req()), sees(fwd()), answer(HINTS + CONTINUE + HINTS + ok()),
         gets(HINTS + CONTINUE + HINTS + ok()), *served(b"/2")),
    Case("interim responses byte by byte",
         send(req()), sees(fwd()), answer_drip(HINTS + HINTS + ok()), gets(HINTS + HINTS + ok()),
         *served(b"/2")),
    Case("interim responses are not for HTTP/1.0",
         send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"), sees(fwd10()), answer(HINTS + ok()),
         gets(ok_close()), closed()),
    Case("101 was not asked for",
         send(req(fields=b"Connection: upgrade\r\nUpgrade: x\r\n")), sees(fwd()),
         answer(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
         gets_error(502, closed=False), released(reset=None), *served(b"/2", b="b2")),
    # responses
    Case("a body behind its head, piece by piece",
         send(req()), sees(fwd()), answer(ok(b"hello")[:-5]), gets(ok(b"hello")[:-5]),
         answer(b"he"), gets(b"he"), answer(b"llo"), gets(b"llo"), *served(b"/2")),
    Case("an empty response", send(req()), sees(fwd()), answer(ok(b"")), gets(ok(b"")),
         *served(b"/2")),
    Case("a chunked response",
         send(req()), sees(fwd()), answer(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n" + ODD),
         gets(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n" + ODD), *served(b"/2")),
    Case("a chunked response byte by byte",
         send(req()), sees(fwd()), answer_drip(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n" + ODD),
         gets(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n" + ODD), *served(b"/2")),
    Case("a chunked response for HTTP/1.0 loses its framing",
         send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"), sees(fwd10()),
         answer(b"HTTP/1.1 200 OK\r\nTrailer: x-checksum\r\n" + TE + b"\r\n" + ODD),
         gets(b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\nhello0123456789"), closed(),
         *served(b"/2", c="2")),
    Case("a response until the connection closes",
         send(req()), sees(fwd()), answer(b"HTTP/1.1 200 OK\r\nX: 1\r\n\r\npart"),
         gets(b"HTTP/1.1 200 OK\r\nX: 1\r\n" + CLOSE + b"\r\npart"), answer(b" two"),
         gets(b" two"), hangup(), closed()),
    Case("a response until a half-close",
         send(req()), sees(fwd()), answer(b"HTTP/1.0 200 OK\r\n\r\nbody"), half_close(),
         gets(b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\nbody"), closed(), released(reset=None)),
    Case("a response until the connection closes, empty",
         send(req()), sees(fwd()), answer(b"HTTP/1.1 200 OK\r\n\r\n"), hangup(),
         gets(b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\n"), closed()),
    Case("HEAD has no body",
         send(req(method=b"HEAD")), sees(fwd(method=b"HEAD")), answer(ok(b"12345")[:-5]),
         gets(ok(b"12345")[:-5]), *served(b"/2")),
    Case("HEAD of a chunked response",
         send(req(method=b"HEAD")), sees(fwd(method=b"HEAD")),
         answer(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n"),
         gets(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n"), *served(b"/2")),
    Case("HEAD without a length",
         send(req(method=b"HEAD")), sees(fwd(method=b"HEAD")), answer(b"HTTP/1.1 200 OK\r\n\r\n"),
         gets(b"HTTP/1.1 200 OK\r\n\r\n"), *served(b"/2")),
    Case("our own errors for HEAD have no body",
         send(req(method=b"HEAD")), gets_head(502, lacks=[b"Connection"]), dead=(0,)),
    Case("204 has no body",
         send(req()), sees(fwd()), answer(b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"),
         gets(b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"), *served(b"/2")),
    Case("Content-Length: 0 is taken out of a 204",
         send(req()), sees(fwd()),
         answer(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX: 1\r\n\r\n"),
         gets(b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n"), *served(b"/2")),
    Case("304 has no body, whatever its length",
         send(req()), sees(fwd()),
         answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n"),
         gets(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n"),
         *served(b"/2")),
    Case("10 MiB with Content-Length to the client",
         send(req()), sees(fwd()), do(lambda run: backend_to_client(run, MIB10, OK_LONG, OK_LONG)),
         *served(b"/2")),
    Case("10 MiB in chunks to the client",
         send(req()), sees(fwd()), do(chunked_down), *served(b"/2")),
    Case("10 MiB in chunks to an HTTP/1.0 client",
         send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"), sees(fwd10()), do(unchunked_down), closed()),
    Case("10 MiB until the connection closes",
         send(req()), sees(fwd()),
         do(lambda run: backend_to_client(run, MIB10, b"HTTP/1.1 200 OK\r\n\r\n",
                                          b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\n")),
         hangup(), closed()),
    Case("bodies of odd sizes to the client", do(odd_sizes_down), *served(b"/2")),
    Case("a client that does not read stops the target",
         do(lambda run: slow_client(run, req(), fwd(), OK_64)), *served(b"/2")),
    # early responses
    Case("a response before the end of the request",
         send(post(b"x" * 100)[:-50]), sees(fwd_post(b"x" * 100)[:-50]),
         answer(ok(status=b"413 Content Too Large")),
         gets(ok_close(status=b"413 Content Too Large")), closed(), released(reset=None)),
    Case("a response before the end of the request, and the target hangs up",
         send(post(b"x" * 100)[:-50]), sees(fwd_post(b"x" * 100)[:-50]),
         answer(ok(status=b"413 Content Too Large", fields=CLOSE)), hangup(),
         gets(ok_close(status=b"413 Content Too Large")), closed()),
    Case("a response while the request goes on",
         send(post(b"x" * 100)[:-50]), sees(fwd_post(b"x" * 100)[:-50]),
         answer(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n5\r\nhello\r\n"),
         gets(b"HTTP/1.1 200 OK\r\n" + TE + CLOSE + b"\r\n5\r\nhello\r\n"),
         send(b"x" * 50), sees(b"x" * 50), answer(b"0\r\n\r\n"), gets(b"0\r\n\r\n"), closed()),
    Case("a client that leaves in the middle of a response",
         send(req()), sees(fwd()), answer(ok(b"x" * 100)[:-50]), gets(ok(b"x" * 100)[:-50]),
         leave(reset=True), released(reset=None)),
]
