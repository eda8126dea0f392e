"""The PROXY protocol: headers to targets, in mode http, in mode tcp, and of health checks."""
import select
import time

from harness import (STEP_TIMEOUT, Case, End, Failed, answer, answer_drip, closed, do, gets,
                     gets_error, half_close, hangup, listen, released, sees, send, shut, untouched)
from messages import fwd, fwd_post, ok, post, req
from proxy_headers import (ALPN, AUTHORITY, CLIENT, CLIENT6, INET, LOCAL, NOOP, SERVER6, SSL, STREAM,
                           UNIQUE_ID, addresses, asked_by, block, tlv, v1, v2)

V1 = {"send_proxy_protocol": "v1"}
V2 = {"send_proxy_protocol": "v2"}
SUM = {"send_proxy_protocol": {"version": "v2", "crc32c": True}}
PASS = {"send_proxy_protocol": {"version": "v2", "pass_tlvs": True}}
PASS_SUM = {"send_proxy_protocol": {"version": "v2", "pass_tlvs": True, "crc32c": True}}
EXPECT = {"proxy_protocol": True}
TCP = {"mode": "tcp"}
TLVS = tlv(ALPN, b"h2") + tlv(AUTHORITY, b"a.example") + tlv(UNIQUE_ID, b"\0\1\2") + tlv(
    SSL, b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3")) + tlv(0xe0, b"ours")


def ends(run, c):
    """Source and destination of a client's connection."""
    (source, sport), (destination, dport) = (
        run.client(c).sock.getsockname(), run.client(c).sock.getpeername())
    return source, destination, sport, dport


def told(make, rest=b"", c="c", b="b", t=0):
    """The target gets the header that `make` makes for the client's connection, then `rest`."""
    return do(lambda run: run.backend(b, t).require(make(*ends(run, c)) + rest))


def tells(header, rest=b"", b="b", t=0):
    return sees(header + rest, b=b, t=t)


def v2_sum(*args):
    return v2(*args, checksum=True)


def http(name, pool, *steps, **kw):
    return Case("http: " + name, *steps, pool=pool, **kw)


def tcp(name, pool, *steps, listener=None, **kw):
    return Case("tcp: " + name, *steps, pool=pool, listener={**TCP, **(listener or {})}, **kw)


def through(name, header, pool, out, client=CLIENT):
    """In and out: the target gets `out` for `header`."""
    return http("in and out: " + name, pool, send(header + req()),
                tells(out, asked_by(client, fwd())), answer(ok()), gets(ok()), listener=EXPECT)


HTTP = [
    http("v1", V1, send(req()), told(v1, fwd()), answer(ok()), gets(ok()), released()),
    http("v2", V2, send(req()), told(v2, fwd()), answer(ok()), gets(ok()), released()),
    http("v2 with a checksum", SUM, send(req()), told(v2_sum, fwd()), answer(ok()), gets(ok())),
    http("a body, too", V2, send(post(b"x" * 100000)), told(v2, fwd_post(b"x" * 100000)),
         answer(ok()), gets(ok())),
    http("each request has a connection of its own", V1,
         *[step for i in range(3) for step in (
             send(req(b"/%d" % i)), told(v1, fwd(b"/%d" % i), b=f"b{i}"), answer(ok(), b=f"b{i}"),
             gets(ok()), released(b=f"b{i}"))]),
    http("pipelined requests, too", V1, send(req(b"/1") + req(b"/2")), told(v1, fwd(b"/1"), b="1"),
         answer(ok(), b="1"), gets(ok()), told(v1, fwd(b"/2"), b="2"), answer(ok(), b="2"),
         gets(ok())),
    http("no client gets the connection of another", V2,
         send(req(), c="1"), told(v2, fwd(), c="1", b="1"), answer(ok(), b="1"), gets(ok(), c="1"),
         send(req(), c="2"), told(v2, fwd(), c="2", b="2"), answer(ok(), b="2"),
         gets(ok(), c="2")),
    http("a target that refuses is passed over", V1,
         send(req()), told(v1, fwd(), t=1), answer(ok()), gets(ok()), targets=2, dead=(0,)),
    http("a target that hangs up is passed over", V2,
         send(req()), told(v2, fwd()), hangup(), told(v2, fwd(), b="b2", t=1),
         answer(ok(), b="b2"), gets(ok()), targets=2),
    http("a POST is not sent twice", V2,
         send(post()), told(v2, fwd_post()), hangup(), gets_error(502, closed=False), untouched(1),
         targets=2),
    http("a response byte by byte", V1, send(req()), told(v1, fwd()), answer_drip(ok()),
         gets(ok())),
]

THROUGH = [
    through("v1 to v2", v1(), V2, v2()),
    through("v2 to v1", v2(), V1, v1()),
    through("IPv6, v1 to v2", v1(CLIENT6, SERVER6), V2, v2(CLIENT6, SERVER6), CLIENT6),
    through("IPv6, v2 to v1", v2(CLIENT6, SERVER6), V1, v1(CLIENT6, SERVER6), CLIENT6),
    through("TLVs are left out", v2(tlvs=TLVS, checksum=True), V2, v2()),
    through("TLVs are left out of v1", v2(tlvs=TLVS), V1, v1()),
    through("TLVs pass", v2(tlvs=TLVS), PASS, v2(tlvs=TLVS)),
    through("TLVs pass without padding and checksum",
            v2(tlvs=tlv(NOOP, b"xx") + TLVS + tlv(NOOP, b""), checksum=True), PASS, v2(tlvs=TLVS)),
    through("TLVs pass with a checksum", v2(tlvs=TLVS), PASS_SUM, v2(tlvs=TLVS, checksum=True)),
    through("4096 bytes pass", v2(tlvs=tlv(0xe0, b"x" * 4065)), PASS,
            v2(tlvs=tlv(0xe0, b"x" * 4065))),
    through("4096 bytes and no room for a checksum", v2(tlvs=tlv(0xe0, b"x" * 4065)), PASS_SUM,
            v2(tlvs=tlv(0xe0, b"x" * 4065))),
    http("in and out: LOCAL is our peer's", V2, send(block(command=LOCAL) + req()),
         told(v2, fwd()), answer(ok()), gets(ok()), listener=EXPECT),
    http("in and out: UNKNOWN is our peer's", V1, send(b"PROXY UNKNOWN\r\n" + req()),
         told(v1, fwd()), answer(ok()), gets(ok()), listener=EXPECT),
    http("in and out: it counts for all requests of the connection", V2,
         send(v1() + req(b"/1")), tells(v2(), asked_by(CLIENT, fwd(b"/1")), b="1"),
         answer(ok(), b="1"), gets(ok()), send(req(b"/2")),
         tells(v2(), asked_by(CLIENT, fwd(b"/2")), b="2"), answer(ok(), b="2"), gets(ok()),
         listener=EXPECT),
]

MODE_TCP = [
    tcp("v1 before what the client says", V1, send(b"hello"), told(v1, b"hello"), answer(b"you"),
        gets(b"you")),
    tcp("v2 before what the client says", V2, send(b"hello"), told(v2, b"hello"), answer(b"you"),
        gets(b"you")),
    tcp("v1 although the client says nothing", V1, send(b""), told(v1), answer(b"220 ready\r\n"),
        gets(b"220 ready\r\n"), send(b"QUIT\r\n"), sees(b"QUIT\r\n")),
    tcp("v2 although the client says nothing", SUM, send(b""), told(v2_sum),
        answer(b"220 ready\r\n"), gets(b"220 ready\r\n")),
    tcp("the client's end comes behind it", V1, send(b"bye"), shut(), told(v1, b"bye"),
        released(reset=False), answer(b"so long"), hangup(), gets(b"so long"), closed()),
    tcp("an end alone comes behind it", V1, send(b""), shut(), told(v1), released(reset=False)),
    tcp("the target's end", V2, send(b"a"), told(v2, b"a"), half_close(), closed(), send(b"b"),
        sees(b"b")),
    tcp("a target that refuses is passed over", V2, send(b"x"), told(v2, b"x", t=1),
        targets=2, dead=(0,)),
    tcp("1 MiB behind it", V2, send(b"z" * (1 << 20)), told(v2, b"z" * (1 << 20))),
    tcp("in and out", V2, send(v1() + b"x"), tells(v2(), b"x"), listener=EXPECT),
    tcp("in and out: TLVs pass", PASS, send(v2(tlvs=TLVS) + b"x"), tells(v2(tlvs=TLVS), b"x"),
        listener=EXPECT),
    tcp("in and out: the target speaks first", V1, send(v2(CLIENT6, SERVER6)),
        tells(v1(CLIENT6, SERVER6)), answer(b"220\r\n"), gets(b"220\r\n"), listener=EXPECT),
    tcp("in and out: LOCAL is our peer's", V2,
        send(block(addresses(), command=LOCAL, family=INET, transport=STREAM) + b"x"),
        told(v2, b"x"), listener=EXPECT),
]


def serves_checks(header, respond):
    """Health checks begin with exactly this header. They are served until the target is up."""
    def serve(run):
        deadline = time.monotonic() + STEP_TIMEOUT
        while run.yoke.target(run.name(), 0)["state"] != "up":
            if time.monotonic() > deadline:
                raise Failed("the target is not up")
            if not select.select([run.targets[0].sock], [], [], 0.05)[0]:
                continue
            end = End(run.targets[0].accept("no health check"), "health check")
            end.require(header(end))
            respond(end)
            end.close()
    return do(serve)


def says_no_more(end):
    if not end.said_nothing():
        raise Failed(f"{end.what} says more: {end.ahead!r}")


def answers(end):
    if not end.take_head().startswith(b"GET / HTTP/1.1\r\n"):
        raise Failed(f"{end.what} asks something else")
    end.send(ok())


def health(name, pool, header, kind, respond):
    # Until the case begins nobody is there: connections must not pile up.
    return Case("health: " + name, listen(0), serves_checks(header, respond), dead=(0,),
                pool={**pool, "health": {kind: {}, "interval": "200ms", "rise": 1}})


def own_addresses(end):
    (source, sport), (destination, dport) = end.sock.getpeername(), end.sock.getsockname()
    return v1(source, destination, sport, dport)


def local(end):
    return block(command=LOCAL)


HEALTH = [
    health("tcp, v1", V1, own_addresses, "tcp", says_no_more),
    health("tcp, v2", PASS_SUM, local, "tcp", says_no_more),
    health("http, v1", V1, own_addresses, "http", answers),
    health("http, v2", V2, local, "http", answers),
]

CASES = [*HTTP, *THROUGH, *MODE_TCP, *HEALTH]
