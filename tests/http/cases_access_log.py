"""The access log: what a line says of each way in which a request or connection can end; where the
lines go."""
import contextlib
import json
import os
import signal
import time

from cases_targets import remove
from cases_udp import FAILURES, asks, without_listener
from cases_upgrade import GOT, WS, opened, talks
from datagrams import UdpCase, grew
from harness import (Case, Failed, answer, becomes, closed, do, gets, gets_error, gets_head,
                     hangup, half_close, leave, pause, released, reload_with, sees, send, shut,
                     turned_away)
from logfile import count_of, default_file, log_to, logged, logged_text, of_case, wait_for
from messages import TE, chunked, fwd, fwd10, fwd_post, ok, ok_close, post, req, served

TOP_LEVEL = {"access_log": {"file": "@DIR@/access.log"}}
FAST = {"tcp": {}, "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 1}
TCP = {"mode": "tcp"}
COOKIE = {"sticky": {"cookie": {"name": "SRV"}}}
SOURCE = {"sticky": {"source": {}}}


def target(t=0):
    return lambda run: f"127.0.0.1:{run.targets[t].port}"


def at_least(us):
    return lambda value: isinstance(value, int) and value >= us


def said_by(t, **fields):
    """As logged, by this target."""
    return do(lambda run: logged(target=target(t)(run), **fields)[1]["function"](run))


def tcp(name, *steps, listener=None, **kw):
    return Case(name, *steps, listener={**TCP, **(listener or {})}, **kw)


def refused_first(value):
    """The first target has failed, and nothing else."""
    return value.endswith(" connect_failed") and "," not in value


def check_time(run):
    """In UTC, of this moment."""
    said = run.saved["line"]["time"]
    at = time.mktime(time.strptime(said[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
    if len(said) != 24 or said[19] != "." or said[23] != "Z" or abs(time.time() - at) > 60:
        raise Failed(f"the time is {said}")


def check_client(run):
    """Address and port, as the client's own socket says."""
    host, port = run.client("c").sock.getsockname()
    if run.saved["line"]["client"] != f"{host}:{port}":
        raise Failed(f"{run.saved['line']['client']} is not {host}:{port}")


def check_sum(run):
    line = run.saved["line"]
    if not line["connect_us"] <= line["response_us"] <= line["total_us"]:
        raise Failed(f"the times do not go together: {line}")


def cookie_of(run):
    for field in run.saved["1"].split(b"\r\n"):
        if field.startswith(b"Set-Cookie: "):
            return field[len(b"Set-Cookie: "):].partition(b";")[0]
    raise Failed(f"no cookie in {run.saved['1']}")


def send_cookie(path=b"/2"):
    return do(lambda run: run.client("c").send(
        req(path, b"Cookie: other=secret; %s\r\n" % cookie_of(run))))


def sees_cookie(path=b"/2", b="b", t=0):
    return do(lambda run: run.backend(b, t).require(
        fwd(path, b"Cookie: other=secret; %s\r\n" % cookie_of(run))))


def no_secrets(run):
    with open(default_file(run), "rb") as file:
        text = file.read()
    for secret in (b"secret", b"SRV=", b"Basic"):
        if secret in text:
            raise Failed(f"{secret!r} is in the access log")


def no_lines(run):
    if of_case(run, default_file(run)):
        raise Failed("there are lines")


# -- where lines go --

def rename(old, new):
    def move(run):
        path = os.path.join(run.yoke.dir.name, old)
        os.rename(path, os.path.join(run.yoke.dir.name, new))
    return do(move)


def hangup_signal(file):
    """SIGHUP, until the file is there again."""
    def kill(run):
        os.kill(run.yoke.process.pid, signal.SIGHUP)
        path = os.path.join(run.yoke.dir.name, file)
        wait_for(lambda: os.path.exists(path), lambda: f"{file} is not opened anew")
        run.yoke.reload()  # comes behind the one by signal
    return do(kill)


def has_lines(file, n):
    """Exactly so many, now: whoever rotates may compress the file."""
    def check(run):
        found = count_of(os.path.join(run.yoke.dir.name, file))
        if found != n:
            raise Failed(f"{file} has {found} lines, not {n}")
    return do(check)


def many(n, size=900):
    """Requests with long lines, one after the other."""
    def ask(run):
        path = b"/" + b"p" * size
        for _ in range(n):
            run.client("c").send(req(path))
            run.backend("b").require(fwd(path))
            run.backend("b").send(ok())
            run.client("c").require(ok())
    return do(ask)


def drops(metric="yoke_access_dropped_total"):
    return do(lambda run: wait_for(lambda: run.yoke.metric(metric) > run.saved.get(metric, 0),
                                   lambda: f"{metric} did not grow"))


def remember(metric="yoke_access_dropped_total"):
    return do(lambda run: run.saved.__setitem__(metric, run.yoke.metric(metric)))


def make(how, name, *args):
    return do(lambda run: how(*args, os.path.join(run.yoke.dir.name, name)))


def says(text):
    """yoked's own log has it."""
    def check(run):
        wait_for(lambda: text in run.yoke.log(), lambda: f"the log does not say {text!r}")
    return do(check)


def reopen(run):
    os.kill(run.yoke.process.pid, signal.SIGUSR1)


def lines_while_rotating(run):
    """Between moves and reloads no line is lost, or comes twice."""
    folder = run.yoke.dir.name
    total = 0
    for turn in range(8):
        many(20, 1)[1]["function"](run)
        total += 20
        os.rename(os.path.join(folder, "turn.log"), os.path.join(folder, f"turn.log.{turn}"))
        if turn % 2:
            run.yoke.reload()
        else:
            os.kill(run.yoke.process.pid, signal.SIGHUP)
            many(20, 1)[1]["function"](run)
            total += 20
            run.yoke.reload()
    log_to(file=None)[1]["function"](run)
    names = [name for name in os.listdir(folder) if name.startswith("turn.log")]
    found = sum(count_of(os.path.join(folder, name)) for name in names)
    if found != total or len(names) != 9:
        raise Failed(f"{found} lines of {total} in {sorted(names)}")


def is_open(run, path):
    """In yoke-proxy."""
    folder = f"/proc/{run.yoke.proxy_pid()}/fd"
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if os.readlink(os.path.join(folder, fd)) == path:
                return True
    return False


def lines_while_reopening(run):
    """Moves and SIGUSR1 while requests go on: no line is lost, torn or there twice, the old file is
    closed, and the configuration file, which is no configuration any more, is not read."""
    path = os.path.join(run.yoke.dir.name, "usr1.log")
    generation = run.yoke.metric("yoke_config_generation")
    with open(run.yoke.path, "w", encoding="utf-8") as file:
        file.write("{")
    asked = 0

    def ask(n):
        nonlocal asked
        many(n, 1)[1]["function"](run)
        asked += n

    for turn in range(6):
        ask(20)
        os.rename(path, f"{path}.{turn}")
        reopen(run)
        wait_for(lambda: ask(1) or count_of(path), lambda: "no line comes to the new file")
        wait_for(lambda: not is_open(run, f"{path}.{turn}"), lambda: "the old file stays open")
    if run.yoke.metric("yoke_config_generation") != generation:
        raise Failed("the configuration was read")
    log_to(file=None)[1]["function"](run)
    found = 0
    for name in [path] + [f"{path}.{turn}" for turn in range(6)]:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        found += len([json.loads(line) for line in text.splitlines()])
        if not text.endswith("\n"):
            raise Failed(f"{name} ends within a line")
    if found != asked:
        raise Failed(f"{found} lines of {asked} requests")


CASES = [
    # First: checks fill the queue of a target that accepts nothing yet, and then it is down.
    Case("a sticky cookie whose target is down", send(req()), sees(fwd()), answer(ok()),
         gets_head(200, save="1"), gets(b"ok"), logged(sticky="new"), hangup(),
         do(lambda run: run.targets[0].stop_listening()), becomes(0, "down"), send_cookie(),
         sees_cookie(b="b2", t=1), answer(ok(), b="b2"),
         gets_head(200), gets(b"ok"), said_by(1, sticky="moved"), targets=2,
         pool={**COOKIE, "health": FAST}),
    # -- responses of targets --
    Case("a request", *served(b"/a/b?q=1&r"),
         said_by(0, method="GET", host="a", path="/a/b", query="q=1&r", protocol="HTTP/1.1",
                 status=200, retries=0, reused=False, pooled=False, request_us=0,
                 bytes_in=len(req(b"/a/b?q=1&r")), bytes_out=len(ok()), total_us=at_least(1),
                 lacks=("why", "sticky", "user_agent", "referer", "cut", "sample")),
         do(check_time), do(check_client), do(check_sum)),
    Case("its pool and its listener", *served(),
         do(lambda run: logged(pool=run.name(), listener=run.name())[1]["function"](run))),
    Case("a path without a query", *served(b"/a"), logged(path="/a", lacks=("query",))),
    Case("connections that are used again",
         *served(b"/1"), logged(path="/1", reused=False, pooled=False),
         *served(b"/2"), logged(path="/2", reused=True, pooled=True, connect_us=0),
         *served(b"/3", c="2"), logged(path="/3", reused=False, pooled=True)),
    Case("user agent and referer",
         send(req(b"/", b"user-AGENT: curl/7.88.1\r\nReferer: http://example.org/x?y\r\n")),
         sees(fwd(b"/", b"user-AGENT: curl/7.88.1\r\nReferer: http://example.org/x?y\r\n")),
         answer(ok()), gets(ok()),
         logged(user_agent="curl/7.88.1", referer="http://example.org/x?y")),
    Case("a status of the target", send(req()), sees(fwd()), answer(ok(status=b"404 Not Found")),
         gets(ok(status=b"404 Not Found")), said_by(0, status=404, lacks=("why",))),
    Case("a request body",
         send(post(b"x" * 1000)), sees(fwd_post(b"x" * 1000)), answer(ok()), gets(ok()),
         logged(method="POST", bytes_in=len(post(b"x" * 1000)), bytes_out=len(ok()))),
    Case("a long body each way, spliced",
         send(post(b"x" * 2000000)), sees(fwd_post(b"x" * 2000000)), answer(ok(b"y" * 3000000)),
         gets(ok(b"y" * 3000000)),
         logged(bytes_in=len(post(b"x" * 2000000)), bytes_out=len(ok(b"y" * 3000000)), status=200,
                lacks=("why",))),
    Case("chunked bodies",
         send(req(b"/", TE, b"POST", chunked(b"ab", b"c"))),
         sees(fwd(b"/", TE, b"POST", chunked(b"ab", b"c"))),
         answer(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n" + chunked(b"defg")),
         gets(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n" + chunked(b"defg")),
         logged(bytes_in=len(req(b"/", TE, b"POST", chunked(b"ab", b"c"))),
                bytes_out=len(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n" + chunked(b"defg")))),
    Case("a body until the connection closes",
         send(req()), sees(fwd()), answer(b"HTTP/1.1 200 OK\r\n\r\nhello"),
         gets(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"), hangup(), closed(),
         logged(status=200, lacks=("why",))),
    Case("HEAD", send(req(method=b"HEAD")), sees(fwd(method=b"HEAD")),
         answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
         gets(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
         logged(method="HEAD", status=200, bytes_out=41, lacks=("why",))),
    Case("an interim response has no line of its own",
         send(req()), sees(fwd()),
         answer(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok()),
         gets(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok()),
         logged(status=200, bytes_out=len(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok())),
         *served(b"/2"), logged(path="/2")),
    Case("HTTP/1.0", send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"), sees(fwd10()), answer(ok()),
         gets(ok_close()), closed(), logged(protocol="HTTP/1.0", status=200)),
    Case("absolute form", send(b"GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), sees(fwd(b"/x?y")),
         answer(ok()), gets(ok()), logged(host="a", path="/x", query="y")),
    Case("pipelined requests have a line each",
         send(req(b"/1") + req(b"/2") + req(b"/3")),
         *[s for n in (b"1", b"2", b"3")
           for s in (sees(fwd(b"/" + n)), answer(ok(n)), gets(ok(n)))],
         logged(path="/1", bytes_in=len(req(b"/1"))), logged(path="/2", bytes_in=len(req(b"/2"))),
         logged(path="/3", reused=True)),
    Case("the time that a head takes",
         send(req()[:-2]), pause(0.5), send(b"\r\n"), sees(fwd()), answer(ok()), gets(ok()),
         logged(request_us=at_least(90000), total_us=at_least(90000))),
    Case("the time that a target takes",
         send(req()), sees(fwd()), pause(0.1), answer(ok()), gets(ok()),
         logged(request_us=0, response_us=at_least(90000), total_us=at_least(90000)),
         do(check_sum)),
    Case("the time that a body takes",
         send(req()), sees(fwd()), answer(ok(b"hello")[:-5]), gets(ok(b"hello")[:-5]), pause(0.1),
         answer(b"hello"), gets(b"hello"),
         logged(response_us=lambda us: us < 5000000, total_us=at_least(90000))),
    Case("bytes that are no text",
         send(req(b"/a", b"User-Agent: \xffa\"\\\xc3\xa9\tb\r\n")),
         sees(fwd(b"/a", b"User-Agent: \xffa\"\\\xc3\xa9\tb\r\n")), answer(ok()), gets(ok()),
         logged(user_agent="\xffa\"\\\xe9\tb")),
    Case("long texts are cut",
         send(req(b"/" + b"p" * 3000 + b"?" + b"q" * 3000)),
         sees(fwd(b"/" + b"p" * 3000 + b"?" + b"q" * 3000)), answer(ok()), gets(ok()),
         logged(path="/" + "p" * 1023, query="q" * 896, cut=True)),
    Case("no cookie, no password",
         send(req(b"/", b"Authorization: Basic c2VjcmV0\r\n")),
         sees(fwd(b"/", b"Authorization: Basic c2VjcmV0\r\n")),
         answer(ok(fields=b"Set-Cookie: id=secret\r\n")),
         gets(ok(fields=b"Set-Cookie: id=secret\r\n")), logged(status=200), do(no_secrets)),
    # -- answers of our own --
    Case("malformed", send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), gets_error(400),
         logged(status=400, why="bad_host", reused=False,
                lacks=("method", "path", "protocol", "pool", "target"))),
    Case("too large", send(req(b"/", b"X: %s\r\n" % (b"x" * 20000))), gets_error(431),
         logged(status=431, why="head_too_large")),
    Case("a malformed chunk", send(req(b"/", TE, b"POST", b"zz\r\n")), gets_error(400),
         logged(status=400, why="bad_chunk", method="POST")),
    Case("OPTIONS that we answer", send(req(b"*", b"Max-Forwards: 0\r\n", b"OPTIONS")),
         gets_head(200), logged(status=200, method="OPTIONS", path="*", lacks=("target",))),
    Case("TRACE that we do not answer",
         send(req(b"/", b"Max-Forwards: 0\r\n", b"TRACE")), gets_error(501, closed=False),
         logged(status=501, why="trace")),
    Case("no target", becomes(0, "down"), send(req()), gets_error(503, closed=False),
         logged(status=503, why="no_target", method="GET", lacks=("target", "connect_us")),
         dead=(0,), pool={"health": FAST}),
    Case("all targets refuse", send(req()), gets_error(502, closed=False),
         logged(status=502, why="connect_failed", retries=1), targets=2, dead=(0, 1)),
    Case("response_timeout", send(req()), sees(fwd()), gets_error(504, closed=False),
         said_by(0, status=504, why="response_timeout", total_us=at_least(150000),
                 lacks=("response_us",)),
         pool={"response_timeout": "150ms"}),
    Case("a target that closes without a word", send(post()), sees(fwd_post()), hangup(),
         gets_error(502, closed=False), said_by(0, status=502, why="target_closed")),
    Case("a malformed response", send(req()), sees(fwd()), answer(b"nonsense\r\n\r\n"),
         gets_error(502, closed=False), said_by(0, status=502, why="bad_response")),
    Case("a head that does not come", send(req()[:-2]), gets_error(408),
         logged(status=408, why="request_head", request_us=at_least(150000), lacks=("method",)),
         listener={"header_timeout": "150ms"}),
    Case("a body that does not come", send(post()[:-2]), sees(fwd_post()[:-2]), gets_error(408),
         logged(status=408, why="request_body", method="POST"), listener={"idle_timeout": "200ms"}),
    # -- retries, stickiness --
    Case("a retry on another target", send(req()), sees(fwd(), t=1), answer(ok()), gets(ok()),
         said_by(1, status=200, retries=1, lacks=("why",)), targets=2, dead=(0,)),
    Case("a retry on another connection",
         *served(b"/1"), logged(path="/1"), send(req(b"/2")), sees(fwd(b"/2")), hangup(),
         sees(fwd(b"/2"), b="b2"), answer(ok(), b="b2"), gets(ok()),
         said_by(0, path="/2", status=200, retries=1, pooled=False)),
    Case("a sticky cookie", send(req()), sees(fwd()), answer(ok()), gets_head(200, save="1"),
         gets(b"ok"), said_by(0, sticky="new"), send_cookie(), sees_cookie(), answer(ok()),
         gets(ok()), said_by(0, sticky="hit"), do(no_secrets), targets=2, pool=COOKIE),
    Case("a sticky source", *served(b"/1"), said_by(0, sticky="new"), *served(b"/2"),
         said_by(0, sticky="hit"), targets=2, pool=SOURCE),
    # -- ends before the end --
    Case("a client that leaves in the middle of its body", send(post()[:-2]),
         sees(fwd_post()[:-2]), leave(), released(),
         said_by(0, status=0, why="client_closed", method="POST", lacks=("response_us",))),
    Case("a client that resets while it waits", send(req()), sees(fwd()), leave(reset=True),
         released(), said_by(0, status=0, why="client_reset", bytes_out=0)),
    Case("a client that resets in the middle of a response",
         send(req()), sees(fwd()), answer(ok(b"hello")[:-2]), gets(ok(b"hello")[:-2]),
         leave(reset=True), released(), said_by(0, status=200, why="client_reset")),
    Case("a client that half-closes is served", send(req()), shut(), sees(fwd()), answer(ok()),
         gets(ok()), closed(), logged(status=200, lacks=("why",))),
    Case("a target that closes in the middle of a body", send(req()), sees(fwd()),
         answer(ok(b"hello")[:-2]), gets(ok(b"hello")[:-2]), hangup(), closed(reset=True),
         said_by(0, status=200, why="target_closed", bytes_out=len(ok(b"hello")) - 2)),
    Case("a target that stops in the middle of a body", send(req()), sees(fwd()),
         answer(ok(b"hello")[:-2]), gets(ok(b"hello")[:-2]), closed(reset=True),
         logged(status=200, why="target_timeout"), listener={"idle_timeout": "200ms"}),
    Case("a chunked response that is malformed", send(req()), sees(fwd()),
         answer(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n"),
         gets(b"HTTP/1.1 200 OK\r\n" + TE + b"\r\n"), answer(b"zz\r\n"), closed(reset=True),
         logged(status=200, why="bad_response")),
    Case("a listener without a log", *served(b"/1"), *served(b"/2"), send(b"?\r\n\r\n"),
         gets_error(400), pause(0.3),
         do(no_lines),
         listener={"access_log": False}),
    # -- TCP --
    tcp("tcp: the client closes first", send(b"hello"), sees(b"hello"), answer(b"world!"),
        gets(b"world!"), shut(), released(reset=False), hangup(), closed(),
        said_by(0, protocol="TCP", why="client_closed", bytes_in=5, bytes_out=6, retries=0,
                connect_us=at_least(0), total_us=at_least(1),
                lacks=("status", "method", "reused", "pooled", "sticky", "response_us")),
        ),
    tcp("tcp: the target closes first", send(b"hello"), sees(b"hello"), answer(b"bye"),
        half_close(), gets(b"bye"), closed(), shut(), released(),
        said_by(0, why="target_closed", bytes_in=5, bytes_out=3)),
    tcp("tcp: the client resets", send(b"x"), sees(b"x"), leave(reset=True), released(),
        said_by(0, why="client_reset", bytes_in=1, bytes_out=0)),
    tcp("tcp: the target resets", send(b"x"), sees(b"x"), hangup(reset=True), closed(reset=True),
        said_by(0, why="target_reset")),
    tcp("tcp: an idle connection", send(b"x"), sees(b"x"), closed(reset=None),
        said_by(0, why="idle_timeout", total_us=at_least(150000)),
        listener={"idle_timeout": "150ms"}),
    tcp("tcp: all targets refuse", turned_away(),
        logged(why="connect_failed", retries=1, bytes_in=0, lacks=("connect_us",)), targets=2,
        dead=(0, 1)),
    tcp("tcp: no target", becomes(0, "down"), turned_away(), logged(why="no_target"), dead=(0,),
        pool={"health": FAST}),
    tcp("tcp: sticky", send(b"x"), sees(b"x"), leave(), released(), hangup(),
        said_by(0, sticky="new", why="client_closed"), pool=SOURCE),
    # -- UDP --
    UdpCase("udp: answered", *asks(b"hello"),
            said_by(0, protocol="UDP", why="answered", bytes_in=5, bytes_out=8, datagrams_in=1,
                    datagrams_out=1, retries=0, chosen="balanced", total_us=at_least(1),
                    lacks=("status", "method", "connect_us", "response_us", "request_us", "reused",
                           "failed", "sticky")),
            do(check_client), do(check_time), listener={"responses": 1}),
    UdpCase("udp: an idle session", *asks(b"1"), *asks(b"22"), answer(b"more"), gets(b"more"),
            said_by(0, why="idle_timeout", bytes_in=3, bytes_out=13, datagrams_in=2,
                    datagrams_out=3, total_us=at_least(1000000)), listener={"idle_timeout": "1s"}),
    UdpCase("udp: no response", send(b"?"), sees(b"?"),
            said_by(0, why="response_timeout", datagrams_in=1, datagrams_out=0, bytes_out=0),
            listener={"responses": 1, "idle_timeout": "150ms"}),
    UdpCase("udp: a session makes room for a newer one", *asks(b"1", c="1"),
            *asks(b"2", c="2", b="b2"), logged(why="evicted", bytes_in=1),
            listener={"max_connections": 1}),
    UdpCase("udp: a target that refuses is passed over", remember(FAILURES), send(b"lost"),
            grew(FAILURES), *asks(b"x", t=1), remove(0), reload_with(without_listener),
            said_by(1, why="listener_closed", retries=1, chosen="retry", failed=refused_first,
                    datagrams_in=2, datagrams_out=1),
            targets=2, dead=(0,)),
    UdpCase("udp: all targets refuse", remember(FAILURES), send(b"lost"), grew(FAILURES),
            said_by(0, why="connect_failed", retries=0, failed=refused_first, datagrams_in=1),
            dead=(0,)),
    UdpCase("udp: sticky", *asks(b"1", c="1"), said_by(0, sticky="new"), *asks(b"2", c="2", b="b2"),
            said_by(0, sticky="hit"), pool=SOURCE, listener={"responses": 1}),
    UdpCase("udp: a listener that goes", *asks(b"1"), reload_with(without_listener),
            logged(why="listener_closed", bytes_in=1, bytes_out=4)),
    UdpCase("udp: a listener without a log", *asks(b"1", c="1"), *asks(b"2", c="2", b="b2"),
            pause(0.3), do(no_lines), listener={"responses": 1, "access_log": False}),
    Case("routes", send(req(b"/tea")), gets_error(418, closed=False),
         logged(status=418, route="tea", path="/tea", lacks=("target", "why", "pool")),
         send(req(b"/none")), gets_error(404, closed=False),
         logged(status=404, why="no_route", lacks=("target", "route", "pool")),
         routes=[{"name": "tea", "path": "/tea", "respond": {"status": 418, "body": "short"}}],
         default=None),
    Case("a tunnel", *opened, logged(status=101, path="/", bytes_in=len(WS), bytes_out=len(GOT),
                                     lacks=("why",)),
         *talks, leave(), released(), hangup(),
         said_by(0, protocol="tunnel", why="client_closed", bytes_in=4, bytes_out=5,
                 lacks=("method", "status", "connect_us"))),
    # -- settings, each with a file of its own from here on --
    Case("combined",
         log_to(file="combined.log", format="combined"),
         send(req(b"/a?b", b"Referer: http://r/\r\nUser-Agent: x\"y\xff\r\n")),
         sees(fwd(b"/a?b", b"Referer: http://r/\r\nUser-Agent: x\"y\xff\r\n")),
         answer(ok(b"hello")), gets(ok(b"hello")),
         logged_text(rb'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] '
                     rb'"GET /a\?b HTTP/1\.1" 200 5 "http://r/" "x\\x22y\\xff"', "combined.log")),
    Case("combined: an answer of our own, a client that left, a malformed one",
         log_to(file="combined2.log", format="combined"), becomes(0, "down"), send(req()),
         gets_error(503, closed=False),
         logged_text(rb'127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 503 [1-9]\d? "-" "-"',
                     "combined2.log"),
         send(b"GET\r\n\r\n"), gets_error(400),
         logged_text(rb'127\.0\.0\.1 - - \[.*\] "-" 400 [1-9]\d? "-" "-"', "combined2.log"),
         dead=(0,), pool={"health": FAST}),
    Case("combined: nothing was said to the client",
         log_to(file="combined3.log", format="combined"), send(req()), sees(fwd()),
         leave(reset=True), released(),
         logged_text(rb'127\.0\.0\.1 - - \[.*\] "GET / HTTP/1\.1" 499 0 "-" "-"', "combined3.log")),
    tcp("combined has no line for tcp",
        log_to(file="combined4.log", format="combined"), send(b"x"), sees(b"x"), leave(),
        released(), log_to(file=None), has_lines("combined4.log", 0)),
    UdpCase("combined has no line for udp",
            log_to(file="combined5.log", format="combined"), *asks(b"1"), log_to(file=None),
            has_lines("combined5.log", 0), listener={"responses": 1}),
    Case("without queries", log_to(file="plain.log", query=False), *served(b"/a?token=secret"),
         logged("plain.log", path="/a", lacks=("query",))),
    Case("a sample", log_to(file="sample.log", sample=3),
         *[s for n in range(7) for s in served(b"/%d" % n)], send(b"?\r\n\r\n"), gets_error(400),
         logged("sample.log", path="/2", sample=3), logged("sample.log", path="/5"),
         logged("sample.log", status=400)),
    Case("switched off, and on again", *served(b"/1"), log_to(file=None), *served(b"/2"),
         log_to(file="on.log"), *served(b"/3"), logged("on.log", path="/3")),
    Case("switched off during a request", log_to(file="off.log"), send(req(b"/1")),
         sees(fwd(b"/1")), log_to(file=None), answer(ok()), gets(ok()), *served(b"/2"),
         has_lines("off.log", 0)),
    # -- rotation --
    Case("reopened by a reload that changes nothing",
         log_to(file="a.log"), *served(b"/1"), *served(b"/2"), rename("a.log", "a.log.1"),
         *served(b"/3"), do(lambda run: run.yoke.reload()), has_lines("a.log.1", 3), *served(b"/4"),
         logged("a.log", path="/4")),
    Case("reopened by SIGHUP",
         log_to(file="b.log"), *served(b"/1"), rename("b.log", "b.log.1"), hangup_signal("b.log"),
         has_lines("b.log.1", 1), *served(b"/2"), logged("b.log", path="/2")),
    Case("a request over a rotation is in the new file",
         log_to(file="c.log"), send(req(b"/1")), sees(fwd(b"/1")), rename("c.log", "c.log.1"),
         do(lambda run: run.yoke.reload()), answer(ok()), gets(ok()), logged("c.log", path="/1"),
         has_lines("c.log.1", 0)),
    Case("a change of file and format keeps both apart",
         log_to(file="d.log"), *served(b"/1"), log_to(file="e.log", format="combined"),
         *served(b"/2"), has_lines("d.log", 1), logged("d.log", path="/1"),
         logged_text(rb'.* "GET /2 HTTP/1\.1" 200 2 "-" "-"', "e.log")),
    Case("no line is lost by rotations", log_to(file="turn.log"), do(lines_while_rotating)),
    Case("SIGUSR1 opens the file anew, and nothing else",
         log_to(file="usr1.log"), do(lines_while_reopening)),
    Case("SIGUSR1 without a log, and with one that cannot be opened",
         log_to(file=None), do(reopen), says("there is no access log"),
         make(os.mkdir, "away"), log_to(file="away/h.log"),
         rename("away", "gone"), do(reopen), says("its lines go where they went"), *served(b"/1"),
         logged("gone/h.log", path="/1"), log_to(file=None)),
    Case("a file that cannot be opened is refused, and the old one goes on",
         log_to(file="f.log"),
         do(lambda run: refuse(run, "@DIR@/missing/x.log", "No such file or directory")),
         do(lambda run: refuse(run, "@DIR@", "Is a directory")),
         *served(b"/1"), logged("f.log", path="/1"), log_to(file="f.log")),
    # -- who does not take the lines --
    Case("a full disk", make(os.symlink, "full", "/dev/full"), remember(),
         log_to(file="full", buffer="64KiB"), many(150), drops(), says("No space left on device"),
         log_to(file=None), *served(b"/1")),
    Case("a FIFO that nobody reads", make(os.mkfifo, "fifo"), remember(),
         log_to(file="fifo", buffer="64KiB"), many(250), drops(), says("nobody reads it"),
         log_to(file=None), *served(b"/1")),
    Case("a FIFO that is read", make(os.mkfifo, "read"), log_to(file="read"),
         do(lambda run: read_fifo(run, "read")), log_to(file=None)),
]


def refuse(run, file, why):
    run.yoke.config["access_log"] = {"file": file}
    run.yoke.write_config()
    status, body = run.yoke.admin("/v1/reload", "POST")
    if status != 422 or why not in body.decode() or "access_log.file" not in body.decode():
        raise Failed(f"POST /v1/reload: {status} {body!r}")


def read_fifo(run, name):
    """A reader that comes late gets whole lines."""
    fd = os.open(os.path.join(run.yoke.dir.name, name), os.O_RDONLY | os.O_NONBLOCK)
    try:
        many(100)[1]["function"](run)
        data = b""

        def more():
            nonlocal data
            try:
                data += os.read(fd, 1 << 16)
            except BlockingIOError:
                pass
            return data.count(b"\n") >= 100
        wait_for(more, lambda: f"{data.count(10)} lines")
        for line in data.splitlines():
            if not line.startswith(b"{\"time\"") or not line.endswith(b"}"):
                raise Failed(f"a line in pieces: {line!r}")
    finally:
        os.close(fd)
