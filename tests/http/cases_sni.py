"""Mode tcp with routes: the TLS ClientHello says which pool."""
from harness import (Case, answer, closed, consumed, counted, do, drip, gets, leave, reroute, routed,
                     sees, send, shut, untouched)
from hellos import alpn, hello, padding, records, sni, vector
from tls_peers import asks, curl, python, s_client

NAMES = [{"name": "a", "sni": "a.example", "pool": "t1"},
         {"name": "b", "sni": ["*.example", "b.test"], "pool": "t2"}]
PROTOCOLS = [{"sni": "a.example", "alpn": "h2", "pool": "t1"},
             {"alpn": ["acme-tls/1", "imap"], "pool": "t2"}]
NOTHING = ({"sni": "nobody.example", "pool": "t0"},)


def case(name, *steps, routes=NAMES, targets=3, listener=None, **kw):
    return Case(name, *steps, routes=list(routes), targets=targets,
                listener={"mode": "tcp", **(listener or {})}, **kw)


def goes(t, data, c="c"):
    """Target `t` gets these bytes first, and the connection is a connection from then on."""
    b = f"b{t}{c}"
    return (send(data, c=c), sees(data, b=b, t=t), answer(b"\x16server", b=b),
            gets(b"\x16server", c=c), send(b"more", c=c), sees(b"more", b=b))


def sent_to(name, routes, *expected, **kw):
    """Hello -> target, each on a connection of its own."""
    steps = [step for n, (data, t) in enumerate(expected) for step in goes(t, data, c=f"c{n}")]
    return case(name, *steps, routes=routes, **kw)


def refused(name, data, counter, default="t0", routes=NOTHING, **kw):
    return case(name, counted(counter, None), send(data), closed(reset=None), counted(counter),
                untouched(), default=default, routes=routes, targets=1, **kw)


def bad(name, data):
    """Refused although there is a default."""
    return refused(f"refused: {name}", data, "yoke_hellos_refused_total")


def dripped(data, header=b""):
    """The beginning is what a reader could get wrong; each byte takes the kernel 40 ms."""
    return (send(header), drip(data[:20]), send(data[20:]), sees(data, t=1), answer(b"x"), gets(b"x"))


def in_two_pieces(run):
    """At every byte, each time on a connection of its own."""
    data = hello(b"a.example", b"h2")
    for n in range(1, len(data)):
        client, name = run.client(f"c{n}"), f"b{n}"
        client.send(data[:n])
        consumed(client.sock)
        client.send(data[n:])
        run.backend(name, 1).require(data)
        client.close()
        run.backend(name, 1).require_end(None)
        del run.clients[f"c{n}"], run.backends[name]


def body(*, version=b"\x03\x03", session=bytes(32), ciphers=b"\x13\x01", extensions=None):
    out = version + bytes(32) + vector(1, session) + vector(2, ciphers) + vector(1, b"\0")
    return out + (b"" if extensions is None else vector(2, extensions))


def message(data):
    return records(b"\x01" + vector(3, data))


CASES = [
    sent_to("names: exact and wildcard", NAMES, (hello(b"a.example"), 1), (hello(b"x.example"), 2),
            (hello(b"y.x.example"), 2), (hello(b"b.test"), 2)),
    sent_to("names: what no route takes goes to the default", NAMES, (hello(b"example"), 0),
            (hello(b"c.test"), 0), (hello(b"xa.test"), 0), (hello(b"a.example.org"), 0)),
    sent_to("names: capital letters and a dot at the end do not matter", NAMES,
            (hello(b"A.Example"), 1), (hello(b"a.example."), 1), (hello(b"B.TEST"), 2)),
    sent_to("names: the first that fits, not the one that fits best",
            [{"sni": "*.example", "pool": "t1"}, {"sni": "a.example", "pool": "t2"}],
            (hello(b"a.example"), 1), (hello(b"b.example"), 1)),
    sent_to("names: none", NAMES, (hello(), 0), (hello(None, b"h2"), 0), (message(body()), 0)),
    sent_to("names: an IPv4 address is no name that a route has", NAMES, (hello(b"192.0.2.1"), 0)),
    sent_to("names: one that an outer hello says (ECH) counts", NAMES,
            (hello(b"a.example", extensions=b"\xfe\x0d" + vector(2, bytes(100))), 1)),
    case("names: connections are counted by route", *goes(1, hello(b"a.example"), c="1"),
         *goes(2, hello(b"b.test"), c="2"), *goes(2, hello(b"z.example"), c="3"),
         *goes(0, hello(b"z.test"), c="4"), routed("a", 1), routed("b", 2)),
    refused("names: no match and no default", hello(b"c.test"), "yoke_refused_no_route_total",
            default=None),
    refused("names: none sent and no default", hello(), "yoke_refused_no_route_total",
            default=None),
    sent_to("protocols: name and protocol must both fit", PROTOCOLS,
            (hello(b"a.example", b"http/1.1", b"h2"), 1), (hello(b"a.example", b"http/1.1"), 0),
            (hello(b"a.example"), 0), (hello(b"b.example", b"h2"), 0)),
    sent_to("protocols: without a name", PROTOCOLS, (hello(None, b"imap"), 2),
            (hello(b"a.example", b"acme-tls/1"), 2), (hello(b"x", b"IMAP"), 0)),
    sent_to("protocols: the next route of the same name",
            [{"sni": "a.example", "alpn": "h2", "pool": "t1"},
             {"sni": "a.example", "pool": "t2"}],
            (hello(b"a.example", b"h2"), 1), (hello(b"a.example", b"http/1.1"), 2)),
    case("source: a condition beside the name",
         send(hello(b"a.example"), source="127.0.0.9"), sees(hello(b"a.example"), t=1),
         send(hello(b"a.example"), c="2"), sees(hello(b"a.example"), b="b2", t=0), targets=2,
         routes=[{"source": "127.0.0.9", "sni": "a.example", "pool": "t1"}]),
    case("a route shares its connections out", *goes(1, hello(b"a.example"), c="1"),
         *goes(2, hello(b"a.example"), c="2"), *goes(1, hello(b"a.example"), c="3"),
         routes=[{"sni": "a.example", "pool": {"t1": 1, "t2": 1}}]),
    case("pieces: byte by byte", *dripped(hello(b"a.example", b"h2"))),
    case("pieces: in two, at every byte", do(in_two_pieces)),
    sent_to("pieces: in many records", NAMES,
            *((hello(b"a.example", b"h2", fragment=n), 1) for n in (1, 2, 3, 4, 5, 50, 99))),
    case("pieces: many records, byte by byte", *dripped(hello(b"a.example", fragment=7))),
    sent_to("pieces: what follows the hello at once goes along", NAMES,
            (hello(b"a.example") + b"\x17\x03\x03\x00\x05early" + bytes(5000), 1)),
    sent_to("pieces: the largest one",
            NAMES, (hello(b"a.example", extensions=padding(16384 - 86 - 18 - 4)), 1)),
    sent_to("no TLS: it goes to the default", NOTHING, (b"GET / HTTP/1.1\r\n\r\n", 0),
            (b"SSH-2.0-x\r\n", 0), (b"\n", 0), (b"\x16\x02\x00", 0), targets=1),
    sent_to("no TLS: it takes no route, also not one without a name",
            [{"alpn": "h2", "pool": "t1"}], (b"GET", 0), targets=2),
    refused("no TLS: no default", b"GET / HTTP/1.1\r\n\r\n", "yoke_refused_no_route_total",
            default=None),
    bad("larger than 16 KiB", hello(b"a.example", extensions=padding(16384))[:16384]),
    bad("a length of more than 16 KiB", b"\x16\x03\x01\x00\x04\x01\x01\x00\x00"),
    bad("the hello of SSLv2", b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(37)),
    bad("an empty record", b"\x16\x03\x01\x00\x00"),
    bad("a record that is too long", b"\x16\x03\x01\x40\x01"),
    bad("another message", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"),
    bad("an alert between the records",
        hello(b"a.example", fragment=50)[:55] + b"\x15\x03\x01\x00\x02\x02\x28"),
    bad("no cipher suites", message(body(ciphers=b""))),
    bad("a session id that is too long", message(body(session=bytes(33)))),
    bad("another version", message(body(version=b"\xfe\xfd"))),
    bad("something behind the extensions", message(body(extensions=b"") + b"\0")),
    bad("an extension that is cut short", message(body(extensions=b"\0\0\0\x05\0"))),
    bad("a name that is none", hello(b"a b.example")),
    bad("a name with NUL", hello(b"a.example\0.test")),
    bad("a wildcard as name", hello(b"*.example")),
    bad("an IPv6 address", hello(b"2001:db8::1")),
    bad("an empty name", message(body(extensions=sni(b"")))),
    bad("another type of name", message(body(extensions=sni(b"a.example", 1)))),
    bad("two names", message(body(extensions=sni(b"a.example") + sni(b"b.example")))),
    bad("an empty protocol", message(body(extensions=alpn(b"")))),
    refused("slow: it is closed after header_timeout", hello(b"a.example")[:-1],
            "yoke_prefaces_late_total", listener={"header_timeout": "150ms"}),
    case("slow: who says nothing, too", counted("yoke_prefaces_late_total", None), send(b""),
         closed(reset=None), counted("yoke_prefaces_late_total"), untouched(),
         listener={"header_timeout": "150ms"}),
    case("the client half-closes in the hello", counted("yoke_prefaces_cut_total", None),
         send(hello(b"a.example")[:20]), shut(), closed(reset=None),
         counted("yoke_prefaces_cut_total"), untouched()),
    case("the client half-closes behind the hello", send(hello(b"a.example")), shut(),
         sees(hello(b"a.example"), t=1), answer(b"x"), gets(b"x")),
    case("the client looks whether the port is open", send(b""), leave(), untouched(),
         *goes(1, hello(b"a.example"))),
    case("a route's pool has no target that answers: the default does not step in",
         send(hello(b"a.example")),
         closed(reset=None), untouched(0), dead=(1,)),
    case("a reload: new connections find the new routes, old ones stay",
         *goes(1, hello(b"a.example"), c="1"),
         reroute([{"name": "a", "sni": "a.example", "pool": "t2"}]),
         *goes(2, hello(b"a.example"), c="2"), *goes(0, hello(b"b.test"), c="3"),
         send(b"still", c="1"), sees(b"still", b="b11"), routed("a", 2)),
    case("a reload while hellos are on their way: they meet the new routes",
         send(hello(b"a.example")[:20]), reroute([{"sni": "a.example", "pool": "t2"}]),
         send(hello(b"a.example")[20:]), sees(hello(b"a.example"), t=2),
         send(hello(b"a.example")[:20], c="2"), reroute([]),
         send(hello(b"a.example")[20:], c="2"), sees(hello(b"a.example"), b="b2", t=0)),
    case("a PROXY header first",
         send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n" + hello(b"a.example")),
         sees(hello(b"a.example"), t=1), answer(b"x"), gets(b"x"),
         listener={"proxy_protocol": True}),
    case("a PROXY header first, byte by byte",
         *dripped(hello(b"a.example"), b"PROXY TCP4 192.0.2.1 192.0.2.2 1000 443\r\n"),
         listener={"proxy_protocol": True}),
    case("real clients: curl", do(asks("a.example", 1, curl)), do(asks("b.example", 2, curl))),
    case("real clients: openssl", do(asks("a.example", 1, s_client())),
         do(asks("a.example", 1, s_client("-tls1_2"))),
         do(asks("b.example", 2, s_client("-alpn", ",".join(["x" * 200] * 6 + ["http/1.1"]),
                                          "-max_send_frag", "512")))),
    case("real clients: Python", do(asks("a.example", 1, python))),
]
