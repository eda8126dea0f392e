"""What routes change in heads: path, host, fields of requests and responses."""
from harness import XF, Case, answer, counted, gets, gets_error, gets_head, hangup, sees, send, untouched
from messages import fwd, ok, ok_close, req


def case(name, route, *pairs, **kw):
    """Requests as they are sent, and as the target gets them."""
    steps = [step for sent, seen in pairs
             for step in (send(sent), sees(seen), answer(ok()), gets(ok()))]
    return Case(name, *steps, routes=[{**route, "pool": "t0"}], default=None, **kw)


def path(name, source, to, *pairs, **kw):
    return case("path: " + name, {"rewrite": {"path": {"from": source, "to": to}}},
                *[(req(sent), fwd(seen)) for sent, seen in pairs], **kw)


def host(name, to, *pairs):
    return case("host: " + name, {"rewrite": {"host": to}}, *pairs)


def fields(name, how, *pairs):
    return case("request fields: " + name, {"request_headers": how},
                *[(req(fields=sent), b"GET / HTTP/1.1\r\nHost: a\r\n%s\r\n" % seen)
                  for sent, seen in pairs])


def response(name, how, sent, got, **kw):
    return Case("response fields: " + name, send(req()), sees(fwd()), answer(sent), gets(got),
                routes=[{"response_headers": how, "pool": "t0"}], default=None, **kw)


MANY = b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(99))

CASES = [
    path("a beginning goes", "/api/", "/", (b"/api/x", b"/x"), (b"/api/", b"/"), (b"/api/x?q=/api/",
                                                                               b"/x?q=/api/")),
    path("a beginning is replaced", "/old", "/new/er", (b"/old", b"/new/er"), (b"/old/x",
         b"/new/er/x"), (b"/older", b"/new/erer")),
    path("no match", "/api/", "/", (b"/api", b"/api"), (b"/x/api/", b"/x/api/"), (b"/API/x",
                                                                                 b"/API/x")),
    path("what does not match goes as it came", "/api/", "/", (b"//x/%61/../b", b"//x/%61/../b")),
    path("what is compared is the form that conditions see", "/api/", "/", (b"/%61pi/x", b"/x"),
         (b"//api///x/", b"/x/"), (b"/y/../api/./x", b"/x")),
    path("what a path may not have is encoded", "/api/", "/a b/\u00e4/", (b"/api/x", b"/a%20b/%C3%A4/x"),
         (b"/api/%20%3F%23%25%22%c3%a4", b"/a%20b/%C3%A4/%20%3F%23%25%22%C3%A4")),
    path("what it may have is not", "/api/", "/", (b"/api/a-._~!$&'()*+,;=:@b", b"/a-._~!$&'()*+,;=:@b"),
         (b"/api/%61%2D%3B%40", b"/a-;@")),
    path("an encoded slash stays one", "/api/", "/", (b"/api/group%2Fproject", b"/group%2Fproject"),
         (b"/api/a%2fb/c", b"/a%2Fb/c"), (b"/api%2Fx", b"/api%2Fx")),
    path("an expression", "~^/v([0-9]+)/(.*)$", "/{2}/version-{1}", (b"/v12/a/b", b"/a/b/version-12"),
         (b"/vx/a", b"/vx/a")),
    path("an expression in the middle", "~/old(/|$)", "/new{1}", (b"/a/old/b", b"/a/new/b"),
         (b"/old", b"/new"), (b"/old/old", b"/new/old")),
    path("an expression with groups that found nothing", "~^/(a)?(b)?", "/[{1}|{2}]",
         (b"/a", b"/%5Ba%7C%5D"), (b"/b", b"/%5B%7Cb%5D")),
    path("an expression finds what is decoded, once", "~^/x(.*)$", "/y{1}",
         (b"/x%20%2e", b"/y%20."), (b"/x%252e", b"/y%252e")),
    path("other variables", "/x", "/{host}/{method}", (b"/x", b"/a/GET")),
    path("a query that looks like a path", "/a", "/b", (b"/a?/a/../a", b"/b?/a/../a")),
    Case("path: a bad one is refused", send(req(b"/api/..%2fx")), gets_error(400, closed=False), untouched(),
         routes=[{"path": "/*", "rewrite": {"path": {"from": "/api/", "to": "/"}}, "pool": "t0"}]),
    Case("path: a bad one is refused also where no condition looks at it",
         counted("yoke_refused_path_total", None), send(req(b"/api/..%2fx")),
         gets_error(400, closed=False), counted("yoke_refused_path_total"), untouched(),
         routes=[{"rewrite": {"path": {"from": "/api/", "to": "/"}}, "pool": "t0"}]),
    Case("path: an expression that takes too long",
         counted("yoke_refused_complex_total", None), send(req(b"/" + b"a" * 60 + b"b")),
         gets_error(500, closed=False), counted("yoke_refused_complex_total"), untouched(),
         routes=[{"rewrite": {"path": {"from": "~^/(a+)+$", "to": "/"}}, "pool": "t0"}]),
    Case("path: a result that is no path", send(req(b"/a")), gets_error(500, closed=False), untouched(),
         routes=[{"rewrite": {"path": {"from": "~/", "to": ""}}, "pool": "t0"}]),
    case("path: OPTIONS * has none", {"rewrite": {"path": {"from": "~.*", "to": "/x"}}},
         (req(b"*", method=b"OPTIONS"), fwd(b"*", method=b"OPTIONS"))),
    case("path: an absolute target", {"rewrite": {"path": {"from": "/a/", "to": "/"}}},
         (b"GET http://a/a/b HTTP/1.1\r\nHost: a\r\n\r\n", fwd(b"/b"))),
    Case("path: the condition sees what came, not what becomes of it",
         send(req(b"/a/x")), sees(fwd(b"/b/x"), b="b1", t=1), answer(ok(), b="b1"), gets(ok()),
         targets=2, routes=[{"path": "/b/*", "pool": "t0"},
                            {"path": "/a/*", "rewrite": {"path": {"from": "/a/", "to": "/b/"}},
                             "pool": "t1"}]),
    Case("path: a request that is sent again is changed once",
         send(req(b"/a/a/x")), sees(fwd(b"/a/x")), answer(ok()), gets(ok()),
         send(req(b"/a/a/y")), sees(fwd(b"/a/y")), hangup(),
         sees(fwd(b"/a/y"), b="b2"), answer(ok(), b="b2"), gets(ok()),
         routes=[{"rewrite": {"path": {"from": "/a/", "to": "/"}}, "pool": "t0"}]),

    host("another one", "internal.example", (req(), fwd(host=b"internal.example"))),
    host("with port", "internal:8080", (req(host=b"b:81"), fwd(host=b"internal:8080"))),
    host("variables", "{host}.internal", (req(host=b"b.example:81"), fwd(host=b"b.example.internal"))),
    Case("host: an address in brackets is no part of a name",
         send(req(host=b"[::1]")), gets_error(400, closed=False), untouched(),
         routes=[{"rewrite": {"host": "x.{host}"}, "pool": "t0"}]),
    host("of an absolute target", "x", (b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
                                        fwd(b"/b", host=b"x"))),
    host("the field stays where it was", "x",
         (b"GET / HTTP/1.1\r\nA: 1\r\nhOST: a\r\nB: 2\r\n\r\n",
          b"GET / HTTP/1.1\r\nA: 1\r\nHost: x\r\nB: 2\r\n" + XF + b"\r\n")),
    Case("host: of a request without one", send(b"GET /x HTTP/1.0\r\nA: 1\r\n\r\n"),
         sees(b"GET /x HTTP/1.1\r\nA: 1\r\nHost: x\r\n" + XF.replace(b"1.1 yoke", b"1.0 yoke") + b"\r\n"),
         answer(ok()), gets(ok_close()), routes=[{"rewrite": {"host": "x"}, "pool": "t0"}]),
    Case("host: of an absolute target in HTTP/1.0 without the field",
         send(b"GET http://a/x HTTP/1.0\r\n\r\n"),
         sees(b"GET /x HTTP/1.1\r\nHost: x\r\n" + XF.replace(b"1.1 yoke", b"1.0 yoke") + b"\r\n"),
         answer(ok()), gets(ok_close()), routes=[{"rewrite": {"host": "x"}, "pool": "t0"}]),
    Case("host: X-Forwarded-Host says what came",
         send(req(host=b"a.example")),
         sees(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: a.example\r\n\r\n"), answer(ok()),
         gets(ok()), routes=[{"rewrite": {"host": "x"}, "pool": "t0"}],
         listener={"forwarded": {"for": "remove", "proto": "remove", "host": "replace"},
                   "via": {"requests": False}}),
    case("host and path together", {"rewrite": {"host": "x", "path": {"from": "/a", "to": "/b"}}},
         (req(b"/a"), fwd(b"/b", host=b"x"))),

    fields("set where there was none", {"set": {"X-A": "1"}}, (b"", b"X-A: 1\r\n" + XF),
           (b"B: 2\r\n", b"B: 2\r\nX-A: 1\r\n" + XF)),
    fields("set instead of what came", {"set": {"X-User": "nobody"}},
           (b"x-user: root\r\nB: 2\r\nX-USER: admin\r\n", b"B: 2\r\nX-User: nobody\r\n" + XF)),
    fields("an empty value", {"set": {"X-A": ""}}, (b"X-A: 1\r\n", b"X-A: \r\n" + XF)),
    fields("add", {"add": {"X-A": "2"}}, (b"X-A: 1\r\n", b"X-A: 1\r\nX-A: 2\r\n" + XF),
           (b"", b"X-A: 2\r\n" + XF)),
    fields("remove", {"remove": ["X-A", "Cookie"]},
           (b"X-A: 1\r\nB: 2\r\ncookie: a=b\r\nx-a: 3\r\nX-AA: 4\r\n", b"B: 2\r\nX-AA: 4\r\n" + XF),
           (b"", XF)),
    fields("remove, set and add", {"remove": "X-A", "set": {"X-B": "b", "X-C": "c"},
                                   "add": {"X-A": "a"}},
           (b"X-A: 1\r\nX-B: 2\r\n", b"X-B: b\r\nX-C: c\r\nX-A: a\r\n" + XF)),
    fields("variables", {"set": {"X-A": "{scheme}://{host}:{port}{path}?{query} {method} {client_ip}"}},
           (b"", b"X-A: http://a:80/? GET 127.0.0.1\r\n" + XF)),
    fields("braces that are none", {"set": {"X-A": "{\"a\": 1} {} {A} {a"}},
           (b"", b"X-A: {\"a\": 1} {} {A} {a\r\n" + XF)),
    fields("a head with as many fields as it may have", {"set": {"X-A": "a"}, "add": {"X-B": "b"}},
           (MANY, MANY + b"X-A: a\r\nX-B: b\r\n" + XF)),
    fields("what Connection names does not take away what is set", {"set": {"X-A": "1"}},
           (b"Connection: x-a\r\n", b"X-A: 1\r\n" + XF)),
    case("request fields: variables are those of the request as it came",
         {"request_headers": {"set": {"X-Path": "{path}", "X-Host": "{host}"}},
          "rewrite": {"path": {"from": "/a/", "to": "/"}, "host": "x"}},
         (req(b"/a/%62?c", host=b"b:81"),
          b"GET /b?c HTTP/1.1\r\nHost: x\r\nX-Path: /a/%62\r\nX-Host: b\r\n" + XF + b"\r\n")),
    Case("request fields: only those of the route that takes the request",
         send(req(b"/a")), sees(fwd(b"/a", b"X: a\r\n")), answer(ok()), gets(ok()),
         send(req(b"/b")), sees(fwd(b"/b")), answer(ok()), gets(ok()),
         routes=[{"path": "/a", "request_headers": {"set": {"X": "a"}}, "pool": "t0"}]),
    Case("request fields: too long a text",
         send(req(b"/" + b"x" * 9000)), gets_error(500, closed=False), untouched(),
         routes=[{"request_headers": {"set": {"X": "{path}" * 10}}, "pool": "t0"}]),
    Case("request fields: the sticky cookie is ours before it is removed",
         send(req()), sees(fwd()), answer(ok()), gets_head(200, has=(b"Content-Length: 2",)),
         gets(b"ok"), routes=[{"request_headers": {"remove": "Cookie"}, "pool": "t0"}],
         pool={"sticky": {"cookie": {}}}),

    response("set", {"set": {"Server": "x", "Strict-Transport-Security": "max-age=60"}},
             ok(fields=b"Server: nginx\r\nserver: y\r\n"),
             b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: x\r\n"
             b"Strict-Transport-Security: max-age=60\r\n\r\nok"),
    response("add", {"add": {"X-A": "2", "Set-Cookie": "a=b"}},
             ok(fields=b"X-A: 1\r\nSet-Cookie: c=d\r\n"),
             b"HTTP/1.1 200 OK\r\nX-A: 1\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\nX-A: 2\r\n"
             b"Set-Cookie: a=b\r\n\r\nok"),
    response("remove", {"remove": ["X-Powered-By", "server"]},
             ok(fields=b"Server: x\r\nA: 1\r\nx-powered-by: y\r\n"),
             b"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 2\r\n\r\nok"),
    response("nothing to remove", {"remove": ["X"]}, ok(fields=b"A: 1\r\n"), ok(fields=b"A: 1\r\n")),
    response("variables", {"set": {"X": "{client_ip}"}}, ok(),
             b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: 127.0.0.1\r\n\r\nok"),
    response("of a response without body", {"set": {"X": "a"}},
             b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n",
             b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nX: a\r\n\r\n"),
    response("an interim response stays as it is", {"set": {"X": "a"}},
             b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok(),
             b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
             b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\r\n\r\nok"),
    response("a chunked body is not touched", {"set": {"X": "a"}},
             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
             b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: a\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
    response("a head with as many fields as it may have", {"set": {"X-A": "a"}},
             ok(fields=MANY), b"HTTP/1.1 200 OK\r\n" + MANY + b"Content-Length: 2\r\nX-A: a\r\n\r\nok"),
    Case("response fields: beside the sticky cookie",
         send(req()), sees(fwd()), answer(ok(fields=b"Set-Cookie: a=b\r\n")),
         gets_head(200, has=(b"X: a",), lacks=()), gets(b"ok"),
         routes=[{"response_headers": {"set": {"X": "a"}, "remove": "Set-Cookie"}, "pool": "t0"}],
         pool={"sticky": {"cookie": {}}}),
    Case("response fields: only those of the route that took the request",
         send(req(b"/b")), sees(fwd(b"/b")), answer(ok()), gets(ok()),
         routes=[{"path": "/a", "response_headers": {"set": {"X": "a"}}, "pool": "t0"}]),
    Case("response fields: a malformed response is answered by us, without them",
         send(req()), sees(fwd()), answer(b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n"),
         gets_head(502, lacks=(b"X",)), gets(b"502 Bad Gateway: bad_response\n"),
         routes=[{"response_headers": {"set": {"X": "a"}}, "pool": "t0"}]),
    Case("request fields: a malformed request is refused before", send(b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
         gets_error(400), untouched(), routes=[{"request_headers": {"set": {"X": "a"}}, "pool": "t0"}]),
    Case("host: no match, it stays as it came", send(req(b"/b", host=b"B.example:81")),
         sees(fwd(b"/b", host=b"B.example:81")), answer(ok()), gets(ok()),
         routes=[{"path": "/a", "rewrite": {"host": "x"}, "pool": "t0"}]),
    Case("response fields: not in an answer of our own",
         send(req()), gets_head(502, lacks=(b"X",)), gets(b"502 Bad Gateway: connect_failed\n"),
         dead=(0,), routes=[{"response_headers": {"set": {"X": "a"}}, "pool": "t0"}]),
]
