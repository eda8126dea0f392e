"""Requests that are refused: the client is told and closed, and no byte reaches a target. Each case
ends with an honest request of another client, which must be the first thing the target sees."""
from harness import (Case, answer, closed, drip, gets, gets_error, released, sees, send, shut,
                     untouched)
from messages import TE, chunked, fwd, ok, post, req, served

P = b"POST / HTTP/1.1\r\nHost: a\r\n"
E = b"\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"


def refused(name, status, data, **kw):
    return Case(name, send(data), gets_error(status), untouched(), *served(b"/honest", c="honest"),
                **kw)


def smuggled(name, head, status=400):
    """A head whose body, read in another way, is a request."""
    return refused(name, status, head + E + HIDDEN)


HEADS = [
    smuggled("Content-Length and Transfer-Encoding",
             P + b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
    smuggled("Transfer-Encoding and Content-Length",
             P + b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
    smuggled("Content-Length: 0 and Transfer-Encoding",
             P + b"Content-Length: 0\r\ntransfer-encoding: chunked"),
    smuggled("two Content-Length", P + b"Content-Length: 5\r\nContent-Length: 37"),
    smuggled("the same Content-Length twice", P + b"Content-Length: 37\r\nContent-Length: 37"),
    smuggled("a list of lengths", P + b"Content-Length: 37, 37"),
    smuggled("a negative length", P + b"Content-Length: -1"),
    smuggled("a length with a plus", P + b"Content-Length: +5"),
    smuggled("a hexadecimal length", P + b"Content-Length: 0x5"),
    smuggled("an octal length", P + b"Content-Length: 010"),
    smuggled("a length that overflows", P + b"Content-Length: 18446744073709551621"),
    smuggled("an empty length", P + b"Content-Length:"),
    smuggled("a length with a blank inside", P + b"Content-Length: 1 0"),
    smuggled("chunked in HTTP/1.0", b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked"),
    smuggled("chunked twice", P + b"Transfer-Encoding: chunked, chunked"),
    smuggled("chunked not last", P + b"Transfer-Encoding: chunked, identity"),
    smuggled("two Transfer-Encoding",
             P + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x"),
    smuggled("a quoted coding", P + b"Transfer-Encoding: \"chunked\""),
    smuggled("an empty coding", P + b"Transfer-Encoding:"),
    smuggled("a vertical tab before chunked", P + b"Transfer-Encoding: \x0bchunked"),
    smuggled("another coding", P + b"Transfer-Encoding: xchunked", 501),
    smuggled("identity", P + b"Transfer-Encoding: identity", 501),
    smuggled("a blank before the colon", P + b"Transfer-Encoding : chunked"),
    smuggled("a tab before the colon", P + b"Content-Length\t: 5"),
    smuggled("a line that begins with a blank", P + b" Transfer-Encoding: chunked"),
    smuggled("a folded field", P + b"X: y\r\n Transfer-Encoding: chunked"),
    smuggled("a folded value", P + b"Transfer-Encoding:\r\n chunked"),
    smuggled("a bare LF between fields", P + b"X: y\nTransfer-Encoding: chunked"),
    smuggled("a bare CR between fields", P + b"X: y\rTransfer-Encoding: chunked"),
    smuggled("a bare LF at the end of the head", P + b"Content-Length: 5\n"),
    smuggled("NUL in a value", P + b"X: a\0b"),
    smuggled("NUL in a name", P + b"Transfer-Encoding\0: chunked"),
    smuggled("a control character in a value", P + b"X: \x01"),
    smuggled("a field without a colon", P + b"Transfer-Encoding chunked"),
    smuggled("a field without a name", P + b": chunked"),
    smuggled("no Host", b"POST / HTTP/1.1\r\nContent-Length: 37"),
    smuggled("two Host", P + b"Host: b\r\nContent-Length: 37"),
    smuggled("Host with a comma", b"POST / HTTP/1.1\r\nHost: a, b\r\nContent-Length: 37"),
    smuggled("Host with a path", b"POST / HTTP/1.1\r\nHost: a/b\r\nContent-Length: 37"),
    smuggled("Host with a user", b"POST / HTTP/1.1\r\nHost: a@b\r\nContent-Length: 37"),
    smuggled("Host that is not the target's",
             b"POST http://b/ HTTP/1.1\r\nHost: a\r\nContent-Length: 37"),
    smuggled("two blanks in the request line", b"POST  / HTTP/1.1\r\nHost: a"),
    smuggled("a blank in the target", b"POST /a b HTTP/1.1\r\nHost: a"),
    smuggled("a tab in the request line", b"POST\t/ HTTP/1.1\r\nHost: a"),
    smuggled("a blank behind the version", b"POST / HTTP/1.1 \r\nHost: a"),
    smuggled("a fragment in the target", b"POST /#x HTTP/1.1\r\nHost: a"),
    smuggled("a byte over 127 in the target", b"POST /\xff HTTP/1.1\r\nHost: a"),
    smuggled("a malformed Connection", P + b"Connection: a b"),
]

OTHERS = [
    refused("HTTP/2.0", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    refused("HTTP/0.9", 400, b"GET /\r\n\r\n"),
    refused("another protocol", 400, b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    refused("a TLS handshake is refused at its first bytes", 400,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    refused("another expectation", 417, req(fields=b"Expect: 200-ok\r\n")),
    refused("a head that is too large", 431, req(fields=b"X: " + b"x" * 5000 + b"\r\n"),
            listener={"max_header_size": "4KiB"}),
    refused("a head that is too large and does not end", 431, P + b"X: " + b"x" * 5000,
            listener={"max_header_size": "4KiB"}),
    refused("many fields that are too large together", 431,
            req(fields=b"X-Field: 0123456789\r\n" * 90 + b"Y: " + b"y" * 3000 + b"\r\n"),
            listener={"max_header_size": "4KiB"}),
    refused("too many fields", 431, req(fields=b"X: y\r\n" * 100)),
    refused("a target that is too long", 414, req(b"/" + b"x" * 5000),
            listener={"max_header_size": "4KiB"}),
    Case("refused byte by byte",
         drip(P + b"Transfer-Encoding : chunked" + E), gets_error(400), untouched(),
         *served(b"/honest", c="honest")),
    Case("refused behind a good request",
         send(req(b"/good") + P + b"Content-Length: x" + E + HIDDEN), sees(fwd(b"/good")),
         answer(ok()), gets(ok()), gets_error(400), untouched(),
         *served(b"/honest", c="honest")),
    Case("refused, and the client has sent much more",
         send(P + b"Content-Length: x" + E + b"x" * 100000), gets_error(400), untouched(),
         *served(b"/honest", c="honest")),
    Case("what comes behind a body is refused, the body's request is not",
         send(post(b"hello") + b"\0\0\0\0"), sees(fwd(
             method=b"POST", fields=b"Content-Length: 5\r\n", body=b"hello")), answer(ok()),
         gets(ok()), gets_error(400), untouched(), *served(b"/honest", c="honest")),
    Case("a cut head and the end are no request",
         send(req()[:-2]), shut(), closed(reset=None), untouched(),
         *served(b"/honest", c="honest")),
]


def bad_chunks(name, body):
    """The head was good and has gone; the request is taken back by closing the connection."""
    return Case(name, send(req(method=b"POST", fields=TE) + b"5\r\nhello\r\n"),
                sees(fwd(method=b"POST", fields=TE) + b"5\r\nhello\r\n"), send(body),
                gets_error(400), released(reset=None), *served(b"/honest", c="honest", b="b2"))


def bad_chunks_at_once(name, body):
    """Head and body come together: nothing of it is sent."""
    return Case(name, send(req(method=b"POST", fields=TE) + body), gets_error(400), untouched(),
                *served(b"/honest", c="honest"))


CHUNKS = [
    bad_chunks("a chunk size that is none", b"x\r\n"),
    bad_chunks("a chunk size with a sign", b"+5\r\nhello\r\n"),
    bad_chunks("a chunk size in C notation", b"0x5\r\nhello\r\n"),
    bad_chunks("a chunk size with a blank", b"5 \r\nhello\r\n"),
    bad_chunks("a chunk size that overflows", b"10000000000000005\r\nhello\r\n"),
    bad_chunks("a chunk line that ends in LF", b"5\nhello\r\n"),
    bad_chunks("an extension that ends in LF", b"5;a\nhello\r\n"),
    bad_chunks("a bare CR in an extension", b"5;a\rb\r\nhello\r\n"),
    bad_chunks("an endless extension", b"5;" + b"a" * 300),
    bad_chunks("chunk data that is too long", b"5\r\nhello!\r\n"),
    bad_chunks("chunk data that ends in LF", b"5\r\nhello\n"),
    bad_chunks("a last chunk that ends in LF", b"0\n\n"),
    bad_chunks("a trailer that looks like framing", b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    bad_chunks("a trailer that looks like routing", b"0\r\nHost: b\r\n\r\n"),
    bad_chunks("a folded trailer", b"0\r\nX: y\r\n z\r\n\r\n"),
    bad_chunks("trailers without end", b"0\r\n" + b"X: y\r\n" * 2000),
    bad_chunks_at_once("malformed chunks that come with the head", b"5\r\nhello\r\nzz\r\n"),
]


def bad_response(name, data):
    """The client gets 502 and keeps its connection; the target's is closed."""
    return Case("response: " + name, send(req()), sees(fwd()), answer(data),
                gets_error(502, closed=False), released(reset=None), *served(b"/2", b="b2"))


R = b"HTTP/1.1 200 OK\r\n"
RESPONSES = [
    bad_response("no HTTP", b"SSH-2.0-x\r\n\r\n"),
    bad_response("HTTP/2.0", b"HTTP/2.0 200 OK\r\n\r\n"),
    bad_response("a status that is none", b"HTTP/1.1 2000 OK\r\n\r\n"),
    bad_response("status 600", b"HTTP/1.1 600 X\r\n\r\n"),
    bad_response("both framings", R + TE + b"Content-Length: 5\r\n\r\n" + chunked(b"hello")),
    bad_response("two lengths", R + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
    bad_response("a length that is none", R + b"Content-Length: x\r\n\r\nhello"),
    bad_response("another coding", R + b"Transfer-Encoding: gzip\r\n\r\nx"),
    bad_response("chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + TE + b"\r\n" + chunked(b"x")),
    bad_response("a bare LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    bad_response("a folded field", R + b"X: y\r\n z\r\nContent-Length: 0\r\n\r\n"),
    bad_response("a blank before the colon", R + b"Content-Length : 5\r\n\r\nhello"),
    bad_response("NUL in a field", R + b"X: \0\r\nContent-Length: 0\r\n\r\n"),
    bad_response("204 with a body", b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello"),
    bad_response("100 with a body", b"HTTP/1.1 100 X\r\n" + TE + b"\r\n" + chunked(b"x")),
    bad_response("malformed chunks that come with the head", R + TE + b"\r\nzz\r\n"),
    Case("response: a head that is too large", send(req()), sees(fwd()),
         answer(R + b"X: " + b"x" * 5000), gets_error(502, closed=False), released(reset=None),
         *served(b"/2", b="b2"), listener={"max_header_size": "4KiB"}),
    Case("response: malformed chunks behind a good beginning", send(req()), sees(fwd()),
         answer(R + TE + b"\r\n5\r\nhello\r\n"), gets(R + TE + b"\r\n5\r\nhello\r\n"),
         answer(b"zz\r\n"), closed(reset=True), released(reset=None),
         *served(b"/2", c="2", b="b2")),
]

CASES = HEADS + OTHERS + CHUNKS + RESPONSES
