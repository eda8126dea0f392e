"""What happens to header fields, targets and hosts on the way."""
from harness import Case, XF, answer, closed, do, gets, gets_error, sees, send, untouched
from messages import fwd, fwd10, ok, ok_close, req, served


def request(name, sent, seen, **kw):
    """One exchange in which the request matters."""
    return Case(name, send(sent), sees(seen), answer(ok()), gets(ok()), **kw)


def response(name, sent, got, **kw):
    return Case(name, send(req()), sees(fwd()), answer(sent), gets(got), **kw)


def forwarded(method, fields):
    """As the target gets a request for / whose fields we have written ourselves."""
    return b"%s / HTTP/1.1\r\nHost: a\r\n%s%s\r\n" % (method, fields, XF)


MANY = b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(98))

CASES = [
    request("fields are passed on as they came",
            req(fields=b"x-lower: 1\r\nX-UPPER:2\r\nX-Empty:\r\nX-Blank:  \t a  b \t\r\n"
                b"X-Text: \xe2\x82\xac\r\nX-Same: 1\r\nX-Same: 2\r\nCookie: a=b; c=d\r\n"),
            fwd(fields=b"x-lower: 1\r\nX-UPPER:2\r\nX-Empty:\r\nX-Blank:  \t a  b \t\r\n"
                b"X-Text: \xe2\x82\xac\r\nX-Same: 1\r\nX-Same: 2\r\nCookie: a=b; c=d\r\n")),
    request("a hundred fields", req(fields=MANY), fwd(fields=MANY)),
    request("the target is passed on byte by byte",
            req(b"/a/../b//c;d=%2e%2E%00?x=/../&y={|}^`\"<>\\"),
            fwd(b"/a/../b//c;d=%2e%2E%00?x=/../&y={|}^`\"<>\\")),
    request("hop-by-hop fields stay here",
            req(fields=b"Keep-Alive: timeout=5\r\nX: 1\r\nProxy-Connection: keep-alive\r\n"
                b"TE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
                b"Proxy-Authorization: Basic Zm9v\r\nConnection: upgrade, http2-settings\r\n"
                b"Y: 2\r\n"),
            fwd(fields=b"X: 1\r\nY: 2\r\n")),
    request("fields that Connection names stay here",
            req(fields=b"X-A: 1\r\nConnection: x-a, X-C\r\nX-B: 2\r\nx-c: 3\r\nX-A: 4\r\n"
                b"Connection: X-D\r\nX-D: 5\r\nX-AA: 6\r\n"),
            fwd(fields=b"X-B: 2\r\nX-AA: 6\r\n")),
    request("Connection cannot take away what the target decides by",
            req(fields=b"Connection: host, cookie, authorization, x-forwarded-for, via\r\n"
                b"Cookie: a=b\r\nAuthorization: Basic Zm9v\r\nVia: 1.1 x\r\n"),
            fwd(fields=b"Cookie: a=b\r\nAuthorization: Basic Zm9v\r\nVia: 1.1 x\r\n")),
    Case("Connection cannot take away the length of the body",
         send(req(method=b"POST", fields=b"Connection: content-length\r\nContent-Length: 2\r\n",
                  body=b"ab")),
         sees(fwd(method=b"POST", fields=b"Content-Length: 2\r\n", body=b"ab")),
         answer(ok()), gets(ok())),
    request("X-Forwarded-For is appended to",
            req(fields=b"X-Forwarded-For: 192.0.2.7\r\n"),
            fwd().replace(b"For: 127", b"For: 192.0.2.7, 127")),
    request("several X-Forwarded-For become one",
            req(fields=b"X-Forwarded-For: 192.0.2.7\r\nX: 1\r\nx-forwarded-for: 192.0.2.8, ::1\r\n"
                b"X-Forwarded-For:\r\n"),
            fwd(fields=b"X: 1\r\n").replace(b"For: 127", b"For: 192.0.2.7, 192.0.2.8, ::1, 127")),
    request("X-Forwarded-Proto is ours", req(fields=b"X-Forwarded-Proto: https\r\n"), fwd()),
    Case("X-Forwarded-For shows the client's address",
         send(req(), source="127.0.0.77"),
         sees(fwd().replace(b"For: 127.0.0.1", b"For: 127.0.0.77")), answer(ok()), gets(ok())),
    request("an absolute target becomes a path",
            b"GET http://b.example:80/x?y HTTP/1.1\r\nhost: b.example:80\r\nX: 1\r\n\r\n",
            b"GET /x?y HTTP/1.1\r\nHost: b.example:80\r\nX: 1\r\n" + XF + b"\r\n"),
    request("an absolute target without a path",
            b"GET http://b HTTP/1.1\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: b\r\n" + XF + b"\r\n"),
    request("OPTIONS *", req(b"*", method=b"OPTIONS"), fwd(b"*", method=b"OPTIONS")),
    request("Max-Forwards of OPTIONS counts down",
            req(method=b"OPTIONS", fields=b"max-forwards: 10\r\nX: 1\r\n"),
            forwarded(b"OPTIONS", b"X: 1\r\nMax-Forwards: 9\r\n")),
    request("Max-Forwards of TRACE counts down, from what a number may be",
            req(method=b"TRACE", fields=b"Max-Forwards: 99999999999999999999999\r\n"),
            forwarded(b"TRACE", b"Max-Forwards: 4294967293\r\n")),
    request("Connection cannot take Max-Forwards away",
            req(method=b"OPTIONS", fields=b"Connection: max-forwards\r\nMax-Forwards: 1\r\n"),
            forwarded(b"OPTIONS", b"Max-Forwards: 0\r\n")),
    request("Max-Forwards of other requests is a field like any other",
            req(fields=b"Max-Forwards: 0\r\nMax-Forwards: x\r\n"),
            fwd(fields=b"Max-Forwards: 0\r\nMax-Forwards: x\r\n")),
    Case("OPTIONS with Max-Forwards: 0 is answered here",
         send(req(b"*", method=b"OPTIONS", fields=b"Max-Forwards: 0\r\n")), gets(ok(b"")),
         send(req(b"/x", method=b"OPTIONS", fields=b"Max-Forwards: 00\r\n")), gets(ok(b"")),
         *served()),
    Case("OPTIONS with Max-Forwards: 0 and a body is answered here",
         send(req(method=b"OPTIONS", fields=b"Max-Forwards: 0\r\nContent-Length: 2\r\n", body=b"ab")),
         gets(ok_close(b"")), closed(), untouched()),
    Case("OPTIONS with Max-Forwards: 0 in HTTP/1.0",
         send(b"OPTIONS * HTTP/1.0\r\nMax-Forwards: 0\r\n\r\n"), gets(ok_close(b"")), closed(),
         untouched()),
    Case("TRACE with Max-Forwards: 0 is refused here",
         send(req(method=b"TRACE", fields=b"Max-Forwards: 0\r\n")), gets_error(501, closed=False),
         *served()),
    *[Case(f"OPTIONS with a wrong Max-Forwards: {fields!r}",
           send(req(method=b"OPTIONS", fields=fields)), gets_error(400), untouched())
      for fields in (b"Max-Forwards:\r\n", b"Max-Forwards: -1\r\n", b"Max-Forwards: 1,1\r\n",
                     b"Max-Forwards: 1\r\nMax-Forwards: 1\r\n")],
    request("OPTIONS for an absolute target without a path",
            b"OPTIONS http://b HTTP/1.1\r\nHost: b\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: b\r\n" + XF + b"\r\n"),
    request("a method that we do not know", req(method=b"M-SEARCH"), fwd(method=b"M-SEARCH")),
    request("HTTP/1.2 is forwarded as HTTP/1.1",
            b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", fwd()),
    Case("HTTP/1.0 without Host gets the target's address",
         send(b"GET /x HTTP/1.0\r\n\r\n"),
         do(lambda run: run.backend("b").require(
             fwd10(path=b"/x", host=b"127.0.0.1:%d" % run.targets[0].port))),
         answer(ok()), gets(ok_close())),
    request("Expect without a body stays here", req(fields=b"Expect: 100-continue\r\n"), fwd()),
    Case("CONNECT is refused", send(b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
         gets_error(501), untouched()),
    response("response fields are passed on as they came",
             b"HTTP/1.1 200 OK\r\nServer: x\r\nx-lower:1\r\nSet-Cookie: a=b\r\n"
             b"Content-Length: 2\r\nSet-Cookie: c=d; Path=/\r\nX-Text: \xe2\x82\xac\r\n\r\nok",
             b"HTTP/1.1 200 OK\r\nServer: x\r\nx-lower:1\r\nSet-Cookie: a=b\r\n"
             b"Content-Length: 2\r\nSet-Cookie: c=d; Path=/\r\nX-Text: \xe2\x82\xac\r\n\r\nok"),
    response("hop-by-hop fields of the response stay here",
             b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nX: 1\r\n"
             b"Connection: keep-alive, x-hop\r\nX-Hop: 1\r\nProxy-Connection: x\r\n"
             b"Upgrade: h2\r\nContent-Length: 2\r\n\r\nok",
             b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 2\r\n\r\nok"),
    response("Connection of the response cannot take away Set-Cookie",
             b"HTTP/1.1 200 OK\r\nConnection: set-cookie, content-length\r\nSet-Cookie: a=b\r\n"
             b"Content-Length: 2\r\n\r\nok",
             b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok"),
    response("a response without a reason",
             b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
             b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"),
    response("statuses that nobody knows",
             ok(status=b"599 Hm"), ok(status=b"599 Hm")),
]
