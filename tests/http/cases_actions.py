"""What routes do with requests other than sending them to one pool: redirects, answers, shares."""
import re

from harness import (Case, Failed, answer, closed, do, gets, gets_error, reroute, routed, sees, send,
                     show, untouched)
from messages import fwd, ok, post, req


def moved(location, status=b"302 Found", fields=b"", close=b""):
    return (b"HTTP/1.1 %s\r\nLocation: %s\r\n%sContent-Length: 0\r\n%s\r\n"
            % (status, location, fields, close))


def said(status, body=b"", kind=b"text/plain", fields=b"", close=b"", head=False):
    lines = b"Content-Type: %s\r\n" % kind if body else b""
    return (b"HTTP/1.1 %s\r\n%s%sContent-Length: %d\r\n%s\r\n%s"
            % (status, lines, fields, len(body), close, b"" if head else body))


def redirect(name, to, sent, location, status=b"302 Found", **kw):
    """The same connection is served on."""
    route = {"path": "/from*", "redirect": to, **kw}
    return Case("redirect: " + name, send(sent), gets(moved(location, status)), untouched(),
                send(req(b"/honest")), sees(fwd(b"/honest")), answer(ok()), gets(ok()),
                routes=[route])


def respond(name, how, sent, got, **kw):
    return Case("respond: " + name, send(sent), gets(got), untouched(), send(req(b"/honest")),
                sees(fwd(b"/honest")), answer(ok()), gets(ok()),
                routes=[{"path": "/from*", "respond": how, **kw}])


def smooth(weights, n):
    """The slow, obvious rotation: who has waited for most of its weight is next."""
    due, order = [0] * len(weights), []
    for _ in range(n):
        due = [d + w for d, w in zip(due, weights)]
        turn = due.index(max(due))
        due[turn] -= sum(weights)
        order.append(turn)
    return order


def to_own_port(run):
    """The client's port is known when it has connected."""
    end = run.client("c")
    end.send(FROM)
    end.require(moved(b"http://a.example/%d" % end.sock.getsockname()[1]))


CLOSE = b"Connection: close\r\n"
FROM = req(b"/from?x=1", host=b"a.example")


def shares(weights, order, name="shared out by weight", **kw):
    steps = []
    for n, t in enumerate(order):
        path = b"/%d" % n
        steps += [send(req(path)), sees(fwd(path), b=f"b{t}", t=t), answer(ok(), b=f"b{t}"),
                  gets(ok())]
    return Case(f"{name}: {weights}", *steps, targets=len(weights), default=None,
                routes=[{"pool": {f"t{i}": w for i, w in enumerate(weights)}}], **kw)


def visit(t, expect_new=True):
    """A visit with the cookie that came last, if one came; target `t` must serve it."""
    def run_visit(run):
        cookie = run.saved.get("cookie")
        fields = b"Cookie: %s\r\n" % cookie if cookie else b""
        run.client("c").send(req(fields=fields))
        run.backend(f"b{t}", t).require(fwd(fields=fields))
        run.backend(f"b{t}").send(ok())
        head = run.client("c").take_head()
        run.client("c").require(b"ok")
        match = re.search(rb"\r\nSet-Cookie: (S=[^;]+);", head)
        if bool(match) != expect_new:
            raise Failed(f"a cookie, or none, against expectation: {show(head)}")
        if match:
            run.saved["cookie"] = match[1]
    return do(run_visit)


CASES = [
    redirect("to https: the port is that of the scheme", {"scheme": "https", "status": 301}, FROM,
             b"https://a.example/from?x=1", b"301 Moved Permanently"),
    redirect("a port in the request is not taken to another scheme", {"scheme": "https"},
             req(b"/from", host=b"a.example:8080"), b"https://a.example/from"),
    redirect("a port that is given", {"scheme": "https", "port": 8443}, FROM,
             b"https://a.example:8443/from?x=1"),
    redirect("the usual port is not written", {"scheme": "https", "port": 443}, FROM,
             b"https://a.example/from?x=1"),
    redirect("the request's port stays with its scheme and host", {"path": "/to"},
             req(b"/from", host=b"a.example:8080"), b"http://a.example:8080/to"),
    redirect("another host", {"host": "www.example"}, FROM, b"http://www.example/from?x=1"),
    redirect("another host does not get the request's port", {"host": "www.example"},
             req(b"/from", host=b"a.example:8080"), b"http://www.example/from"),
    redirect("variables", {"host": "www.{host}", "path": "/{method}{path}/{client_ip}",
                           "query": "was={query}&port={port}&{scheme}"},
             req(b"/from?x=1", host=b"a.example:81"),
             b"http://www.a.example/GET/from/127.0.0.1?was=x=1&port=81&http"),
    *[redirect(f"the variable {name}", {"path": f"/to/{name}", "query": ""},
               req(b"/from/%7E?x=1&y", host=b"A.example:81"), b"http://A.example:81/to/" + value)
      for name, value in (("{scheme}", b"http"), ("{host}", b"A.example"), ("{port}", b"81"),
                          ("{path}", b"/from/%7E"), ("{query}", b"x=1&y"), ("{method}", b"GET"),
                          ("{client_ip}", b"127.0.0.1"))],
    Case("redirect: the variable {client_port}", do(to_own_port),
         routes=[{"redirect": {"path": "/{client_port}", "query": ""}}], default=None),
    Case("redirect: too long a URL", send(req(b"/from" + b"x" * 9000)), gets_error(500, closed=False), untouched(),
         routes=[{"path": "/from*", "redirect": {"path": "/to" + "{path}" * 10}}]),
    Case("redirect: a malformed request is refused before", send(b"GET /from HTTP/1.1\r\nHost: a b\r\n\r\n"),
         gets_error(400), untouched(), routes=[{"redirect": {"scheme": "https"}}], default=None),
    redirect("without the query", {"path": "/to", "query": ""}, FROM, b"http://a.example/to"),
    redirect("a query where there was none", {"query": "a=b"}, req(b"/from"), b"http://a/from?a=b"),
    redirect("an address as host", {"scheme": "https"}, req(b"/from", host=b"[2001:db8::1]:80"),
             b"https://[2001:db8::1]/from"),
    redirect("the path goes as it came", {"scheme": "https"}, req(b"//%66rom/a%20/../%2Fx"),
             b"https://a//%66rom/a%20/../%2Fx"),
    redirect("303", {"path": "/to", "status": 303}, FROM, b"http://a.example/to?x=1",
             b"303 See Other"),
    redirect("307", {"path": "/to", "status": 307}, FROM, b"http://a.example/to?x=1",
             b"307 Temporary Redirect"),
    redirect("308", {"path": "/to", "status": 308}, FROM, b"http://a.example/to?x=1",
             b"308 Permanent Redirect"),
    redirect("behind a rewrite of the path", {}, req(b"/from/a?b"), b"http://a/to/a?b",
             rewrite={"path": {"from": "/from/", "to": "/to/"}}),
    redirect("an expression finds the parts", {"scheme": "https", "host": "shop.example"},
             req(b"/from/7/x"), b"https://shop.example/item/7",
             rewrite={"path": {"from": "~^/from/([0-9]+)/.*$", "to": "/item/{1}"}}),
    Case("redirect: nobody is led by two slashes to another host",
         send(req(b"//evil.example/from")), gets(moved(b"https://a//evil.example/from")),
         routes=[{"redirect": {"scheme": "https"}}], default=None),
    Case("redirect: no match", send(req(b"/x")), sees(fwd(b"/x")), answer(ok()), gets(ok()),
         routes=[{"path": "/from*", "redirect": {"scheme": "https"}}]),
    Case("redirect: HEAD", send(req(b"/from", method=b"HEAD")), gets(moved(b"https://a/from")),
         send(req(b"/x")), sees(fwd(b"/x")), answer(ok()), gets(ok()),
         routes=[{"path": "/from*", "redirect": {"scheme": "https"}}]),
    Case("redirect: a body ends the connection", send(post(path=b"/from")),
         gets(moved(b"https://a/from", close=CLOSE)), closed(), untouched(),
         routes=[{"path": "/from*", "redirect": {"scheme": "https"}}]),
    Case("redirect: HTTP/1.0", send(b"GET /from HTTP/1.0\r\nHost: a\r\n\r\n"),
         gets(moved(b"https://a/from", close=CLOSE)), closed(), untouched(),
         routes=[{"path": "/from*", "redirect": {"scheme": "https"}}]),
    Case("redirect: without a host there is nowhere to go",
         send(b"GET /from HTTP/1.0\r\n\r\n"), gets_error(400), untouched(),
         routes=[{"path": "/from*", "redirect": {"scheme": "https"}}]),
    Case("redirect: an address in brackets is no part of a name",
         send(req(b"/from", host=b"[::1]")), gets_error(400, closed=False), untouched(),
         routes=[{"path": "/from*", "redirect": {"host": "www.{host}"}}]),
    Case("redirect: without a host, but to a given one",
         send(b"GET /from HTTP/1.0\r\n\r\n"), gets(moved(b"https://b/from", close=CLOSE)), closed(),
         routes=[{"path": "/from*", "redirect": {"scheme": "https", "host": "b"}}]),
    Case("redirect: pipelined", send(req(b"/from") + req(b"/x") + req(b"/from")),
         gets(moved(b"https://a/from")), sees(fwd(b"/x")), answer(ok()),
         gets(ok() + moved(b"https://a/from")),
         routes=[{"path": "/from*", "redirect": {"scheme": "https"}}]),
    redirect("fields are added", {"scheme": "https"}, FROM,
             b"https://a.example/from?x=1\r\nX-A: 127.0.0.1",
             response_headers={"add": {"X-A": "{client_ip}"}}),
    Case("redirect: is counted by route", send(req(b"/from")), gets(moved(b"https://a/from")),
         routed("r", 1), routes=[{"name": "r", "path": "/from", "redirect": {"scheme": "https"}}]),

    respond("a text", {"status": 200, "body": "hello\r\n"}, FROM, said(b"200 OK", b"hello\r\n")),
    respond("a type", {"status": 200, "body": "{}", "content_type": "application/json"}, FROM,
            said(b"200 OK", b"{}", b"application/json")),
    respond("no body", {"status": 403}, FROM, said(b"403 Forbidden")),
    respond("204", {"status": 204}, FROM, b"HTTP/1.1 204 No Content\r\n\r\n"),
    respond("a status without a name", {"status": 418}, FROM, said(b"418 ")),
    respond("503", {"status": 503, "body": "later"}, FROM, said(b"503 Service Unavailable", b"later")),
    respond("4096 bytes", {"status": 200, "body": "x" * 4096}, FROM, said(b"200 OK", b"x" * 4096)),
    respond("HEAD", {"status": 200, "body": "hello"}, req(b"/from", method=b"HEAD"),
            said(b"200 OK", b"hello", head=True)),
    respond("fields", {"status": 405, "body": "no"}, req(b"/from", method=b"DELETE"),
            said(b"405 Method Not Allowed", b"no", fields=b"Allow: GET\r\nX: a\r\n"),
            response_headers={"set": {"Allow": "GET"}, "add": {"X": "a"}}),
    Case("respond: a body ends the connection", send(post(path=b"/from")),
         gets(said(b"403 Forbidden", close=CLOSE)), closed(), untouched(),
         routes=[{"path": "/from", "respond": {"status": 403}}]),
    Case("respond: a chunked body is no request",
         send(req(b"/from", b"Transfer-Encoding: chunked\r\n", b"POST") + b"0\r\n\r\n"),
         gets(said(b"403 Forbidden", close=CLOSE)), closed(), untouched(),
         routes=[{"path": "/from", "respond": {"status": 403}}]),
    Case("respond: Expect: 100-continue is answered at once",
         send(req(b"/from", b"Expect: 100-continue\r\nContent-Length: 5\r\n", b"PUT")),
         gets(said(b"403 Forbidden", close=CLOSE)), closed(), untouched(),
         routes=[{"path": "/from", "respond": {"status": 403}}]),
    Case("respond: HTTP/1.0", send(b"GET /from HTTP/1.0\r\n\r\n"),
         gets(said(b"200 OK", b"x", close=CLOSE)), closed(),
         routes=[{"path": "/from", "respond": {"status": 200, "body": "x"}}]),
    Case("respond: Connection: close is heeded",
         send(req(b"/from", b"Connection: close\r\n")), gets(said(b"200 OK", b"x", close=CLOSE)),
         closed(), routes=[{"path": "/from", "respond": {"status": 200, "body": "x"}}]),
    Case("respond: no match", send(req(b"/x")), sees(fwd(b"/x")), answer(ok()), gets(ok()),
         routes=[{"path": "/from", "respond": {"status": 403}}]),
    Case("respond: a rule that protects is not passed by", *[step for path in (
        b"/admin/x", b"/%61dmin/", b"//admin/", b"/x/../admin/", b"/admin%2Fx", b"/./admin/") for step
        in (send(req(path)), gets(said(b"403 Forbidden")))], untouched(),
         routes=[{"path": "/admin/*", "respond": {"status": 403}}]),
    Case("respond: nothing but answers needs no pool", send(req()), gets(said(b"200 OK", b"x")),
         reroute([{"redirect": {"scheme": "https"}}], None), send(req()), gets(moved(b"https://a/")),
         routes=[{"respond": {"status": 200, "body": "x"}}], default=None),

    shares([1, 1], [0, 1, 0, 1]),
    shares([3, 1], [0, 0, 1, 0, 0, 0, 1, 0]),
    shares([9, 1], [0] * 5 + [1] + [0] * 9 + [1] + [0] * 4),
    shares([0, 1], [1, 1, 1]),
    shares([2, 1, 1], [0, 1, 2, 0, 0, 1, 2, 0]),
    shares([1000, 500], [0, 1, 0, 0, 1, 0]),
    shares([1], [0, 0]),
    *[shares(weights, smooth(weights, 100), "exactly by weight in 100 requests")
      for weights in ([3, 1], [50, 30, 20], [97, 3], [1, 2, 3, 4])],
    Case("shares: a malformed request is nobody's turn", send(req(b"/1")), sees(fwd(b"/1"), b="b0", t=0),
         answer(ok(), b="b0"), gets(ok()), send(b"?\r\n\r\n", c="2"), gets_error(400, c="2"), send(req(b"/2")),
         sees(fwd(b"/2"), b="b1", t=1), answer(ok(), b="b1"), gets(ok()), targets=2, default=None,
         routes=[{"pool": {"t0": 1, "t1": 1}}]),
    Case("shares: no match", send(req(b"/x")), gets_error(404, closed=False), untouched(0), untouched(1),
         targets=2, default=None, routes=[{"path": "/a", "pool": {"t0": 1, "t1": 1}}]),
    Case("respond: a malformed request is refused before", send(b"GET /from HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
         gets_error(400), untouched(), routes=[{"path": "/from", "respond": {"status": 200}}]),
    Case("shares: who is sticky in a pool stays there",
         visit(0), visit(0, False), visit(0, False), visit(0, False), targets=2, default=None,
         routes=[{"pool": {"t0": 1, "t1": 1}}], pool={"sticky": {"cookie": {"name": "S"}}}),
    Case("shares: a pool without weight keeps its sticky clients",
         visit(0), reroute([{"pool": {"t0": 0, "t1": 1}}], None), visit(0, False),
         do(lambda run: run.saved.pop("cookie")), visit(1), targets=2, default=None,
         routes=[{"pool": {"t0": 1, "t1": 0}}], pool={"sticky": {"cookie": {"name": "S"}}}),
    Case("shares: a retry stays in the pool", send(req()), gets_error(502, closed=False),
         send(req()), sees(fwd(), b="b1", t=1), answer(ok(), b="b1"), gets(ok()), targets=2,
         dead=(0,), routes=[{"pool": {"t0": 1, "t1": 1}}], default=None),
]
