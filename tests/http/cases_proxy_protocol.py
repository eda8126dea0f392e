"""The PROXY protocol: listeners that expect a header."""
import time

from harness import (Case, Failed, answer, closed, do, drip, gets, leave, pause, released, sees,
                     send, shut, untouched)
from messages import fwd, fwd_post, ok, post, req
from proxy_headers import (ALPN, AUTHORITY, CLIENT, CLIENT6, DGRAM, INET, LOCAL, NOOP, SSL, STREAM,
                           UNIQUE_ID, UNIX, UNSPEC, addresses, asked_by, block, tlv, v1, v2)

EXPECT = {"proxy_protocol": True}
TCP = {"mode": "tcp"}
SSL_VALUE = b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3")


def from_client(client, path=b"/"):
    return asked_by(client, fwd(path))


def http(name, *steps, listener=None, **kw):
    return Case("http: " + name, *steps, listener={**EXPECT, **(listener or {})}, **kw)


def tcp(name, *steps, listener=None, **kw):
    return Case("tcp: " + name, *steps, listener={**EXPECT, **TCP, **(listener or {})}, **kw)


def accepted(name, header, client="127.0.0.1", deliver=send):
    """A header, and a request behind it that comes with it."""
    return http(name, deliver(header + req()), sees(from_client(client)), answer(ok()), gets(ok()))


def refused(name, header, counter):
    """Closed by RST, counted, and no target hears of it."""
    def counts(run):
        run.saved[counter] = run.yoke.metric(counter)

    def counted(run):
        now = run.yoke.metric(counter)
        if now != run.saved[counter] + 1:
            raise Failed(f"{counter} was {run.saved[counter]}, and is {now}")
    return Case("refused: " + name, do(counts), send(header), closed(reset=True), do(counted),
                untouched(), listener=EXPECT)


MISSING = "yoke_proxy_headers_missing_total"
MALFORMED = "yoke_proxy_headers_malformed_total"
CHECKSUM = "yoke_proxy_headers_checksum_total"
LATE = "yoke_prefaces_late_total"
CUT = "yoke_prefaces_cut_total"

IN_HTTP = [
    accepted("v1 over IPv4", v1(), CLIENT),
    accepted("v1 over IPv6", v1(CLIENT6, "2001:db8::1"), CLIENT6),
    accepted("v1 UNKNOWN", b"PROXY UNKNOWN\r\n"),
    accepted("v1 UNKNOWN with addresses", b"PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2\r\n"),
    accepted("v2 over IPv4", v2(), CLIENT),
    accepted("v2 over IPv6", v2(CLIENT6, "2001:db8::1"), CLIENT6),
    accepted("v2 LOCAL", block(command=LOCAL)),
    accepted("v2 LOCAL with addresses",
             block(addresses(), command=LOCAL, family=INET, transport=STREAM)),
    accepted("v2 UNSPEC", block(b"some bytes", family=UNSPEC)),
    accepted("v2 of a UNIX socket", block(b"/" * 216, family=UNIX, transport=STREAM)),
    accepted("v2 of datagrams", v2(transport=DGRAM)),
    accepted("v2 with TLVs",
             v2(tlvs=tlv(NOOP, b"\0\0") + tlv(ALPN, b"http/1.1") + tlv(AUTHORITY, b"a.example")
                + tlv(UNIQUE_ID, b"u" * 128) + tlv(SSL, SSL_VALUE) + tlv(0xe5, b"ours")), CLIENT),
    accepted("v2 with a checksum", v2(checksum=True), CLIENT),
    accepted("v2 with TLVs and a checksum", v2(tlvs=tlv(NOOP, b"x" * 99), checksum=True), CLIENT),
    accepted("v2 of 4096 bytes", v2(tlvs=tlv(NOOP, b"x" * (4096 - 28 - 3))), CLIENT),
    accepted("v1 byte by byte", v1(), CLIENT, deliver=drip),
    accepted("v2 byte by byte", v2(tlvs=tlv(SSL, SSL_VALUE), checksum=True), CLIENT, deliver=drip),
    http("the header alone, then the request",
         send(v2()), pause(0.05), untouched(), send(req()), sees(from_client(CLIENT)),
         answer(ok()), gets(ok())),
    http("it counts for all requests of the connection",
         send(v1() + req(b"/1") + req(b"/2")), sees(from_client(CLIENT, b"/1")), answer(ok()),
         gets(ok()), sees(from_client(CLIENT, b"/2")), answer(ok()), gets(ok()), send(req(b"/3")),
         sees(from_client(CLIENT, b"/3")), answer(ok()), gets(ok())),
    http("a second header is no request",
         send(v1() + v1()), do(lambda run: run.do_gets_error(400, "c", True, True)), untouched()),
    http("a long body behind it",
         send(v2() + post(b"b" * 200000)), sees(asked_by(CLIENT, fwd_post(b"b" * 200000))),
         answer(ok()), gets(ok())),
    http("sticky is who the header names",
         *[step for i in range(6) for step in (
             send(v2(f"192.0.2.{i % 2}") + req(), c=f"c{i}"),
             sees(from_client(f"192.0.2.{i % 2}"), b=f"b{i % 2}", t=i % 2),
             answer(ok(), b=f"b{i % 2}"), gets(ok(), c=f"c{i}"))],
         targets=2, pool={"sticky": {"source": {}, "ttl": "1h"}}),
]

IN_TCP = [
    tcp("bytes behind the header are not lost",
        send(v1() + b"hello"), sees(b"hello"), answer(b"you"), gets(b"you")),
    tcp("the target speaks first",
        send(v2()), sees(b""), answer(b"220 ready\r\n"), gets(b"220 ready\r\n"), send(b"QUIT\r\n"),
        sees(b"QUIT\r\n")),
    tcp("no target hears of it before the header is there",
        send(v2()[:-1]), pause(0.05), untouched(), send(v2()[-1:]), sees(b""), answer(b"hi"),
        gets(b"hi")),
    tcp("byte by byte", drip(v2(CLIENT6, "::1", checksum=True) + b"hello"), sees(b"hello")),
    tcp("header, bytes and end in one", send(v1() + b"hello"), shut(), sees(b"hello"),
        released(reset=False), answer(b"bye"), gets(b"bye")),
    tcp("1 MiB behind it", send(v2() + b"z" * (1 << 20)), sees(b"z" * (1 << 20))),
    tcp("LOCAL", send(block(command=LOCAL) + b"x"), sees(b"x")),
    tcp("sticky is who the header names",
        *[step for i in range(4) for step in (
            send(v1(f"192.0.2.{i % 2}") + b"%d" % i, c=f"c{i}"),
            sees(b"%d" % i, b=f"b{i}", t=i % 2))],
        targets=2, pool={"sticky": {"source": {}, "ttl": "1h"}}),
    tcp("refused here, too", send(b"EHLO a\r\n"), closed(reset=True), untouched()),
]

REFUSED = [
    refused("a request without header", req(), MISSING),
    refused("a PROPFIND without header", req(method=b"PROPFIND"), MISSING),
    refused("TLS", b"\x16\x03\x01\0\x05\x01", MISSING),
    refused("half of another signature", b"\r\n\r\n\0\r\nQUIET\n", MISSING),
    refused("v1 in small letters", b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", MISSING),
    refused("v1 UDP4", b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", MALFORMED),
    refused("v1 with a leading zero", b"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", MALFORMED),
    refused("v1 with port 65536", b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", MALFORMED),
    refused("v1 with an address of the other family", b"PROXY TCP4 ::1 ::1 1 2\r\n", MALFORMED),
    refused("v1 with two blanks", b"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", MALFORMED),
    refused("v1 with LF", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nGET", MALFORMED),
    refused("v1 without end", b"PROXY UNKNOWN " + b"x" * 93, MALFORMED),
    refused("v2 version 1", block(version=1), MALFORMED),
    refused("v2 version 3", block(version=3), MALFORMED),
    refused("v2 command 2", block(command=2), MALFORMED),
    refused("v2 family 4", block(addresses(), family=4, transport=STREAM), MALFORMED),
    refused("v2 transport 3", block(addresses(), family=INET, transport=3), MALFORMED),
    refused("v2 too short", v2(length=11), MALFORMED),
    refused("v2 too long", v2(length=4081), MALFORMED),
    refused("v2 far too long", v2(length=65535), MALFORMED),
    refused("v2 with half a TLV", v2(tlvs=b"\x04\0"), MALFORMED),
    refused("v2 with a TLV over the end", v2(tlvs=b"\x04\0\x03xx"), MALFORMED),
    refused("v2 with an id of 129 bytes", v2(tlvs=tlv(UNIQUE_ID, b"u" * 129)), MALFORMED),
    refused("v2 with a broken SSL TLV", v2(tlvs=tlv(SSL, SSL_VALUE[:-1])), MALFORMED),
    refused("v2 with a wrong checksum", v2(checksum=1), CHECKSUM),
]


def counted(name, at_least):
    def check(run):
        if run.yoke.metric(name) < at_least:
            raise Failed(f"{name} is {run.yoke.metric(name)}")
    return do(check)


TIME = [
    http("half a header and silence", send(v2()[:20]), closed(reset=True), counted(LATE, 1),
         untouched(), listener={"header_timeout": "200ms"}),
    http("silence", send(b""), closed(reset=True), untouched(),
         listener={"header_timeout": "200ms"}),
    http("bytes do not buy time",
         do(lambda run: drip_slowly(run, v1())), closed(reset=None), untouched(),
         listener={"header_timeout": "300ms"}),
    http("a header that ends", send(v1()[:-1]), shut(), closed(reset=True), counted(CUT, 1),
         untouched()),
    http("one that says nothing and goes is let go", send(b""), shut(), closed(reset=False),
         untouched()),
    http("it counts for max_connections",
         send(v2()[:5], c="1"), do(lambda run: run.do_turned_away("2")), leave("1"),
         listener={"max_connections": 1}),
]


def answers_itself(run):
    """Our own request, which has no header, is answered on this listener."""
    name = 'yoke_listener_answered_timestamp_seconds{listener="%s",address="%s:%d"}' % (
        run.name(), run.address, run.port)
    before = run.yoke.metric(name)
    deadline = time.monotonic() + 5
    while run.yoke.metric(name) <= before:
        if time.monotonic() > deadline:
            raise Failed(f"no answer since {before}")
        time.sleep(0.05)


def drip_slowly(run, data):
    """A byte each 20 ms, until the other side has had enough, which is before the end."""
    try:
        for i in range(len(data) - 1):
            run.client("c").send(data[i:i + 1])
            run.do_pause(0.02)
    except Failed:
        return
    raise Failed("all bytes were taken, one by one")


def sourced(name, source, networks, first, client):
    """Connections from `source`, of which those from `networks` have to have a header."""
    return Case("from: " + name, send(first + req(), source=source), sees(from_client(client)),
                answer(ok()), gets(ok()), listener={**EXPECT, "proxy_protocol_from": networks})


FROM = [
    sourced("a proxy", "127.0.0.1", ["127.0.0.1"], v2(), CLIENT),
    sourced("a proxy of a network", "127.0.3.9", ["10.0.0.0/8", "127.0.2.0/23"], v1(), CLIENT),
    sourced("somebody else", "127.0.4.1", ["127.0.2.0/23"], b"", "127.0.4.1"),
    sourced("the other family", "127.0.0.1", ["::/0"], b"", "127.0.0.1"),
    sourced("everybody", "127.0.0.1", ["0.0.0.0/0"], v1(), CLIENT),
    Case("from: a proxy has to", send(req(), source="127.0.2.1"), closed(reset=True), untouched(),
         listener={**EXPECT, "proxy_protocol_from": ["127.0.2.0/23"]}),
    Case("from: somebody else must not", send(v1() + req(), source="127.0.4.1"),
         do(lambda run: run.do_gets_error(400, "c", True, True)), untouched(),
         listener={**EXPECT, "proxy_protocol_from": ["127.0.2.0/23"]}),
]

OWN = [
    http("the process asks itself without header", do(answers_itself), untouched()),
    tcp("the process asks itself without header", do(answers_itself), untouched()),
]

CASES = [*IN_HTTP, *IN_TCP, *REFUSED, *TIME, *FROM, *OWN]
