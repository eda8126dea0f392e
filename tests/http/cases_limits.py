"""How much one client may ask for: rate limits, connections by source, bodies that must come with some
speed; and that each refusal is counted by the word that the access log has for it."""
import collections
import json
import os
import re
import time

from datagrams import UdpCase, grew, remember
from harness import (STEP_TIMEOUT, Case, Failed, answer, closed, counted, do, gets, gets_error, hangup, leave,
                     pause, reload_with, sees, send, show, turned_away, untouched)
from logfile import logged, read_lines
from messages import TE, fwd, ok, post, req, served
from proxy_headers import v1
from transfer import copy, pattern, push, require_equal

TOP_LEVEL = {"access_log": {"file": "@DIR@/access.log"}}
# What the routes of these cases say themselves, so that no target is in the way.
SAID = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
SAY = {"respond": {"status": 200}}
# No second one while the case runs, however slow the machine is.
ONCE = {"rate": "1/h"}
RETRY = re.compile(rb"\r\nRetry-After: (\d+)\r\n")


def limited(c="c", status=429, within=(1100, 3600), closes=False, head=False):
    """The client is told that it asks too much, and when to come again."""
    def check(run):
        end = run.client(c)
        got = end.take_head()
        after = RETRY.search(got)
        if not got.startswith(b"HTTP/1.1 %d " % status) or not after:
            raise Failed(f"not {status} with Retry-After: {show(got)}")
        if not within[0] <= int(after[1]) <= within[1]:
            raise Failed(f"Retry-After {after[1]!r} is not in {within}")
        if not head:
            end.take(int(re.search(rb"Content-Length: (\d+)", got)[1]))
        if closes:
            end.require_end(False)
    return do(check)


def asks(*requests, c="c", source=None, over=()):
    """Requests one after the other; those whose numbers are in `over` are too many."""
    steps = []
    for n, request in enumerate(requests):
        steps += [send(request, c=c, source=source),
                  limited(c) if n in over else gets(SAID, c=c)]
    return steps


def limit(name, *steps, route=None, **settings):
    """One limit of the listener, which answers everything itself."""
    return Case("rate: " + name, *steps, routes=[{"path": "/*", **SAY, **(route or {})}],
                listener={"rate_limit": {**ONCE, **settings}})


def get(path=b"/", host=b"a", **fields):
    return req(path, b"".join(b"%s: %s\r\n" % (name.replace("_", "-").encode(), value)
                              for name, value in fields.items()), host=host)


def comes_back(run):
    """Two at once, in one turn of the loop, and then again until one is served: not too early."""
    client = run.client("c")
    began = time.monotonic()
    client.send(req() + req())
    client.require(SAID)
    refused = client.take_head()
    if b" 429 " not in refused:
        raise Failed(f"the second one at once is not refused: {show(refused)}")
    client.take(int(re.search(rb"Content-Length: (\d+)", refused)[1]))
    while True:
        client.send(req())
        head = client.take_head()
        if head.startswith(b"HTTP/1.1 200"):
            break
        client.take(int(re.search(rb"Content-Length: (\d+)", head)[1]))
        if time.monotonic() > began + STEP_TIMEOUT:
            raise Failed("it does not come back")
        time.sleep(0.005)
    if time.monotonic() - began < 0.2:
        raise Failed(f"it came back after {time.monotonic() - began:.3f} s already")


def rate_metric(run, action, route=""):
    return run.yoke.metric(f'yoke_rate_limited_total{{listener="{run.name()}",route="{route}",'
                           f'limit="0",action="{action}"}}')


def rate_counted(action, n, route=""):
    def check(run):
        if rate_metric(run, action, route) != n:
            raise Failed(f"{action}: {rate_metric(run, action, route)}, not {n}")
    return do(check)


def checks_go_on(run):
    """The process asks its own listener several times more."""
    metric = (f'yoke_listener_answered_timestamp_seconds{{listener="{run.name()}",'
              f'address="{run.address}:{run.port}"}}')
    def answered():
        text = run.yoke.admin("/metrics")[1].decode()
        return next((line for line in text.splitlines() if line.startswith(metric)), None)
    seen = set()

    def several():
        seen.add(answered())
        return len(seen) > 3
    run.yoke.wait_for(several, lambda: f"it is not asked, or does not answer: {seen}")


def set_limit(value):
    def change(run, listeners, _):
        listeners[run.name()]["rate_limit"] = value
    return reload_with(change)


def forget(run):
    run.yoke.reload(lambda config: config.update(rate_limit_keys=2000))


def comes_in_time(run):
    """At a request a second, who was refused for an hour is served within seconds."""
    def served_now():
        run.client("c").send(req())
        head = run.client("c").take_head()
        if head.startswith(b"HTTP/1.1 200"):
            return True
        run.client("c").take(int(re.search(rb"Content-Length: (\d+)", head)[1]))
        return False
    run.yoke.wait_for(served_now, lambda: "still refused")


def turned_away_from(run, c, source):
    try:
        run.client(c, source).require_end(None)
    except ConnectionResetError:
        pass


KEY = {"header": "X-Key"}
SID = {"cookie": "sid"}

RATES = [
    limit("a burst passes, what is over it is 429",
          *asks(*[req()] * 3), send(req()), limited(within=(1100, 1200)), rate="3/h"),
    limit("the burst is as large as it says", *asks(*[req()] * 4, over=(2, 3)), burst=2),
    Case("rate: as a word", *asks(req(), req(), over=(1,)), routes=[SAY],
         listener={"rate_limit": "1/h"}),
    Case("rate: who waits is served again", do(comes_back), routes=[SAY],
         listener={"rate_limit": {"rate": "300/m", "burst": 1}}),
    Case("rate: the connection goes on, and targets hear nothing of it",
         *served(), send(req()), limited(), untouched(), listener={"rate_limit": "1/h"}),
    Case("rate: a body that is not read", *served(), send(post()), limited(closes=True), untouched(),
         listener={"rate_limit": "1/h"}),
    limit("HEAD", *asks(req()), send(req(method=b"HEAD")), limited(head=True)),
    limit("another status", *asks(req()), send(req()), limited(status=503), status=503),
    limit("the burst is the number of the rate, the next one comes a second later",
          send(req() * 61), gets(SAID * 60), limited(within=(1, 1)), rate="60/m"),
    # source
    limit("each source has its own", *asks(req(), req(), over=(1,)),
          *asks(req(), req(), c="2", source="127.0.0.2", over=(1,)), key="source"),
    limit("connections of a source count together", *asks(req()), *asks(req(), c="2", over=(0,))),
    limit("a prefix is a source", *asks(req(), source="127.0.0.1"),
          *asks(req(), c="2", source="127.0.0.200", over=(0,)),
          *asks(req(), c="3", source="127.0.1.1"), prefix4=24),
    Case("rate: the source is whom the PROXY header names",
         *asks(v1("192.0.2.1") + req()), *asks(v1("192.0.2.2") + req(), c="2"),
         *asks(v1("192.0.2.1") + req(), c="3", over=(0,)), routes=[SAY],
         listener={"rate_limit": ONCE, "proxy_protocol": True}),
    Case("rate: by default half of an IPv6 address is a source",
         *asks(v1("2001:db8::1", "2001:db8::") + req()),
         *asks(v1("2001:db8:0:1::1", "2001:db8::") + req(), c="2"),
         *asks(v1("2001:db8::2", "2001:db8::") + req(), c="3", over=(0,)), routes=[SAY],
         listener={"rate_limit": ONCE, "proxy_protocol": True}),
    # header
    limit("a header", *asks(get(X_Key=b"a"), get(X_Key=b"b"), get(X_Key=b"a"), over=(2,)),
          *asks(get(X_Key=b"b"), c="2", source="127.0.0.2", over=(0,)), key=KEY),
    limit("a header without capitals", *asks(get(X_Key=b"a"), get(x_key=b"a"), over=(1,)), key=KEY),
    limit("without the header the source counts", *asks(req(), get(X_Key=b"a"), req(), over=(2,)),
          *asks(req(), c="2", source="127.0.0.2"), key=KEY),
    limit("an empty header is none", *asks(get(X_Key=b""), req(), over=(1,)), key=KEY),
    limit("the first of two fields counts",
          *asks(req(fields=b"X-Key: a\r\nX-Key: b\r\n"), get(X_Key=b"b"), get(X_Key=b"a"),
                over=(2,)), key=KEY),
    # cookie
    limit("a cookie", *asks(get(Cookie=b"x=1; sid=a"), get(Cookie=b"sid=b"), get(Cookie=b"sid=a; y=2"),
                            over=(2,)), key=SID),
    limit("without the cookie the source counts",
          *asks(req(), get(Cookie=b"sid=a"), get(Cookie=b"side=a"), over=(2,)), key=SID),
    # host, path, none
    limit("a host", *asks(get(host=b"a.example"), get(host=b"b.example"), get(host=b"A.Example:80"),
                          over=(2,)),
          *asks(get(host=b"b.example"), c="2", source="127.0.0.2", over=(0,)), key="host"),
    limit("a host in brackets", *asks(get(host=b"[::1]:80"), get(host=b"[::2]"), get(host=b"[::1]"),
                                      over=(2,)), key="host"),
    limit("a path", *asks(get(b"/a?1"), get(b"/b"), get(b"/a?2"), get(b"//x/../%61"), over=(2, 3)),
          key="path"),
    limit("all together", *asks(get(b"/a")), *asks(get(b"/b"), c="2", source="127.0.0.2", over=(0,)),
          key="none"),
    limit("our own requests do not count", *asks(req()), do(checks_go_on), key="none"),
    # several, routes
    Case("rate: each of several must allow it",
         *asks(get(b"/a"), get(b"/b"), get(b"/a"), over=(2,)),
         *asks(get(b"/c"), c="2", source="127.0.0.2"), *asks(get(b"/d"), c="2", over=(0,)),
         routes=[SAY], listener={"rate_limit": [{"rate": "1/h", "key": "path"},
                                                {"rate": "3/h", "key": "none"}]}),
    Case("rate: a route has its own", *asks(get(b"/a"), get(b"/a"), get(b"/b"), get(b"/b"), over=(1,)),
         rate_counted("refused", 1, "limited"),
         routes=[{"name": "limited", "path": "/a", "rate_limit": ONCE, **SAY}, SAY]),
    Case("rate: routes do not share one", *asks(get(b"/a"), get(b"/b"), get(b"/a"), get(b"/b"), over=(2, 3)),
         rate_counted("refused", 1, "0"), rate_counted("refused", 1, "1"),
         routes=[{"path": "/a", "rate_limit": ONCE, **SAY}, {"path": "/b", "rate_limit": ONCE, **SAY}]),
    Case("rate: a route that is called as the number of another one",
         *asks(get(b"/a"), get(b"/b"), get(b"/a"), get(b"/b"), over=(2, 3)),
         routes=[{"name": "1", "path": "/a", "rate_limit": ONCE, **SAY},
                 {"path": "/b", "rate_limit": ONCE, **SAY}]),
    Case("rate: a route that redirects", send(get(b"/a")),
         gets(b"HTTP/1.1 302 Found\r\nLocation: http://a/b\r\nContent-Length: 0\r\n\r\n"),
         send(get(b"/a")), limited(),
         routes=[{"path": "/a", "rate_limit": "1/h", "redirect": {"path": "/b"}}]),
    Case("rate: a route with a pool", *served(b"/a"), send(req(b"/a")), limited(), *served(b"/b"),
         routes=[{"path": "/a", "rate_limit": "1/h", "pool": "t0"}]),
    Case("rate: the listener's comes first", *asks(get(b"/a")), send(get(b"/nowhere")), limited(),
         routes=[{"path": "/a", **SAY}], listener={"rate_limit": ONCE}, default=None),
    # what is seen of it
    limit("the access log says why", *asks(req()), logged(status=200, lacks=("why",)),
          send(req()), limited(), logged(status=429, why="rate_limited", lacks=("target",)),
          rate_counted("refused", 1)),
    limit("log_only: all pass", *asks(req(), req()), logged(status=200, lacks=("why",)),
          logged(status=200, why="rate_limit_log_only"), rate_counted("logged", 1),
          rate_counted("refused", 0), log_only=True),
    # reloads
    limit("a reload forgives nobody", *asks(req()), set_limit({"rate": "1/h"}), send(req()),
          limited(), rate_counted("refused", 1), set_limit(["1/h", "5/h"]), send(req()), limited(),
          rate_counted("refused", 2)),
    limit("nor one of all", *asks(req()), set_limit({"rate": "1/h", "key": "none"}), send(req()),
          limited(), key="none"),
    limit("a new limit is in force at once", *asks(req(), req(), over=(1,)), set_limit("3600/h"),
          do(lambda run: comes_in_time(run))),
    limit("a new limit with a small burst, too", *asks(req(), req(), over=(1,)),
          set_limit({"rate": "3600/h", "burst": 1}), do(lambda run: comes_in_time(run))),
    limit("another number of keys forgets them", *asks(req(), req(), over=(1,)), do(forget),
          *asks(req(), req(), over=(1,))),
    # mode tcp
    Case("rate: connections of mode tcp", send(b"1"), sees(b"1"), turned_away("2"),
         send(b"3", c="3", source="127.0.0.2"), sees(b"3", b="b3"),
         listener={"mode": "tcp", "rate_limit": ONCE}),
    Case("rate: connections of mode tcp, all together", send(b"1"), sees(b"1"),
         do(lambda run: turned_away_from(run, "2", "127.0.0.2")),
         listener={"mode": "tcp", "rate_limit": {**ONCE, "key": "none"}}),
    Case("rate: connections of mode tcp, only logged", send(b"1"), sees(b"1"), send(b"2", c="2"),
         sees(b"2", b="b2"), rate_counted("logged", 1),
         listener={"mode": "tcp", "rate_limit": {**ONCE, "log_only": True}}),
]


OVER = "yoke_connections_over_source_total"
UDP_OVER = "yoke_udp_dropped_source_total"


def comes_in(c, source=None):
    """That a connection has ended may take a moment to be known."""
    def check(run):
        def is_served():
            try:
                end = run.client(c, source)
                end.send(req())
                end.require(SAID)
                return True
            except (Failed, OSError):
                if c in run.clients:
                    run.clients.pop(c).close()
                return False
        run.yoke.wait_for(is_served, lambda: "still turned away")
    return do(check)


def per_source(name, *steps, limit=2, **kw):
    listener = {"max_connections_per_source": limit, **kw.pop("listener", {})}
    return Case("per source: " + name, *steps, listener=listener, **kw)


UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

CONNECTIONS = [
    per_source("as many as it may have, and no more", *asks(req()), *asks(req(), c="2"),
               counted(OVER, None), turned_away("3"), counted(OVER), *asks(req()),
               *asks(req(), c="2"), routes=[SAY]),
    per_source("another source has its own", *asks(req()), *asks(req(), c="2", source="127.0.0.2"),
               turned_away("3"), limit=1, routes=[SAY]),
    per_source("who leaves makes room", *asks(req()), leave(), comes_in("2"), turned_away("3"),
               limit=1, routes=[SAY]),
    per_source("a prefix is a source", *asks(req(), source="127.0.0.1"), turned_away("2"),
               *asks(req(), c="3", source="127.0.1.1"), routes=[SAY],
               limit={"max": 1, "prefix4": 24}),
    per_source("who says nothing counts as well", do(lambda run: run.client("c")),
               turned_away("2"), *asks(req()), limit=1, routes=[SAY]),
    per_source("the source is whom the PROXY header names", *asks(v1("192.0.2.1") + req()),
               *asks(v1("192.0.2.2") + req(), c="2"), send(v1("192.0.2.1") + req(), c="3"),
               closed("3", reset=True), limit=1, routes=[SAY], listener={"proxy_protocol": True}),
    per_source("a tunnel counts on", send(req(fields=UPGRADE)),
               do(lambda run: run.backend("b").take_head()), answer(SWITCH), gets(SWITCH), turned_away("2"), leave(), hangup(), comes_in("3"), limit=1,
               routes=[{"path": "/", "header": {"Upgrade": "*"}, "pool": "t0"}, SAY]),
    per_source("mode tcp", send(b"1"), sees(b"1"), turned_away("2"),
               send(b"3", c="3", source="127.0.0.2"), sees(b"3", b="b3"), limit=1,
               listener={"mode": "tcp"}),
    per_source("a reload counts on", *asks(req()), reload_with(
        lambda run, listeners, _: listeners[run.name()].update(max_connections=100)),
               turned_away("2"), limit=1, routes=[SAY]),
    UdpCase("per source: sessions of mode udp", send(b"1"), sees(b"1"), remember(UDP_OVER),
            send(b"2", c="2"), grew(UDP_OVER), send(b"3", c="3", source="127.0.0.2"),
            sees(b"3", b="b3"), send(b"4"), sees(b"4"),
            listener={"max_connections_per_source": 1}),
    per_source("our own requests do not count", *asks(req()), do(checks_go_on), limit=1, routes=[SAY]),
]


def body_case(name, *steps, rate="1KiB/s", grace="200ms", **listener):
    return Case("body rate: " + name, *steps,
                listener={"min_body_rate": {"rate": rate, "grace": grace}, **listener})


def put(n, fields=b""):
    return req(method=b"PUT", fields=fields + b"Content-Length: %d\r\n" % n)


def target_rests(run):
    """The target takes nothing for longer than the client has time, and then everything."""
    data = pattern(16 << 20)
    client = run.client("c")
    client.send(put(len(data)))
    backend = run.backend("b")
    backend.take_head()
    left = push(client, data)
    time.sleep(2.5)
    require_equal(copy(client, backend, left, len(data)), data)


def trickle(run, head, piece):
    """Until it is refused. Pieces come more often than timers tick, and must not put it off."""
    client = run.client("c")
    client.send(head)
    for _ in range(150):
        if client.pending():
            break
        client.send(piece)
        time.sleep(0.02)
    else:
        raise Failed("it is not refused")
    if not client.take_head().startswith(b"HTTP/1.1 408 "):
        raise Failed("no 408")
    client.ahead = b""
    client.close()
    del run.clients["c"]


BODIES = [
    body_case("one that stops is told", send(put(100000) + b"x" * 10), gets_error(408),
              logged(status=408, why="body_too_slow")),
    body_case("one that does not begin is told", send(put(100000)), gets_error(408),
              logged(status=408, why="body_too_slow")),
    body_case("one that comes byte by byte, too slowly",
              do(lambda run: trickle(run, put(100000), b"x")), logged(status=408, why="body_too_slow")),
    body_case("chunks that come too slowly",
              do(lambda run: trickle(run, req(method=b"PUT", fields=TE), b"1\r\nx\r\n")),
              logged(status=408, why="body_too_slow")),
    body_case("one that is read to its end first", send(put(100000) + b"x" * 10), gets_error(408),
              untouched(), logged(why="body_too_slow"), buffer_request="1MiB"),
    body_case("what came counts for the time that follows", send(put(20) + b"x" * 10),
              do(lambda run: run.backend("b").take_head()), pause(0.5), send(b"y" * 10),
              sees(b"x" * 10 + b"y" * 10), answer(ok()), gets(ok()), rate="1B/s"),
    body_case("who expects 100 waits for the target", send(put(5, b"Expect: 100-continue\r\n")),
              do(lambda run: run.backend("b").take_head()), pause(0.5),
              answer(b"HTTP/1.1 100 Continue\r\n\r\n"), gets(b"HTTP/1.1 100 Continue\r\n\r\n"),
              send(b"hello"), sees(b"hello"), answer(ok()), gets(ok())),
    body_case("without a body there is nothing to wait for", send(req()), sees(fwd()), pause(0.5),
              answer(ok()), gets(ok())),
    body_case("who was answered takes the time that he needs", send(put(10) + b"x"),
              do(lambda run: run.backend("b").take_head()), sees(b"x"),
              answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
              gets(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"), pause(0.5),
              send(b"y" * 9), sees(b"y" * 9), answer(b"ok"), gets(b"ok"),
              do(lambda run: run.client("c").require_end(None))),
    body_case("a target that does not take it is not the client's fault", do(target_rests),
              answer(ok()), gets(ok()), rate="64MiB/s", grace="2s"),
    Case("body rate: none by default", send(put(20) + b"x"), do(lambda run: run.backend("b").take_head()),
         pause(0.5), send(b"y" * 19), sees(b"x" + b"y" * 19), answer(ok()), gets(ok())),
    Case("silent: who says nothing is closed, and counted",
         counted("yoke_connections_silent_total", None), turned_away(),
         counted("yoke_connections_silent_total"), listener={"header_timeout": "200ms"}),
]


# -- every refusal has a reason ---------------------------------------------------------------

def refusals(run, what):
    pattern_ = re.compile(r'yoke_refused_total\{what="%s",reason="(\w+)"\} (\d+)' % what)
    text = run.yoke.admin("/metrics")[1].decode()
    return collections.Counter({m[1]: int(m[2]) for m in pattern_.finditer(text)})


def log_agrees(run):
    """Over all that this process has refused, in all cases until now."""
    path = os.path.join(run.yoke.dir.name, "access.log")

    def logged_refusals():
        lines = [json.loads(line) for line in read_lines(path)]
        return collections.Counter(line["why"] for line in lines
                                   if "why" in line and line.get("status", 0) >= 400)
    run.yoke.wait_for(lambda: logged_refusals() == refusals(run, "request"), lambda:
                      f"the log says {logged_refusals()}, metrics {refusals(run, 'request')}")


def reasons_occurred(what, *reasons):
    def check(run):
        missing = set(reasons) - set(refusals(run, what))
        if missing:
            raise Failed(f"not counted: {missing}; there are {refusals(run, what)}")
    return do(check)


def refused(name, *steps, **kw):
    return Case("reasons: " + name, *steps, **kw)


def answers_never(run):
    """The target has the request, and is closed without a word."""
    run.backend("b").take_head()
    run.backend("b").require(b"hello")
    run.backends.pop("b").close()


REASONS = [
    refused("malformed", send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), gets_error(400)),
    refused("smuggling", send(req(fields=b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")),
            gets_error(400)),
    refused("version", send(b"GET / HTTP/2.7\r\n\r\n"), gets_error(505)),
    refused("large head", send(req(fields=b"X: " + b"x" * 20000 + b"\r\n")), gets_error(431)),
    refused("large body", send(put(10)), gets_error(413), listener={"max_body_size": "5B"}),
    refused("bad chunk", send(req(method=b"PUT", fields=TE) + b"x\r\n"), gets_error(400)),
    refused("CONNECT", send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"), gets_error(501)),
    refused("TRACE", send(req(method=b"TRACE", fields=b"Max-Forwards: 0\r\n")),
            gets_error(501, closed=False)),
    refused("head in time", send(b"GET"), gets_error(408), listener={"header_timeout": "100ms"}),
    refused("body in time", send(put(5)), do(lambda run: run.backend("b").take_head()),
            gets_error(408), listener={"idle_timeout": "200ms"}),
    refused("no route", send(req()), gets_error(404, closed=False), routes=[{"path": "/a", **SAY}],
            default=None),
    refused("path", send(req(b"/../a")), gets_error(400, closed=False),
            routes=[{"path": "/a", **SAY}]),
    refused("connect", send(req()), gets_error(502, closed=False), dead=(0,)),
    refused("target closes", send(post()), do(answers_never), gets_error(502, closed=False)),
    refused("bad response", send(req()), sees(fwd()), answer(b"nonsense\r\n\r\n"),
            gets_error(502, closed=False), do(lambda run: run.backend("b").require_end(None))),
    refused("late response", send(req()), sees(fwd()), gets_error(504, closed=False),
            do(lambda run: run.backend("b").require_end(None)), pool={"response_timeout": "100ms"}),
    refused("no PROXY header", send(req()), closed(reset=True), listener={"proxy_protocol": True}),
    refused("late PROXY header", send(b"PROXY"), closed(reset=True),
            listener={"proxy_protocol": True, "header_timeout": "100ms"}),
    refused("tcp: no ClientHello", send(b"x" * 100), closed(reset=True), default=None,
            routes=[{"sni": "a.example", "pool": "t0"}], listener={"mode": "tcp"}),
    refused("tcp: connect", do(lambda run: turned_away_from(run, "c", None)), dead=(0,),
            listener={"mode": "tcp"}),
    refused("too many connections", *asks(req()), turned_away("2"), routes=[SAY],
            listener={"max_connections": 1}),
    refused("all of these are counted", reasons_occurred(
        "request", "bad_host", "length_and_transfer_encoding", "bad_version", "head_too_large",
        "body_too_large", "bad_chunk", "connect", "trace", "request_head", "request_body", "no_route",
        "bad_path", "connect_failed", "target_closed", "bad_response", "response_timeout",
        "rate_limited", "body_too_slow"), reasons_occurred(
            "connection", "no_proxy_header", "preface_late", "no_route", "connect_failed",
            "max_connections", "max_connections_per_source", "rate_limited")),
    refused("the access log has each of them", do(log_agrees)),
]

CASES = RATES + CONNECTIONS + BODIES + REASONS
