"""Decisions explain themselves: the field that a listener may put into responses (explain_header), and what
the access log says of the same requests."""
import os
import re

from cases_queue import waits
from harness import (Case, Failed, answer, becomes, closed, counted, do, gets, gets_error, gets_head, hangup, leave,
                     released, reload_with, sees, send, turned_away, untouched)
from hellos import hello
from logfile import logged
from messages import fwd, fwd_post, ok, post, req

TOP_LEVEL = {"access_log": {"file": "@DIR@/access.log"}}
ON = {"explain_header": "X-Why"}
DOWN = {"tcp": {}, "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 1}


def items(text):
    """A dictionary of RFC 9651 as yoke writes it: keys and the text of their values."""
    return dict(part.split("=", 1) for part in re.split(r", (?=[a-z_]+=)", text))


def told(status=200, body=b"ok", lacks=(), c="c", **wanted):
    """The client gets a response whose explanation has these items: {0} is target 0, and so on."""
    def look(run):
        end = run.client(c)
        head = end.take_head()
        end.require(body)
        if not head.startswith(b"HTTP/1.1 %d " % status):
            raise Failed(f"not {status}: {head!r}")
        lines = re.findall(rb"\r\nX-Why: ([^\r]*)\r\n", head)
        if len(lines) != 1:
            raise Failed(f"{len(lines)} explanations in {head!r}")
        found = items(lines[0].decode())
        names = {str(i): f'"127.0.0.1:{t.port}"' for i, t in enumerate(run.targets)}
        for key, text in wanted.items():
            text = re.sub(r"\{(\d)\}", lambda m: names[m[1]], text).replace("{pool}", f'"{run.name()}"')
            if not re.fullmatch(text, found.get(key, "")):
                raise Failed(f"{key} is {found.get(key)}, not {text}, in {found}")
        there = [key for key in lacks if key in found]
        if there:
            raise Failed(f"{there} in {found}")
    return do(look)


def asked(target=0, b="b", path=b"/"):
    return send(req(path)), sees(fwd(path), b=b, t=target), answer(ok(), b=b)


def failed(*parts):
    """What the access log says: (target, why) of each attempt."""
    def judge(run):
        line = run.saved["line"]
        wanted = ", ".join(f"127.0.0.1:{run.targets[t].port} {why}" for t, why in parts)
        if line.get("failed", "") != wanted:
            raise Failed(f"failed is {line.get('failed')!r}, not {wanted!r}")
    return do(judge)


def no_token(status, why):
    text = {404: b"Not Found", 400: b"Bad Request", 503: b"Service Unavailable", 502: b"Bad Gateway",
            504: b"Gateway Timeout"}[status]
    return b"%d %s: %s\n" % (status, text, why.encode())


HELLO = hello(b"a.example")
COOKIE = {"sticky": {"cookie": {"name": "S"}}}


def again(run):
    """The cookie that came goes back."""
    match = re.search(rb"\r\nSet-Cookie: (S=[^;]+);", run.saved["first"])
    fields = b"Cookie: %s\r\n" % match[1]
    run.client("c").send(req(fields=fields))
    run.backend("b").require(fwd(fields=fields))
    run.backend("b").send(ok())


def sees_why(run):
    if b"\r\nX-Why: " not in run.saved["first"] or b"sticky=new" not in run.saved["first"]:
        raise Failed(f"{run.saved['first']!r}")


def in_the_table(run):
    """Whatever a running node says of its metrics, the table says, too."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../daemon/control/METRICS.md")
    with open(path, encoding="utf-8") as file:
        table = {m[1]: m.groups()[1:] for m in re.finditer(
            r"^\| `(\w+)` \| (\w+) \| ([\w, ]*) \| (.*) \|$", file.read(), re.M)}
    text = run.yoke.admin("/metrics")[1].decode()
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    helps = dict(re.findall(r"^# HELP (\w+) (.*)$", text, re.M))
    samples = re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+$", text, re.M)
    if len(kinds) < 80:
        raise Failed(f"{len(kinds)} metrics only")
    for name, kind in kinds.items():
        if table.get(name, ())[:1] != (kind,) or table[name][2] != helps[name]:
            raise Failed(f"{name} {kind} \"{helps[name]}\": the table has {table.get(name)}")
    for name, found in samples:
        there = [label for label in re.findall(r'(\w+)="', found) if label != "le"]
        if there != [label for label in table[name][1].split(", ") if label]:
            raise Failed(f"{name} has labels {there}, the table {table[name][1]!r}")


def is_metric(name, value, **labels):
    """One of this case's pool and targets, or what counts failed attempts, from now on."""
    def look(run):
        names = {"pool": run.name(), **labels}
        if "target" in names:
            names["target"] = f"127.0.0.1:{run.targets[names['target']].port}"
        found = run.yoke.metric(name + "{" + ",".join(f'{k}="{v}"' for k, v in names.items()) + "}")
        if found != value:
            raise Failed(f"{name} {names}: {found:g}, not {value}")
    return do(look)


def state(target, now):
    return [is_metric("yoke_target_state", int(name == now), target=target, state=name)
            for name in ("up", "down", "draining", "disabled", "unknown")]


def attempts(reason):
    return f'yoke_attempts_failed_total{{reason="{reason}"}}'


CASES = [
    Case("off: no field", *asked(), gets(ok())),
    Case("on: pool, target, how it was chosen, how long it took", *asked(),
         told(pool="{pool}", target="{0}", chosen="balanced", retries="0", connect_us="[0-9]+",
              response_us="[0-9]+", lacks=("why", "route", "sticky", "failed", "tier")),
         logged(chosen="balanced", retries=0, lacks=("failed", "tier", "why")), listener=ON),
    Case("on: a pooled connection needs none", *asked(), told(), *asked(path=b"/2"),
         told(target="{0}", lacks=("connect_us",)), listener=ON),
    Case("on: without an access log", *asked(), told(target="{0}", response_us="[0-9]+"),
         listener={**ON, "access_log": False}),
    Case("on: a field of that name that the target sends stays beside it", send(req()), sees(fwd()),
         answer(ok(fields=b"X-Why: me\r\n")),
         gets_head(200, has=(b"X-Why: me",)), gets(b"ok"), listener=ON),
    Case("on: the name of the route", send(req(b"/a")), sees(fwd(b"/a")), answer(ok()),
         told(route='"r"', target="{0}"), send(req(b"/b")), sees(fwd(b"/b")), answer(ok()),
         told(lacks=("route",)), routes=[{"name": "r", "path": "/a", "pool": "t0"}], listener=ON),
    Case("on: beside fields that a route sets", send(req()), sees(fwd()), answer(ok()),
         told(route='"r"'), routes=[{"name": "r", "pool": "t0", "response_headers": {"set": {"A": "1"}}}],
         default=None, listener=ON),
    Case("retry: which targets have failed, and why", send(req()), sees(fwd(), t=2), answer(ok()),
         told(target="{2}", chosen="retry", retries="2", failed=r"\({0};why=connect_failed {1};why=connect_failed\)"),
         logged(chosen="retry", retries=2), failed((0, "connect_failed"), (1, "connect_failed")),
         targets=3, dead=(0, 1), listener=ON),
    Case("retry: a target that closes", send(req()), sees(fwd(), t=0), hangup(), sees(fwd(), b="b1", t=1),
         answer(ok(), b="b1"), told(target="{1}", chosen="retry", failed=r"\({0};why=target_closed\)"),
         logged(chosen="retry"), failed((0, "target_closed")), targets=2, listener=ON),
    Case("retry: a pooled connection that was closed is no failure", *asked(), told(), send(req(b"/2")),
         sees(fwd(b"/2")), hangup(), sees(fwd(b"/2"), b="b2"), answer(ok(), b="b2"),
         told(target="{0}", chosen="balanced", retries="1", lacks=("failed",)), listener=ON),
    Case("retry: all targets refuse", send(req()),
         told(502, no_token(502, "connect_failed"), why="connect_failed", target="{1}", pool="{pool}",
              failed=r"\({0};why=connect_failed {1};why=connect_failed\)"),
         logged(status=502, why="connect_failed", chosen="retry"),
         failed((0, "connect_failed"), (1, "connect_failed")), targets=2, dead=(0, 1), listener=ON),
    Case("retry: more failures than are kept", send(req()), sees(fwd(), t=5), answer(ok()),
         told(target="{5}", retries="5",
              failed=r"\({0};why=connect_failed {1};why=connect_failed {2};why=connect_failed\)"),
         targets=6, dead=(0, 1, 2, 3, 4), pool={"retries": 6}, listener=ON),
    Case("503: what each target is", becomes(0, "down"), becomes(1, "down"), send(req()),
         told(503, no_token(503, "no_target"), why="no_target", pool="{pool}",
              targets=r"\({0};state=down {1};state=down\)", lacks=("target", "chosen", "more")),
         logged(status=503, why="no_target", lacks=("chosen",)), targets=2, dead=(0, 1),
         pool={"health": DOWN}, listener=ON),
    Case("503: not more of them than eight", *[becomes(i, "down") for i in range(10)], send(req()),
         told(503, no_token(503, "no_target"), targets=r"\(.*{7};state=down\)", more="2"), targets=10,
         dead=tuple(range(10)), pool={"health": DOWN}, listener=ON),
    Case("tier: fail_open", becomes(0, "down"), send(req()),
         told(502, no_token(502, "connect_failed"), tier="fail_open", target="{0}"),
         logged(tier="fail_open"), dead=(0,), pool={"health": DOWN, "fail_open": True}, listener=ON),
    Case("tier: backup", *asked(), told(tier="backup"), logged(tier="backup"), target={"backup": True},
         listener=ON),
    Case("sticky: new, then hit", send(req()), sees(fwd()), answer(ok()),
         gets_head(200, save="first"), gets(b"ok"), do(sees_why), do(again),
         told(sticky="hit", chosen="sticky", target="{0}"), logged(sticky="new", chosen="balanced"),
         logged(sticky="hit", chosen="sticky"), targets=2, pool=COOKIE, listener=ON),
    Case("queue: how long it took", send(req()), sees(fwd()), send(req(b"/2"), c="2"), waits(), answer(ok()), told(),
         sees(fwd(b"/2")), answer(ok()), told(c="2", queue_us="[1-9][0-9]*", target="{0}"),
         target={"max_connections": 1}, listener=ON),
    Case("tcp: a retry", send(b"x"), sees(b"x", t=1), leave(), released(), hangup(),
         logged(protocol="TCP", chosen="retry", retries=1, lacks=("tier", "route")),
         failed((0, "connect_failed")), targets=2, dead=(0,), listener={"mode": "tcp"}),
    Case("tcp: nobody is there", turned_away(), logged(why="connect_failed", chosen="retry"),
         failed((0, "connect_failed"), (1, "connect_failed")), targets=2, dead=(0, 1), listener={"mode": "tcp"}),
    Case("tcp: a backup, by a route", send(HELLO), sees(HELLO), leave(), released(), hangup(),
         logged(protocol="TCP", chosen="balanced", tier="backup", route="r"), target={"backup": True},
         routes=[{"name": "r", "sni": "a.example", "pool": "t0"}], default=None, listener={"mode": "tcp"}),
    Case("504", send(req()), sees(fwd()), told(504, no_token(504, "response_timeout"), why="response_timeout",
                                                target="{0}", lacks=("response_us",)),
         pool={"response_timeout": "150ms"}, listener=ON),
    Case("404", send(req()), told(404, no_token(404, "no_route"), why="no_route", lacks=("pool", "target")),
         untouched(), routes=[{"path": "/a", "pool": "t0"}], default=None, listener=ON),
    Case("an answer of the configuration", send(req()), told(200, b"hello", route='"r"', lacks=("pool", "why")),
         routes=[{"name": "r", "respond": {"status": 200, "body": "hello"}}], default=None, listener=ON),
    Case("an answer of the configuration, beside a pool for other requests", send(req()),
         told(200, b"hello", route='"r"', lacks=("pool", "why")), logged(route="r", pool=None),
         routes=[{"name": "r", "respond": {"status": 200, "body": "hello"}}], listener=ON),
    Case("a malformed request", send(b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"),
         told(400, no_token(400, "bad_field_name"), why="bad_field_name", lacks=("pool", "route")),
         closed(), untouched(), listener=ON),
    Case("HEAD", send(req(method=b"HEAD")), sees(fwd(method=b"HEAD")), answer(ok()[:-2]), told(body=b"", target="{0}"),
         listener=ON),
    Case("HEAD: an answer of our own", send(req(method=b"HEAD")), told(502, b"", why="connect_failed"), dead=(0,),
         listener=ON),
    Case("a body is not taken for the end of a head", send(post()), sees(fwd_post()),
         answer(ok(b"\r\n\r\n")), told(body=b"\r\n\r\n"), listener=ON),
    Case("interim responses are not explained", send(req()), sees(fwd()),
         answer(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok()),
         gets(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), told(), listener=ON),
    Case("from: who may know", *asked(), told(target="{0}"),
         listener={"explain_header": {"name": "X-Why", "from": ["192.0.2.0/24", "127.0.0.0/8"]}}),
    Case("from: who may not", *asked(), gets(ok()), logged(chosen="balanced"),
         listener={"explain_header": {"name": "X-Why", "from": ["192.0.2.0/24", "::/0"]}}),
    Case("from: who may not gets answers of our own without it", send(req()), gets_head(502, lacks=(b"X-Why",)),
         gets(no_token(502, "connect_failed")), dead=(0,),
         listener={"explain_header": {"name": "X-Why", "from": ["192.0.2.0/24"]}}),
    Case("from: a field that says where a request came from is not believed",
         send(req(fields=b"X-Forwarded-For: 192.0.2.1\r\n")),
         sees(fwd(fields=b"").replace(b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-For: 192.0.2.1, 127.0.0.1")),
         answer(ok()), gets(ok()), listener={"explain_header": {"name": "X-Why", "from": ["192.0.2.0/24"]}}),
    Case("a reload switches it", *asked(), gets(ok()),
         reload_with(lambda run, listeners, _: listeners[run.name()].update(ON)), *asked(path=b"/2"), told(),
         reload_with(lambda run, listeners, _: listeners[run.name()].pop("explain_header")), *asked(path=b"/3"),
         gets(ok())),
    Case("metrics: the state of each target", becomes(0, "down"), becomes(1, "up"), *state(0, "down"),
         *state(1, "up"), targets=2, dead=(0,), pool={"health": DOWN}),
    Case("metrics: attempts that failed, by reason", send(req()), gets_error(502, closed=False),
         counted(attempts("connect_failed"), None), send(req()), gets_error(502, closed=False),
         counted(attempts("connect_failed"), 2), targets=2, dead=(0, 1)),
    Case("metrics: a response that does not come, one that is malformed, one that ends early",
         send(req()), sees(fwd()), gets_error(504, closed=False), send(req(b"/2")), sees(fwd(b"/2"), b="2"),
         answer(b"?\r\n\r\n", b="2"), gets_error(502, closed=False), send(req(b"/3")), sees(fwd(b"/3"), b="3"),
         answer(ok()[:-1], b="3"), gets(ok()[:-1]), hangup("3"), closed(reset=True),
         *[counted(attempts(why), None) for why in ("response_timeout", "bad_response", "target_closed")],
         pool={"response_timeout": "150ms"}),
    Case("metrics: all of them are in the table", *asked(), gets(ok()), do(in_the_table)),
    Case("a long name", *[becomes(i, "down") for i in range(12)], send(req()), gets_head(503),
         gets(no_token(503, "no_target")), targets=12, dead=tuple(range(12)),
         pool={"health": DOWN}, listener={"explain_header": "X-" + "y" * 253}),
]
