"""After which failures a request goes to another target, and how often."""
from harness import (Case, End, Failed, answer, answer_drip, counted, do, gets, gets_error, gets_head,
                     hangup, released, sees, send, turned_away, untouched)
from messages import fwd, fwd_post, ok, post, req, served

SOON = {"response_timeout": "150ms"}


def on(*words, **more):
    return {"retry_on": list(words), **more}


def busy(status, fields=b"", body=b"no"):
    return ok(body, fields, {502: b"502 Bad Gateway", 503: b"503 Service Unavailable",
                             504: b"504 Gateway Timeout", 500: b"500 Internal Server Error",
                             }[status])


def retried_after(status):
    return (send(req()), sees(fwd()), answer(busy(status)), sees(fwd(), b="b2", t=1),
            answer(ok(), b="b2"), gets(ok()))


def passed_on(status, request=req(), seen=fwd(), fields=b""):
    return (send(request), sees(seen), answer(busy(status, fields)), gets(busy(status, fields)),
            untouched(1))


def ask(n, status, path=b"/"):
    """`n` requests, one after the other on a connection; all are answered `status`."""
    return [one for i in range(n) for one in (send(req(path)),
            gets_error(status, closed=False))]


def hangs_up(times, targets):
    """Each of these targets closes each new connection after the request; `times` connections come
    in all, and no more."""
    def play(run):
        seen = 0
        client = run.client("c")
        for _ in range(REQUESTS):
            client.send(req())
            while not client.pending():
                for t in targets:
                    sock = run.targets[t].sock
                    sock.setblocking(False)
                    try:
                        connection = sock.accept()[0]
                    except BlockingIOError:
                        continue
                    connection.settimeout(5)
                    connection.recv(65536)
                    connection.close()
                    seen += 1
            run.do_gets_error(502, "c", False, True)
        if seen != times:
            raise Failed(f"{seen} attempts, not {times}")
    return do(play)


REQUESTS = 50

CASES = [
    # by default
    Case("by default no status is tried again", *passed_on(503), targets=2),
    Case("by default a target that is late is not", send(req()), sees(fwd()),
         gets_error(504, closed=False), released(reset=None), untouched(1), targets=2, pool=SOON),
    # connect_failure
    Case("connect_failure: a target that refuses is passed over", *served(t=1), targets=2,
         dead=(0,), pool=on("connect_failure")),
    Case("connect_failure: also for a POST", send(post()), sees(fwd_post(), t=1), answer(ok()),
         gets(ok()), targets=2, dead=(0,), pool=on("connect_failure")),
    Case("not connect_failure: a target that refuses is not passed over", send(req()),
         gets_error(502, closed=False), untouched(1), targets=2, dead=(0,), pool=on("reset")),
    Case("an empty retry_on: nothing is tried again", send(req()), gets_error(502, closed=False),
         untouched(1), targets=2, dead=(0,), pool=on()),
    Case("not connect_failure: a TCP connection ends with the target", turned_away(),
         untouched(1), targets=2, dead=(0,), pool=on("reset"),
         listener={"mode": "tcp"}),
    # reset
    Case("reset: a target that hangs up", send(req()), sees(fwd()), hangup(),
         sees(fwd(), b="b2", t=1), answer(ok(), b="b2"), gets(ok()), targets=2, pool=on("reset")),
    Case("reset: a target that resets", send(req()), sees(fwd()), hangup(reset=True),
         sees(fwd(), b="b2", t=1), answer(ok(), b="b2"), gets(ok()), targets=2, pool=on("reset")),
    Case("not reset: a target that hangs up", send(req()), sees(fwd()), hangup(),
         gets_error(502, closed=False), untouched(1), targets=2, pool=on("connect_failure")),
    Case("reset: not for a POST", send(post()), sees(fwd_post()), hangup(),
         gets_error(502, closed=False), untouched(1), targets=2, pool=on("reset")),
    Case("reset: not when a body is too long to be kept", send(req(
        fields=b"Content-Length: 70000\r\n", method=b"PUT", body=b"x" * 69990)),
         sees(fwd(fields=b"Content-Length: 70000\r\n", method=b"PUT", body=b"x" * 69990)), hangup(),
         gets_error(502), untouched(1), targets=2, pool=on("reset")),
    Case("reset: not after a byte of the response", send(req()), sees(fwd()), answer(b"H"),
         hangup(), gets_error(502, closed=False), untouched(1), targets=2,
         pool=on("reset", "503")),
    # timeout
    Case("timeout: a target that is late", send(req()), sees(fwd()), sees(fwd(), b="b2", t=1),
         released(reset=None), answer(ok(), b="b2"), gets(ok()), targets=2,
         pool=on("timeout", **SOON)),
    Case("timeout: both are late", send(req()), sees(fwd()), sees(fwd(), b="b2", t=1),
         gets_error(504, closed=False), released(reset=None), released("b2", reset=None),
         targets=2, pool=on("timeout", **SOON)),
    Case("timeout: not for a POST", send(post()), sees(fwd_post()),
         gets_error(504, closed=False), released(reset=None), untouched(1), targets=2,
         pool=on("timeout", **SOON)),
    Case("timeout: a POST with a body is sent again whole, with non_idempotent", send(post()),
         sees(fwd_post()), sees(fwd_post(), b="b2", t=1), answer(ok(), b="b2"), gets(ok()),
         released(reset=None), targets=2, pool=on("timeout", "non_idempotent", **SOON)),
    Case("timeout: not when a head has begun", send(req()), sees(fwd()), answer(b"HTTP/1.1 2"),
         gets_error(504, closed=False), untouched(1), targets=2, pool=on("timeout", **SOON),
         listener={"idle_timeout": "300ms"}),
    # statuses
    Case("502 is tried again", *retried_after(502), targets=2, pool=on("502")),
    Case("503 is tried again", *retried_after(503), targets=2, pool=on("503")),
    Case("504 is tried again", *retried_after(504), targets=2, pool=on("504")),
    Case("503 is not 502 or 504", *passed_on(503), targets=2, pool=on("502", "504")),
    Case("502 is not 503", *passed_on(502), targets=2, pool=on("503")),
    Case("504 is not 503", *passed_on(504), targets=2, pool=on("503")),
    Case("500 is never tried again", *passed_on(500), targets=2, pool=on("502", "503", "504")),
    Case("503 to a POST is passed on", *passed_on(503, post(), fwd_post()), targets=2,
         pool=on("503")),
    Case("503 to a POST is tried again with non_idempotent", send(post()), sees(fwd_post()),
         answer(busy(503)), sees(fwd_post(), b="b2", t=1), answer(ok(), b="b2"), gets(ok()),
         targets=2, pool=on("503", "non_idempotent")),
    Case("503 to a PUT with a body: all of it is sent again", send(post(b"x" * 5000).replace(
        b"POST", b"PUT", 1)), sees(fwd_post(b"x" * 5000).replace(b"POST", b"PUT", 1)),
         answer(busy(503)), sees(fwd_post(b"x" * 5000).replace(b"POST", b"PUT", 1), b="b2", t=1),
         answer(ok(), b="b2"), gets(ok()), targets=2, pool=on("503")),
    Case("503 to a PUT whose body is too long to be kept", *passed_on(
        503, req(fields=b"Content-Length: 70000\r\n", method=b"PUT", body=b"x" * 70000),
        fwd(fields=b"Content-Length: 70000\r\n", method=b"PUT", body=b"x" * 70000)), targets=2,
         pool=on("503")),
    Case("503 from all: the last one's is passed on", send(req()), sees(fwd()),
         answer(busy(503, body=b"one")), sees(fwd(), b="b2", t=1),
         answer(busy(503, body=b"two"), b="b2"), gets(busy(503, body=b"two")), targets=2,
         pool=on("503")),
    Case("503 from one of one is passed on", send(req()), sees(fwd()), answer(busy(503)),
         gets(busy(503)), *served(b"/2"), pool=on("503")),
    Case("503, retries: 0", *passed_on(503), targets=2, pool=on("503", retries=0)),
    Case("503: its connection is used again", *retried_after(503),
         send(req(b"/2")), sees(fwd(b"/2")), answer(ok()), gets(ok()), untouched(), targets=2,
         pool=on("503")),
    Case("503: a long body is not waited for", send(req()), sees(fwd()),
         answer(b"HTTP/1.1 503 No\r\nContent-Length: 1000000\r\n\r\n"), sees(fwd(), b="b2", t=1),
         released(reset=None), answer(ok(), b="b2"), gets(ok()), targets=2, pool=on("503")),
    Case("503: a chunked body, then a chunked one from the other", send(req()), sees(fwd()),
         answer(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
         sees(fwd(), b="b2", t=1), released(reset=None),
         answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b="b2"),
         gets(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
         targets=2, pool=on("503")),
    Case("503 in pieces", send(req()), sees(fwd()), answer_drip(busy(503)[:-3]),
         answer(busy(503)[-3:]),
         sees(fwd(), b="b2", t=1), answer(ok(), b="b2"), gets(ok()), targets=2, pool=on("503"),
         listener={"idle_timeout": "10s"}),
    Case("503 behind an interim response is passed on", send(req()), sees(fwd()),
         answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
         gets(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"), answer(busy(503)),
         gets(busy(503)), untouched(1), targets=2, pool=on("503")),
    Case("503: nobody looks at its body", send(req()), sees(fwd()),
         answer(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\nxyz"),
         sees(fwd(), b="b2", t=1), answer(ok(), b="b2"), gets(ok()), released(reset=None),
         targets=2, pool=on("503")),
    Case("503: bytes behind it", send(req()), sees(fwd()), answer(busy(503) + b"x"),
         sees(fwd(), b="b2", t=1), answer(ok(), b="b2"), gets(ok()), released(reset=None),
         targets=2, pool=on("503")),
    Case("503: what it says of sessions is not learned", send(req()), sees(fwd()),
         answer(busy(503, b"Set-Cookie: A=1\r\n")), sees(fwd(), b="b2", t=1),
         answer(ok(fields=b"Set-Cookie: A=2\r\n"), b="b2"),
         gets(ok(fields=b"Set-Cookie: A=2\r\n")),
         *(send(req(fields=b"Cookie: A=2\r\n")), sees(fwd(fields=b"Cookie: A=2\r\n"), b="b2"),
           answer(ok(), b="b2"), gets(ok())) * 3, targets=2,
         pool=on("503", sticky={"app_cookie": {"name": "A"}})),
    Case("503 before the body has come: what comes goes to the other one", send(req(
        fields=b"Content-Length: 10\r\n", method=b"PUT", body=b"01234")),
         sees(fwd(fields=b"Content-Length: 10\r\n", method=b"PUT", body=b"01234")),
         answer(busy(503)),
         sees(fwd(fields=b"Content-Length: 10\r\n", method=b"PUT", body=b"01234"), b="b2", t=1),
         send(b"56789"), sees(b"56789", b="b2"), answer(ok(), b="b2"), gets(ok()),
         released(reset=None), targets=2, pool=on("503")),
    Case("503, then one that hangs up, then one that answers", send(req()), sees(fwd()),
         answer(busy(503)), sees(fwd(), b="b2", t=1), hangup("b2"), sees(fwd(), b="b3", t=2),
         answer(ok(), b="b3"), gets(ok()), targets=3, pool=on("503", "reset")),
    Case("503: the cookie names who has answered", send(req()), sees(fwd()), answer(busy(503)),
         sees(fwd(), b="b2", t=1), answer(ok(), b="b2"), gets_head(200, save="head"),
         gets(b"ok"),
         do(lambda run: run.client("c").send(req(b"/2", b"Cookie: " + run.saved["head"].split(
             b"Set-Cookie: ")[1].split(b";")[0] + b"\r\n"))),
         do(lambda run: run.backend("b2").take_head()),
         answer(ok(), b="b2"), gets(ok()), targets=2,
         pool=on("503", sticky={"cookie": {}})),
    # the budget
    Case("the budget: nothing for a pool without any", *ask(5, 502), targets=2, dead=(0, 1),
         pool={"retry_budget": {"percent": "0%", "per_second": 0}}),
    Case("the budget: one failing target of three costs a fifth more at most",
         counted("yoke_retries_total", None), counted("yoke_retries_over_budget_total", None),
         do(lambda run: one_of_three(run)), targets=3, dead=(0,),
         pool={"retry_budget": {"percent": "20%", "per_second": 0}}),
    Case("the budget: all three fail", hangs_up(REQUESTS + REQUESTS // 5, (0, 1, 2)), targets=3,
         pool={"retry_budget": {"percent": "20%", "per_second": 0}}),
    Case("the budget: a floor for a quiet pool", hangs_up(REQUESTS + 10, (0, 1, 2)), targets=3,
         pool={"retry_budget": {"percent": "0%", "per_second": 1}}),
    Case("the budget: a reload begins no new one", hangs_up(REQUESTS + 10, (0, 1, 2)),
         do(lambda run: run.yoke.reload()), hangs_up(REQUESTS, (0, 1, 2)), targets=3,
         pool={"retry_budget": {"percent": "0%", "per_second": 1}}),
    Case("the budget: without a limit, each request goes to all",
         hangs_up(3 * REQUESTS, (0, 1, 2)), targets=3, pool={"retry_budget": "1000%"}),
    Case("a pooled connection that was closed costs nothing of the budget",
         counted("yoke_retries_over_budget_total", None), *served(b"/1"), *[
             one for i in range(3) for one in (
                 send(req(b"/2")), sees(fwd(b"/2"), b=f"b{i}" if i else "b"),
                 hangup(f"b{i}" if i else "b"), sees(fwd(b"/2"), b=f"b{i + 1}"),
                 answer(ok(), b=f"b{i + 1}"), gets(ok()))],
         counted("yoke_retries_over_budget_total", 0),
         pool={"retry_budget": {"percent": "100%", "per_second": 0}}),
    Case("a target that closes pooled connections again and again has failed",
         *served(b"/1"), *served(b"/2"), send(req(b"/3")), sees(fwd(b"/3")), hangup(),
         gets_error(502, closed=False), untouched(),
         pool={"retry_budget": {"percent": "10%", "per_second": 0}}),
    Case("retries of TCP connections have the budget, too", turned_away(), untouched(1), targets=2, dead=(0,),
         pool={"retry_budget": {"percent": "0%", "per_second": 0}}, listener={"mode": "tcp"}),
]


def one_of_three(run):
    """The dead one's requests are repeated while the budget lasts, then fail."""
    client = run.client("c")
    answered = refused = 0
    for i in range(2 * REQUESTS):
        client.send(req())
        while not client.pending():
            serve(run)
        head = client.take_head()
        length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        client.take(length)
        answered += head.startswith(b"HTTP/1.1 200")
        refused += head.startswith(b"HTTP/1.1 502")
    retries = run.yoke.metric("yoke_retries_total") - run.saved["yoke_retries_total"]
    over = (run.yoke.metric("yoke_retries_over_budget_total")
            - run.saved["yoke_retries_over_budget_total"])
    if answered + refused != 2 * REQUESTS or retries > 2 * REQUESTS // 5:
        raise Failed(f"{answered} answered, {refused} refused, {retries} retries")
    if not refused or over != refused or retries < 2 * REQUESTS // 5 - 2:
        raise Failed(f"{refused} refused, {over} over budget, {retries} retries")


def serve(run):
    """Targets 1 and 2 answer what there is."""
    for t in (1, 2):
        name = f"t{t}"
        sock = run.targets[t].sock
        sock.setblocking(False)
        if name not in run.backends:
            try:
                accepted = sock.accept()[0]
            except BlockingIOError:
                continue
            accepted.setblocking(True)
            run.backends[name] = End(accepted, name)
        end = run.backends[name]
        if end.pending():
            end.take_head()
            end.send(ok())
