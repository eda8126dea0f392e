"""What routes ask of a request besides host and path. Each request is a pair of its bytes and the
target that must get them (they reach it as they came), None for nobody."""
from harness import Case, answer, counted, gets, gets_error, sees, send, untouched
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
