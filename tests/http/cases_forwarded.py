"""What targets learn about where a request came from: X-Forwarded-*, Forwarded, Via."""
from harness import Case, answer, closed, do, gets, sees, send
from messages import fwd, ok, ok_close, req, served

VIA = b"Via: 1.1 yoke\r\n"
CAME = (b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: spoofed\r\n"
        b"X-Forwarded-Port: 1\r\nForwarded: for=192.0.2.7\r\n")
FIVE = ("for", "proto", "host", "port", "rfc7239")


def plain(fields=b"", ours=b"", host=b"a"):
    """The request of the case with these fields of ours and no others."""
    return b"GET / HTTP/1.1\r\nHost: %s\r\n%s%s\r\n" % (host, fields, ours)


def case(name, sent, seen, via=None, **forwarded):
    listener = {"forwarded": forwarded}
    if via is not None:
        listener["via"] = via
    return Case(name, send(sent), sees(seen), answer(ok()), gets(ok()), listener=listener)


def via_of(name, came, got, **via):
    """What becomes of the head of a response."""
    return Case(name, send(req()), sees(fwd()), answer(came), gets(got), listener={"via": via})


CASES = [
    Case("by default only X-Forwarded-For and -Proto are ours",
         send(req(fields=CAME)),
         sees(plain(b"X-Forwarded-Host: spoofed\r\nX-Forwarded-Port: 1\r\n"
                    b"Forwarded: for=192.0.2.7\r\n",
                    b"X-Forwarded-For: 192.0.2.7, 127.0.0.1\r\nX-Forwarded-Proto: http\r\n" + VIA)),
         answer(ok()), gets(ok())),
    case("preserve: all as they came", req(fields=CAME), plain(CAME, VIA),
         **{key: "preserve" for key in FIVE}),
    case("preserve: what did not come is not there", req(), plain(b"", VIA),
         **{key: "preserve" for key in FIVE}),
    case("remove: targets see none of them", req(fields=b"X: 1\r\n" + CAME + b"Y: 2\r\n"),
         plain(b"X: 1\r\nY: 2\r\n", VIA), **{key: "remove" for key in FIVE}),
    Case("replace: all are ours",
         send(req(fields=CAME + CAME.upper(), host=b"b:81")),
         do(lambda run: run.backend("b").require(plain(
             b"", b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: b:81\r\n"
             b"Forwarded: for=127.0.0.1;proto=http;host=\"b:81\"\r\nX-Forwarded-Proto: http\r\n"
             b"X-Forwarded-Port: %d\r\n" % run.port + VIA, b"b:81"))),
         answer(ok()), gets(ok()), listener={"forwarded": {key: "replace" for key in FIVE}}),
    case("append: Forwarded is a list",
         req(fields=b"Forwarded: for=_a;by=_b\r\nforwarded: for=\"[::1]\"\r\n"),
         plain(b"Forwarded: for=_a;by=_b\r\nforwarded: for=\"[::1]\"\r\n",
               b"Forwarded: for=127.0.0.1;proto=http;host=\"a\"\r\nX-Forwarded-Proto: http\r\n"
               + VIA), rfc7239="append", **{"for": "remove"}),
    case("Connection cannot take them away",
         req(fields=b"Connection: x-forwarded-host, x-forwarded-port, forwarded, via\r\n"
             b"X-Forwarded-Host: b\r\nX-Forwarded-Port: 1\r\nForwarded: for=_a\r\nVia: 1.1 b\r\n"),
         fwd(fields=b"X-Forwarded-Host: b\r\nX-Forwarded-Port: 1\r\nForwarded: for=_a\r\n"
             b"Via: 1.1 b\r\n")),
    # Via
    case("Via comes behind those that are there",
         req(fields=b"Via: 1.0 a, 1.1 b (x, y)\r\nX: 1\r\nvia: HTTP/2 c\r\n"),
         fwd(fields=b"Via: 1.0 a, 1.1 b (x, y)\r\nX: 1\r\nvia: HTTP/2 c\r\n")),
    Case("Via tells what the client spoke",
         send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"), sees(fwd().replace(VIA, b"Via: 1.0 yoke\r\n")),
         answer(ok()), gets(ok_close()), closed()),
    case("Via with another name", req(), fwd().replace(b"1.1 yoke", b"1.1 edge-1.example"),
         via={"name": "edge-1.example"}),
    case("no Via; those that are there stay", req(fields=b"Via: 1.1 a\r\n"),
         fwd(fields=b"Via: 1.1 a\r\n").replace(VIA, b""), via={"requests": False}),
    via_of("no Via in responses", ok(fields=b"Via: 1.1 a\r\n"), ok(fields=b"Via: 1.1 a\r\n")),
    via_of("Via in responses", ok(fields=b"Via: 1.1 a\r\n"),
           b"HTTP/1.1 200 OK\r\nVia: 1.1 a\r\nContent-Length: 2\r\nVia: 1.1 yoke\r\n\r\nok",
           responses=True),
    via_of("Via in responses tells what the target spoke",
           b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
           b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVia: 1.0 yoke\r\n\r\nok", responses=True),
    Case("the fields are written anew for each request",
         *served(), send(req(fields=b"X-Forwarded-For: 192.0.2.7\r\n")),
         sees(fwd().replace(b"For: 127", b"For: 192.0.2.7, 127")), answer(ok()), gets(ok()),
         *served()),
]
