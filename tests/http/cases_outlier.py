"""Targets that fail are ejected, and come back; circuit breakers."""
import json
import select

from harness import (Case, End, Failed, answer, becomes, counted, do, gets, gets_error, gets_head,
                     hangup, listen, sees, send, turned_away, untouched)
from messages import fwd, ok, post, req, served

LONG = {"ejection_time": "1h", "max_ejection_time": "1h"}
SHORT = {"ejection_time": "300ms", "interval": "100ms"}


def outlier(consecutive=3, times=LONG, **more):
    return {"outlier": {"consecutive_failures": consecutive, **times, **more}}


def status(code, body=b"no"):
    return ok(body, status=b"%d No" % code)


def answered(code, t=0, b="b", n=1):
    """Target `t` answers so, and the client gets it."""
    return (send(req()), sees(fwd(), t=t, b=b), answer(status(code), b=b), gets(status(code))) * n


def turns(code, n):
    """`n` times round robin over two targets; the first answers so."""
    return (*answered(code), *served(b="b2", t=1)) * n


def only(t, n=4, b="b2"):
    """All requests go to this target."""
    return served(b=b, t=t) * n


def shows(**wanted):
    """GET /v1/pools says so of target 0's ejection."""
    def look(run):
        ejection = run.yoke.target(run.name(), 0)["ejection"] or {}
        if not wanted.items() <= ejection.items():
            raise Failed(f"{ejection}, not {wanted}")
    return do(look)


def happened(what, *changes):
    """These are the events of the object that begins so."""
    def look(run):
        events = [e for e in json.loads(run.yoke.admin("/v1/events")[1])
                  if e["object"].startswith(f"pool {run.name()} {what}")]
        got = tuple((e["from"], e["to"]) for e in events)
        if got != changes:
            raise Failed(f"{events}, not {changes}")
    return do(look)


def ejections(cause, n):
    def look(run):
        address = run.yoke.target(run.name(), 0)["address"]
        name = (f'yoke_target_ejections_total{{pool="{run.name()}",target="{address}",'
                f'cause="{cause}"}}')
        if run.yoke.metric(name) != n:
            raise Failed(f"{name} is {run.yoke.metric(name):g}, not {n}")
    return do(look)


def slow(seconds):
    """Requests over two targets, of which the first needs so long, until it is ejected."""
    def play(run):
        client = run.client("c")

        def ask():
            client.send(req())
            while not client.pending():
                for t in (0, 1):
                    step(run, t, seconds if t == 0 else 0)
            client.require(ok())
            return run.yoke.target(run.name(), 0)["state"] == "ejected"
        run.yoke.wait_for(ask, lambda: f"not ejected: {run.yoke.target(run.name(), 0)}")
    return do(play)


def step(run, t, seconds):
    name, sock = f"t{t}", run.targets[t].sock
    if name not in run.backends:
        if not select.select([sock], [], [], 0)[0]:
            return
        run.backends[name] = End(sock.accept()[0], name)
    end = run.backends[name]
    if end.pending():
        end.take_head()
        select.select([], [], [], seconds)
        end.send(ok())


def circuit(state):
    def look(run):
        run.yoke.wait_for(lambda: read(run) == state, lambda: f"circuit {read(run)}, not {state}")

    def read(run):
        return json.loads(run.yoke.admin(f"/v1/pools/{run.name()}")[1])["circuit"]["state"]
    return do(look)


def breaker(open_time="1h", **more):
    return {"circuit_breaker": {"min_requests": 4, "trials": 2, "open_time": open_time, **more}}


OUT = becomes(0, "ejected")
EJECTED, ADMITTED = ("in", "ejected"), ("ejected", "in")
OPEN, HALF, CLOSED = ("closed", "open"), ("open", "half-open"), ("half-open", "closed")

CASES = [
    # what counts as failure
    Case("503 in a row", *turns(503, 3), OUT, *only(1),
         shows(in_a_row=1, probation=False, cause="consecutive_failures"),
         happened("target", EJECTED), ejections("consecutive_failures", 1), targets=2,
         pool=outlier()),
    Case("a good one between them", *turns(503, 2), *turns(200, 1), *turns(503, 2),
         becomes(0, "up"), *turns(200, 1), happened("target"), targets=2, pool=outlier()),
    Case("502 and 504, too", *turns(502, 1), *turns(504, 2), OUT, *only(1), targets=2,
         pool=outlier()),
    Case("500 is no failure", *turns(500, 5), becomes(0, "up"), *turns(200, 1), targets=2,
         pool=outlier()),
    Case("500 is one if failure_status says so", *turns(500, 3), OUT, *only(1), targets=2,
         pool=outlier() | {"failure_status": "500-599"}),
    Case("a target that refuses", *only(1, 6, "b"), OUT, *only(1, 2, "b"), targets=2, dead=(0,),
         pool=outlier()),
    Case("a target that hangs up", *(
        send(req()), sees(fwd()), hangup(), sees(fwd(), t=1, b="b2"), answer(ok(), b="b2"),
        gets(ok())) * 3, OUT, *only(1), targets=2, pool=outlier()),
    Case("a target that is late", *(
        send(req()), sees(fwd(), b="late"), gets_error(504, closed=False),
        do(lambda run: run.backends.pop("late").close()), *served(b="b2", t=1)) * 3, OUT, *only(1),
         targets=2, pool=outlier() | {"response_timeout": "100ms"}),
    Case("malformed responses", *(
        send(req()), sees(fwd(), b="bad"), answer(b"nonsense\r\n\r\n", b="bad"),
        gets_error(502, closed=False), do(lambda run: run.backends.pop("bad").close()),
        *served(b="b2", t=1)) * 3, OUT, *only(1), targets=2, pool=outlier()),
    Case("TCP connections that fail", *(
        send(b"x", c=str(i)) for i in range(6)), OUT, targets=2, dead=(0,),
         listener={"mode": "tcp"}, pool=outlier()),
    Case("by rate", *turns(503, 1), *turns(200, 1), OUT, *only(1), ejections("error_rate", 1),
         targets=2, pool=outlier(0, {"ejection_time": "1h", "max_ejection_time": "1h",
                                     "interval": "500ms"},
                                 error_rate={"percent": "1%", "min_requests": 1})),
    Case("by latency", slow(0.05), shows(cause="latency"), ejections("latency", 1), targets=2,
         pool=outlier(0, {**LONG, "interval": "500ms"},
                      latency={"factor": 2, "min_requests": 1, "min_difference": "20ms"})),
    # what it means
    Case("only the first of two is ejected", *turns(503, 3), OUT,
         *answered(503, 1, "b2", 4), becomes(1, "up"), *only(1), targets=2, pool=outlier()),
    Case("the only one is not", *answered(503, n=5), becomes(0, "up"), *served(), pool=outlier()),
    Case("max_ejected", *turns(503, 4), becomes(0, "up"), *turns(200, 1), targets=2,
         pool=outlier(max_ejected="49%")),
    Case("a sticky client moves", *answered(503, n=3), OUT, *only(1), targets=2,
         pool=outlier() | {"sticky": {"source": {}}}),
    Case("it is not ejected twice", *turns(503, 3), OUT, *only(1, 8),
         shows(in_a_row=1), happened("target", EJECTED), targets=2, pool=outlier()),
    # how it comes back
    Case("its time is over", *turns(503, 3), OUT, becomes(0, "up"), shows(probation=True),
         happened("target", EJECTED, ADMITTED),
         do(lambda run: ask_until(run, 0)), targets=2, pool=outlier(times=SHORT)),
    Case("a failure on probation ejects it again, for longer", *turns(503, 3), OUT,
         becomes(0, "up"), do(lambda run: ask_until(run, 0, status(503))), OUT,
         shows(in_a_row=2, probation=False), targets=2, pool=outlier(times={
             "ejection_time": "300ms", "interval": "1m"})),
    Case("it is forgiven", *turns(503, 3), OUT, becomes(0, "up"), do(lambda run: forgiven(run)),
         targets=2, pool=outlier(times=SHORT)),
    Case("a reload keeps it out", *turns(503, 3), OUT, do(lambda run: run.yoke.reload()),
         becomes(0, "ejected"), *only(1), targets=2, pool=outlier()),
    Case("a reload without outlier lets it in", *turns(503, 3), OUT,
         do(lambda run: without(run, "outlier")), becomes(0, "up"),
         do(lambda run: ask_until(run, 0)), targets=2, pool=outlier()),
    # circuit breakers
    Case("a circuit opens", counted("yoke_circuit_open_total", None), *answered(503, n=4),
         circuit("open"), send(req()), gets_head(503, has=(b"Retry-After: 3600",)),
         gets(b"503 Service Unavailable: circuit_open\n"), *(
             send(post()), gets_head(503), gets(b"503 Service Unavailable: circuit_open\n")),
         counted("yoke_circuit_open_total", 2), untouched(), happened("circuit", OPEN),
         pool=breaker()),
    Case("a circuit that does not: too few", *answered(503, n=3), circuit("closed"),
         *served(), pool=breaker()),
    Case("a circuit that does not: too few failures", *answered(503), *answered(200, n=3),
         circuit("closed"), *served(), happened("circuit"), pool=breaker()),
    Case("a circuit opens by targets that refuse", *(
        send(req()), gets_error(502, closed=False)) * 2, circuit("open"), send(req()),
         gets_head(503, has=(b"Retry-After: 3600",)),
         gets(b"503 Service Unavailable: circuit_open\n"), targets=2, dead=(0, 1),
         pool=breaker()),
    Case("a circuit half-opens, and closes", *answered(503, n=4), circuit("open"),
         circuit("half-open"), *served(), *served(), circuit("closed"), *served() * 3,
         happened("circuit", OPEN, HALF, CLOSED), pool=breaker("500ms")),
    Case("a circuit half-opens, and opens again", *answered(503, n=4), circuit("open"),
         circuit("half-open"), *answered(503), circuit("open"), circuit("half-open"), *served(),
         *served(), circuit("closed"), *served(), pool=breaker("1s")),
    Case("not more than the trials go out while it is half-open", *answered(503, n=4),
         circuit("half-open"), send(req(), c="1"), sees(fwd()), send(req(), c="2"),
         sees(fwd(), b="b2"), send(req(), c="3"), gets_head(503, c="3"),
         gets(b"503 Service Unavailable: circuit_open\n", c="3"), answer(ok()), gets(ok(), c="1"),
         answer(ok(), b="b2"), gets(ok(), c="2"), circuit("closed"), pool=breaker("2s")),
    Case("a request from before the circuit opened decides nothing", send(req(b"/slow"), c="1"),
         sees(fwd(b"/slow"), b="slow"), *answered(503, b="b2", n=4), circuit("half-open"),
         answer(status(503), b="slow"), gets(status(503), c="1"), *served(b="slow") * 2,
         circuit("closed"), happened("circuit", OPEN, HALF, CLOSED), pool=breaker("500ms")),
    Case("a TCP circuit", *(turned_away(str(i)) for i in range(4)), circuit("open"), listen(0),
         turned_away("last"), untouched(), dead=(0,), listener={"mode": "tcp"}, pool=breaker()),
    Case("a reload without circuit_breaker closes it", *answered(503, n=4), circuit("open"),
         do(lambda run: without(run, "circuit_breaker")), *served(),
         happened("circuit", OPEN, ("open", "closed")), pool=breaker()),
]


def without(run, key):
    run.yoke.reload(lambda config: config["pools"][run.name()].pop(key))


def ask_until(run, t, answer_with=ok()):
    """Requests over two targets until `t` has got one, which is answered so."""
    client = run.client("c")
    for _ in range(4):
        client.send(req())
        while not client.pending():
            for i, b in enumerate(("b", "b2")):
                end = run.backends.get(b)
                if end and end.pending():
                    end.take_head()
                    end.send(answer_with if i == t else ok())
                    if i == t:
                        client.require(answer_with)
                        return
        client.require(ok())
    raise Failed(f"target {t} gets nothing")


def forgiven(run):
    """Good answers until nothing is known of the ejection any more."""
    def ask():
        ask_until(run, 0)
        return run.yoke.target(run.name(), 0)["ejection"] is None
    run.yoke.wait_for(ask, lambda: f"still {run.yoke.target(run.name(), 0)['ejection']}")
