"""What routes ask of a request besides host and path. Each request is a pair of its bytes and the
target that must get them (they reach it as they came), None for nobody."""
from harness import Case, answer, closed, counted, gets, gets_error, sees, send, untouched
from messages import fwd, ok, req


def case(name, conditions, *expected, **kw):
    """One route a condition, each to a target of its own."""
    routes = [{**condition, "pool": f"t{i}"} for i, condition in enumerate(conditions)]
    steps = []
    for parts, t in expected:
        steps.append(send(req(**parts)))
        if t is None:
            steps.append(gets_error(404, closed=False, body=parts.get("method") != b"HEAD"))
        else:
            steps += [sees(fwd(**parts), b=f"b{t}", t=t), answer(ok(b"%d" % t), b=f"b{t}")]
            steps.append(gets(ok(b"%d" % t)) if parts.get("method") != b"HEAD" else
                         gets(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"))
    return Case(name, *steps, targets=len(conditions), routes=routes, default=None, **kw)


def m(method, t):
    return {"method": method}, t


def h(fields, t):
    return {"fields": fields}, t


def q(query, t):
    return {"path": b"/?" + query}, t


def k(cookies, t):
    return {"fields": b"".join(b"Cookie: %s\r\n" % cookie for cookie in cookies)}, t


def source(name, networks, *expected):
    """Address of the client -> whether it is let in."""
    steps = []
    for i, (address, is_in) in enumerate(expected):
        c = f"c{i}"
        steps.append(send(req(), c=c, source=address))
        if not is_in:
            steps.append(gets_error(404, c=c, closed=False))
            continue
        seen = fwd().replace(b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-For: " + address.encode())
        steps += [sees(seen, b="b"), answer(ok(), b="b"), gets(ok(), c=c)]
    return Case(name, *steps, routes=[{"source": networks, "pool": "t0"}], default=None)


def source6(name, networks, *expected):
    """The same for clients of IPv6, who come through a proxy that names them."""
    steps = []
    for i, (address, is_in) in enumerate(expected):
        c = f"c{i}"
        line = b"PROXY TCP6 %s 2001:db8::80 1024 80\r\n" % address.encode()
        steps.append(send(line + req(), c=c))
        if not is_in:
            steps.append(gets_error(404, c=c, closed=False))
            continue
        seen = fwd().replace(b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-For: " + address.encode())
        steps += [sees(seen, b="b"), answer(ok(), b="b"), gets(ok(), c=c)]
    return Case(name, *steps, routes=[{"source": networks, "pool": "t0"}], default=None,
                listener={"proxy_protocol": True})


MANY = b"&".join(b"a=%d" % i for i in range(65))

CASES = [
    case("method: one, and a list", [{"method": "POST"}, {"method": ["GET", "M-SEARCH"]}],
         m(b"GET", 1), m(b"M-SEARCH", 1)),
    case("method: no match", [{"method": "GET"}], m(b"HEAD", None), m(b"get", None),
         m(b"GETS", None), m(b"OPTIONS", None)),
    case("method: HEAD is a method of its own", [{"method": "HEAD"}], m(b"HEAD", 0),
         m(b"GET", None)),
    Case("method: a malformed one is refused before", send(b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
         gets_error(400), untouched(), routes=[{"method": "GET", "pool": "t0"}]),

    case("header: a value", [{"header": {"X-Canary": "yes"}}], h(b"X-Canary: yes\r\n", 0),
         h(b"x-canary:yes\r\n", 0), h(b"X-CANARY:  yes \r\n", 0)),
    case("header: no match", [{"header": {"X-Canary": "yes"}}], h(b"", None),
         h(b"X-Canary: no\r\n", None), h(b"X-Canary: YES\r\n", None), h(b"X-Canary:\r\n", None),
         h(b"X-Canary2: yes\r\n", None), h(b"Canary: yes\r\n", None),
         h(b"X-Canary: yes, no\r\n", None)),
    case("header: any of several fields of the name", [{"header": {"X": "b"}}],
         h(b"X: a\r\nX: b\r\n", 0), h(b"X: a\r\nX: c\r\n", None)),
    case("header: any of several values", [{"header": {"X": ["a", "b*", "~^c+$"]}}],
         h(b"X: a\r\n", 0), h(b"X: bcd\r\n", 0), h(b"X: ccc\r\n", 0), h(b"X: d\r\n", None)),
    case("header: it is there", [{"header": {"X": "*"}}], h(b"X:\r\n", 0), h(b"X: a\r\n", 0),
         h(b"Y: a\r\n", None)),
    case("header: all of several names", [{"header": {"X": "a", "Y": "b"}}],
         h(b"X: a\r\nY: b\r\n", 0), h(b"X: a\r\n", None), h(b"Y: b\r\n", None)),
    case("header: fields that are known to us, too", [{"header": {"User-Agent": "*curl*"}},
                                                      {"header": {"Cookie": "*"}}],
         h(b"User-Agent: x curl/7\r\n", 0), h(b"Cookie: a=b\r\n", 1)),
    case("header: what begins, ends, holds, is found", [{"header": {"X": "ab*"}}, {"header": {"X": "*yz"}},
                                                        {"header": {"X": "*mn*"}},
                                                        {"header": {"X": "~(?i)^q[0-9]$"}}],
         h(b"X: ab\r\n", 0), h(b"X: xyz\r\n", 1), h(b"X: lmno\r\n", 2), h(b"X: Q7\r\n", 3),
         h(b"X: Ab\r\n", None), h(b"X: yza\r\n", None), h(b"X: mxn\r\n", None), h(b"X: Q77\r\n", None)),
    Case("header: an expression that takes too long",
         counted("yoke_refused_complex_total", None), send(req(fields=b"X: " + b"a" * 60 + b"b\r\n")),
         gets_error(500, closed=False), counted("yoke_refused_complex_total"), untouched(),
         routes=[{"header": {"X": "~^(a+)+$"}, "pool": "t0"}]),
    Case("header: what stays on this hop is seen", send(req(fields=b"Proxy-Connection: x\r\n")),
         sees(fwd()), answer(ok()), gets(ok()), default=None,
         routes=[{"header": {"Proxy-Connection": "x"}, "pool": "t0"}]),
    Case("header: a malformed one is refused before", send(req(fields=b"X : a\r\n")),
         gets_error(400), untouched(), routes=[{"header": {"X": "a"}, "pool": "t0"}]),
    case("header: a hundred fields", [{"header": {"X-97": "97"}}],
         h(b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(98)), 0)),

    case("query: a value", [{"query": {"v": "2"}}], q(b"v=2", 0), q(b"a=b&v=2&c", 0),
         q(b"v=1&v=2", 0)),
    case("query: no match", [{"query": {"v": "2"}}], q(b"", None), q(b"v", None), q(b"v=", None),
         q(b"v=22", None), q(b"V=2", None), q(b"vv=2", None), q(b"a=v=2", None), q(b"%26v=2", None),
         ({"path": b"/v=2"}, None)),
    case("query: it is there", [{"query": {"debug": "*"}}], q(b"debug", 0), q(b"debug=", 0),
         q(b"a&debug=1", 0), q(b"a=debug", None)),
    case("query: names and values are decoded", [{"query": {"filter[a]": "x y&z"}}],
         q(b"filter%5Ba%5d=x+y%26z", 0), q(b"filter[a]=x%20y%26z", 0), q(b"filter[a]=x+y&z", None)),
    case("query: what is no code stays as it is", [{"query": {"a": "100%"}}, {"query": {"a": "%zz"}}],
         q(b"a=100%", 0), q(b"a=100%25", 0), q(b"a=%zz", 1), q(b"a=%", None)),
    case("query: only the first = divides", [{"query": {"a": "b=c"}}], q(b"a=b=c", 0)),
    case("query: the second ? is a character", [{"query": {"a": "b?"}}], q(b"a=b?", 0)),
    case("query: what begins, ends, holds", [{"query": {"v": "ab*"}}, {"query": {"v": "*yz"}},
                                             {"query": {"v": "*mn*"}}],
         q(b"v=abc", 0), q(b"v=x%79z", 1), q(b"v=lm%6Eo", 2), q(b"v=xab", None), q(b"v=yz%20", None)),
    case("query: letters beyond ASCII are compared decoded", [{"query": {"\u00e4": "\u00f6 \u00fc"}}],
         q(b"%C3%A4=%C3%B6+%c3%bc", 0), q(b"%E4=%F6+%FC", None), q(b"%C3%A4=%C3%B6", None)),
    case("query: a code of no character is compared as that byte", [{"query": {"a": "b"}}],
         q(b"a=b%00", None), q(b"a%00=b", None), q(b"a=%62", 0), q(b"%61=b", 0), q(b"a=b%0d%0a", None)),
    Case("query: a malformed request line is refused before", send(b"GET /?a=b c HTTP/1.1\r\nHost: a\r\n\r\n"),
         gets_error(400), untouched(), routes=[{"query": {"a": "b c"}, "pool": "t0"}]),
    case("query: empty parts", [{"query": {"a": "b"}}], q(b"&&a=b&", 0), q(b"&&", None)),
    case("query: a pattern", [{"query": {"id": "~^[0-9]+$"}}], q(b"id=17", 0), q(b"id=x", None)),
    Case("query: too many values of a name",
         counted("yoke_refused_complex_total", None), send(req(b"/?" + MANY)),
         gets_error(400, closed=False), counted("yoke_refused_complex_total"), untouched(),
         send(req(b"/?" + MANY[4:])), sees(fwd(b"/?" + MANY[4:])), answer(ok()), gets(ok()),
         routes=[{"query": {"a": "x"}, "pool": "t0"}]),

    case("cookie: a value", [{"cookie": {"beta": "1"}}], k([b"beta=1"], 0),
         k([b"a=b; beta=1; c=d"], 0), k([b"a=b", b"beta=1"], 0), k([b"a=b;beta=1"], 0),
         k([b"beta=0; beta=1"], 0)),
    case("cookie: no match", [{"cookie": {"beta": "1"}}], k([], None), k([b"beta=0"], None),
         k([b"Beta=1"], None), k([b"xbeta=1"], None), k([b"beta"], None), k([b"a=beta=1"], None),
         k([b"beta=1x"], None), h(b"X-Cookie: beta=1\r\n", None)),
    case("cookie: it is there", [{"cookie": {"session": "*"}}], k([b"session="], 0),
         k([b"session=x"], 0), k([b"sessions=x"], None)),
    case("cookie: odd ones", [{"cookie": {"a": "b=c"}}], k([b"a=b=c"], 0), k([b";; a=b=c ;"], 0),
         k([b"="], None), k([b""], None), k([b"; a = b=c"], None)),
    case("cookie: what begins, ends, holds", [{"cookie": {"c": "ab*"}}, {"cookie": {"c": "*yz"}},
                                              {"cookie": {"c": "*mn*"}}],
         k([b"c=abc"], 0), k([b"c=xyz"], 1), k([b"c=lmno"], 2), k([b"c=xab"], None), k([b"d=abc"], None)),
    Case("cookie: a malformed field is refused before", send(req(fields=b"Cookie: beta=1\x00\r\n")),
         gets_error(400), untouched(), routes=[{"cookie": {"beta": "1"}, "pool": "t0"}]),
    Case("cookie: too many of a name", send(req(fields=b"Cookie: " + b"; ".join([b"beta=0"] * 65) + b"\r\n")),
         gets_error(400, closed=False), untouched(), routes=[{"cookie": {"beta": "1"}, "pool": "t0"}]),
    case("cookie: a pattern", [{"cookie": {"group": ["x*", "~^[yz]"]}}], k([b"group=x1"], 0),
         k([b"group=z"], 0), k([b"group=a"], None)),

    source("source: a network", "127.0.0.0/28", ("127.0.0.1", True), ("127.0.0.15", True),
           ("127.0.0.16", False), ("127.0.1.1", False)),
    source("source: an address", "127.0.0.5", ("127.0.0.5", True), ("127.0.0.4", False),
           ("127.0.0.6", False)),
    source("source: a list, in each other and beside", ["127.0.0.8/30", "127.0.0.0/27",
                                                        "127.0.0.32/32", "2001:db8::/32"],
           ("127.0.0.9", True), ("127.0.0.31", True), ("127.0.0.32", True), ("127.0.0.33", False)),
    source("source: everybody", ["0.0.0.0/0"], ("127.0.0.1", True)),
    source("source: everybody of the other family", ["::/0"], ("127.0.0.1", False)),
    source("source: nobody of ours", ["2001:db8::/32", "192.0.2.0/24"], ("127.0.0.1", False)),
    source6("source: a network of IPv6", "2001:db8::/32", ("2001:db8::1", True),
            ("2001:db8:ffff::", True), ("2001:db9::", False), ("::1", False)),
    source6("source: an odd number of bits", "2001:db8:8000::/33", ("2001:db8:8000::1", True),
            ("2001:db8:ffff::1", True), ("2001:db8:7fff::1", False)),
    source6("source: an address of IPv6", "2001:db8::5", ("2001:db8::5", True), ("2001:db8::4", False)),
    source6("source: both families in a list", ["192.0.2.0/24", "2001:db8:1::/48", "fd00::/8"],
            ("2001:db8:1::9", True), ("fdff::1", True), ("2001:db8:2::9", False), ("fc00::1", False)),
    source6("source: everybody of IPv6", ["::/0"], ("2001:db8::1", True)),
    Case("source: an IPv4 address in IPv6 is that of IPv4",
         send(b"PROXY TCP6 ::ffff:192.0.2.7 2001:db8::80 1024 80\r\n" + req()),
         gets_error(404, closed=False), untouched(), routes=[{"source": "2001:db8::/32", "pool": "t0"}],
         default=None, listener={"proxy_protocol": True}),
    Case("source: a malformed address is nobody's", send(b"PROXY TCP6 2001:db8::zz 2001:db8::80 1 80\r\n" + req()),
         closed(reset=None), untouched(), routes=[{"source": "::/0", "pool": "t0"}],
         listener={"proxy_protocol": True}),
    Case("source: a field that says where a request came from is not believed",
         send(req(fields=b"X-Forwarded-For: 192.0.2.1\r\n")), gets_error(404, closed=False),
         untouched(), routes=[{"source": "192.0.2.0/24", "pool": "t0"}], default=None),

    case("all conditions of a route must hold",
         [{"method": "GET", "header": {"X": "a"}, "query": {"b": "c"}, "cookie": {"d": "e"},
           "source": "127.0.0.0/8", "path": "/*", "host": "a"}],
         ({"path": b"/?b=c", "fields": b"X: a\r\nCookie: d=e\r\n"}, 0),
         ({"path": b"/?b=c", "fields": b"X: a\r\nCookie: d=e\r\n", "method": b"PUT"}, None),
         ({"path": b"/?b=c", "fields": b"X: b\r\nCookie: d=e\r\n"}, None),
         ({"path": b"/?b=d", "fields": b"X: a\r\nCookie: d=e\r\n"}, None),
         ({"path": b"/?b=c", "fields": b"X: a\r\nCookie: d=f\r\n"}, None),
         ({"path": b"/?b=c", "fields": b"X: a\r\nCookie: d=e\r\n", "host": b"b"}, None)),
    case("the first that holds, by different conditions",
         [{"header": {"X": "a"}}, {"query": {"x": "a"}}, {"cookie": {"x": "a"}}, {}],
         ({"path": b"/?x=a", "fields": b"X: a\r\nCookie: x=a\r\n"}, 0),
         ({"path": b"/?x=a", "fields": b"Cookie: x=a\r\n"}, 1),
         ({"fields": b"Cookie: x=a\r\n"}, 2), ({}, 3)),
    case("values of one request are forgotten by the next", [{"header": {"X": "a"}}],
         h(b"X: a\r\n", 0), h(b"", None), h(b"X: a\r\n", 0)),
]
