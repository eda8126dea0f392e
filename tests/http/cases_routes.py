"""Which pool takes a request."""
import re

from harness import (Case, Failed, answer, counted, do, gets, gets_error, gets_head, hangup, reroute,
                     routed, sees, send, show, untouched)
from messages import fwd, ok, post, fwd_post, req

AB = [{"name": "a", "host": "a.example", "pool": "t1"},
      {"name": "b", "host": ["*.example", "b.test"], "pool": "t2"}]


def goes(t, path=b"/", host=b"a", c="c", b=None):
    """A request is served by target `t`."""
    b = b or f"b{t}"
    return (send(req(path, host=host), c=c), sees(fwd(path, host=host), b=b, t=t), answer(ok(), b=b),
            gets(ok(), c=c))


def misses(path=b"/", host=b"a", c="c"):
    return send(req(path, host=host), c=c), gets_error(404, c=c, closed=False)


def hosts(name, routes, *expected, **kw):
    """Host -> target, or None for nobody."""
    steps = [step for host, t in expected
             for step in (misses(host=host) if t is None else goes(t, host=host))]
    return Case(name, *steps, targets=3, routes=routes, default=None, **kw)


def paths(name, conditions, *expected, **kw):
    """Target of a request -> number of the condition, None for nobody."""
    routes = [{"path": path, "pool": f"t{i}"} for i, path in enumerate(conditions)]
    steps = [step for path, t in expected for step in (misses(path) if t is None else goes(t, path))]
    return Case(name, *steps, targets=len(conditions), routes=routes, default=None, **kw)


def bad_path(path, routes=({"path": "/*", "pool": "t0"},)):
    return Case(f"a path that can be read in two ways: {path.decode()}",
                counted("yoke_refused_path_total", None), send(req(path)),
                gets_error(400, closed=False), counted("yoke_refused_path_total"), untouched(),
                *goes(0, b"/honest"), routes=list(routes))


def with_cookie(host, b):
    """The cookie that came with the head called "first" goes back, to connection `b`."""
    def visit(run):
        match = re.search(rb"\r\nSet-Cookie: (S=[^;]+);", run.saved["first"])
        if not match:
            raise Failed(f"no cookie in {show(run.saved['first'])}")
        fields = b"Cookie: %s\r\n" % match[1]
        run.client("c").send(req(host=host, fields=fields))
        run.backend(b).require(fwd(host=host, fields=fields))
    return visit


CASES = [
    hosts("host: exact and wildcard", AB, (b"a.example", 1), (b"x.example", 2), (b"y.x.example", 2),
          (b"b.test", 2)),
    hosts("host: no match", AB, (b"example", None), (b"c.test", None), (b"xa.test", None),
          (b"a.example.org", None)),
    hosts("host: capital letters, the port and a dot at the end do not matter", AB,
          (b"A.Example", 1), (b"a.example:8080", 1), (b"a.example.", 1), (b"B.TEST.:80", 2)),
    hosts("host: an address", [{"host": ["192.0.2.1", "[2001:DB8::1]"], "pool": "t1"}],
          (b"192.0.2.1:80", 1), (b"[2001:db8::1]:80", 1), (b"[2001:db8::2]", None)),
    Case("host: the first that fits, not the one that fits best",
         *goes(1, host=b"a.example"), *goes(1, host=b"b.example"), targets=3, default=None,
         routes=[{"host": "*.example", "pool": "t1"}, {"host": "a.example", "pool": "t2"}]),
    Case("host: a malformed one is refused before routes are looked at",
         send(req(host=b"a_b:x")), gets_error(400), untouched(), routes=AB, default="t0", targets=3),
    Case("host: an absolute target decides",
         send(b"GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n"),
         sees(fwd(b"/x", host=b"a.example"), b="b1", t=1), answer(ok(), b="b1"), gets(ok()),
         routes=AB, targets=3),
    Case("host: a request without one goes to what has no condition on it",
         send(b"GET /x HTTP/1.0\r\n\r\n"), gets_error(404), untouched(0), untouched(1),
         routes=AB, default=None, targets=3),
    Case("what no route takes goes to the pool of the listener",
         *goes(0), *goes(1, host=b"a.example"), *goes(0), routes=AB, targets=3),
    Case("what no route takes and no pool is there for is answered with 404, and counted",
         counted("yoke_refused_no_route_total", None), *misses(), *misses(b"/x"),
         counted("yoke_refused_no_route_total", 2), *goes(1, host=b"a.example"),
         routes=AB, default=None, targets=3),
    Case("404: HEAD has no body",
         send(req(method=b"HEAD")), gets_error(404, closed=False, body=False),
         *goes(1, host=b"a.example"), routes=AB, default=None, targets=3),
    Case("404: a body that comes is not taken for a request",
         send(post(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")), gets_error(404), untouched(1),
         routes=AB, default=None, targets=3),
    Case("404: HTTP/1.0", send(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n"), gets_error(404),
         routes=AB, default=None, targets=3),
    paths("path: exact", ["/a", "/a/"], (b"/a", 0), (b"/a/", 1), (b"/a?b=c", 0), (b"/a?", 0)),
    paths("path: no match", ["/a", "/b/*"], (b"/", None), (b"/ab", None), (b"/A", None),
          (b"/b", None), (b"/x/b/", None), (b"/?/a", None)),
    paths("path: what begins so", ["/api/v2/*", "/api/*", "/*"], (b"/api/v2/x", 0), (b"/api/", 1),
          (b"/api/v1", 1), (b"/api", 2), (b"/", 2)),
    paths("path: stars elsewhere", ["/*.png", "/user/*/edit"], (b"/a/b.png", 0), (b"/.png", 0),
          (b"/user/7/edit", 1), (b"/user/a/b/edit", 1), (b"/user//edit", None), (b"/a.pngx", None)),
    paths("path: regular expressions", ["~^/v[0-9]+/", "~(?i)\\.jpe?g$"], (b"/v12/x", 0),
          (b"/x.JPG", 1), (b"/vx/", None), (b"/x.jpg/", None)),
    paths("path: a list", [["/a", "/b/*", "~^/c$"]], (b"/a", 0), (b"/b/x", 0), (b"/c", 0),
          (b"/d", None)),
    paths("path: percent-encoding does not matter", ["/admin/*", "/\u00e4 b"], (b"/%61dmin/x", 0),
          (b"/ad%6D%69n%2fx", 0), (b"/%C3%A4%20b", 1), (b"/%2561dmin/", None)),
    paths("path: slashes and dots do not matter", ["/admin/*"], (b"//admin//x", 0),
          (b"/x/../admin/", 0), (b"/./admin/.", 0), (b"/x/%2e%2e/admin/x", 0),
          (b"/admin/../x", None), (b"/admin/%2E%2e/", None)),
    Case("path: the target gets it as it came",
         *goes(1, b"//a/%62/../x%2Fy?q=%61"), targets=2,
         routes=[{"path": "/a/x/y", "pool": "t1"}]),
    *[bad_path(path) for path in (b"/..", b"/a/../../b", b"/%2e%2e/a", b"/a/..%2fb", b"/a%2F../b",
                                  b"/a\\..\\b", b"/a/..;/b", b"/a%2Fb/../c", b"/%00", b"/%0d%0a",
                                  b"/%", b"/%zz")],
    Case("path: without a condition on it none is refused",
         *goes(1, b"/../%00", host=b"a.example"), *goes(0, b"/.."), targets=3, routes=AB),
    Case("path: OPTIONS * has none",
         send(req(b"*", method=b"OPTIONS")), sees(fwd(b"*", method=b"OPTIONS"), b="b1", t=1),
         answer(ok(), b="b1"), gets(ok()), targets=2,
         routes=[{"path": "/*", "pool": "t0"}, {"pool": "t1"}], default=None),
    Case("path: a pattern that takes too long",
         counted("yoke_refused_complex_total", None), send(req(b"/" + b"a" * 60 + b"b")),
         gets_error(500, closed=False), counted("yoke_refused_complex_total"), untouched(),
         *goes(0, b"/aaa"), routes=[{"path": "~^/(a+)+$", "pool": "t0"}]),
    Case("host and path together",
         *goes(1, b"/x/y", host=b"a.example"), *goes(2, b"/y", host=b"a.example"),
         *goes(0, b"/x/y", host=b"b"), targets=3,
         routes=[{"host": "a.example", "path": "/x/*", "pool": "t1"},
                 {"host": "a.example", "pool": "t2"}]),
    Case("a route for all others",
         *goes(1, host=b"a.example"), *goes(2), targets=3, default=None,
         routes=[AB[0], {"pool": "t2"}]),
    Case("each request of a connection finds its own route",
         send(req(host=b"a.example") + req(host=b"x.example")),
         sees(fwd(host=b"a.example"), b="b1", t=1), answer(ok(b"1"), b="b1"), gets(ok(b"1")),
         sees(fwd(host=b"x.example"), b="b2", t=2), answer(ok(b"2"), b="b2"), gets(ok(b"2")),
         targets=3, routes=AB),
    Case("requests are counted by route",
         *goes(1, host=b"a.example"), *goes(2, host=b"b.test"), *goes(2, host=b"x.example"),
         *goes(0), routed("a", 1), routed("b", 2), targets=3, routes=AB),
    Case("a route without a name is counted by its number",
         *goes(0, b"/b"), routed("0", 0), routed("1", 1),
         routes=[{"path": "/a", "pool": "t0"}, {"path": "/b", "pool": "t0"}]),
    Case("a retry stays in the pool of the route",
         *goes(1, host=b"a.example"), hangup("b1"), *goes(1, host=b"a.example", b="b1+"),
         untouched(0), untouched(2), targets=3, routes=AB),
    Case("a dead target of the route is not replaced by one of another pool",
         send(req(host=b"a.example")), gets_error(502, closed=False), *goes(0), untouched(2),
         targets=3, dead=(1,), routes=AB),
    Case("a route's pool is sticky by its own cookies",
         send(req(host=b"a.example")), sees(fwd(host=b"a.example"), b="b1", t=1),
         answer(ok(), b="b1"), gets_head(200, save="first"), gets(b"ok"),
         do(with_cookie(b"a.example", "b1")), answer(ok(), b="b1"), gets(ok()),
         targets=3, routes=AB, pool={"sticky": {"cookie": {"name": "S"}}}),
    Case("a body goes with its request",
         send(post(host=b"a.example")), sees(fwd_post(host=b"a.example"), b="b1", t=1),
         answer(ok(), b="b1"), gets(ok()), targets=3, routes=AB),
    Case("a reload changes the way of the next request",
         *goes(1, host=b"a.example"), reroute([{"host": "a.example", "pool": "t2"}]),
         *goes(2, host=b"a.example"), *goes(0), targets=3, routes=AB),
    Case("a request on its way keeps the route that it had",
         send(req(host=b"a.example")), sees(fwd(host=b"a.example"), b="b1", t=1),
         reroute([{"host": "a.example", "pool": "t2"}]), answer(ok(), b="b1"), gets(ok()),
         *goes(2, host=b"a.example"), targets=3, routes=AB),
    Case("a reload may take the routes away, and bring them back",
         *goes(1, host=b"a.example"), reroute([]), *goes(0, host=b"a.example"),
         reroute(AB, None), *misses(), *goes(1, host=b"a.example", b="b1"), targets=3, routes=AB),
    Case("counters outlive a reload",
         *goes(1, host=b"a.example"), routed("a", 1),
         reroute([{"name": "new", "host": "n", "pool": "t0"}, *AB]), routed("new", 0),
         routed("a", 0), *goes(1, host=b"a.example"), routed("a", 1), targets=3, routes=AB),
]
