"""Targets at run time: added, changed, drained and removed by the Admin API, over reloads."""
import concurrent.futures
import json
import select
import time

from cases_sticky import COOKIE, get_cookie, with_cookie
from harness import (Case, Failed, answer, becomes, closed, counted, do, gets, reload_with, released,
                     sees, send)
from messages import fwd, ok, req, served

TCP = {"mode": "tcp"}
CLOSED = "yoke_drain_closed_total"
SOON = '"drain_timeout": "300ms"'


def text_of(run, index):
    return f"127.0.0.1:{run.targets[index].port}"


def path_of(run, index=None):
    return f"/v1/pools/{run.name()}/targets" + ("" if index is None else f"/{text_of(run, index)}")


def ask(run, method, path, body=""):
    status, answered = run.yoke.admin(path, method, body.encode())
    return status, json.loads(answered)


def require(run, method, path, body, status, **wanted):
    got, answered = ask(run, method, path, body)
    if got != status or any(answered.get(key) != value for key, value in wanted.items()):
        raise Failed(f"{method} {path} {body}: {got} {answered}, wanted {status} {wanted}")


def add(index, more="", status=200, **wanted):
    return do(lambda run: require(run, "POST", path_of(run),
                                  f'{{"address": "{text_of(run, index)}"{more}}}', status, **wanted))


def patch(index, body, status=200, **wanted):
    return do(lambda run: require(run, "PATCH", path_of(run, index), body, status, **wanted))


def remove(index, query="?force", status=200, **wanted):
    return do(lambda run: require(run, "DELETE", path_of(run, index) + query, "", status, **wanted))


def pool(run):
    return ask(run, "GET", f"/v1/pools/{run.name()}")[1]


def has(*wanted):
    """The pool's targets: (index, key, value) each; nothing else is looked at."""
    def look(run):
        targets = {target["address"]: target for target in pool(run)["targets"]}
        for index, key, value in wanted:
            target = targets.get(text_of(run, index))
            if (target and target[key]) != value:
                raise Failed(f"target {index}: {target}, wanted {key} {value}")
    return do(look)


def lacks(index):
    """Waits until the pool does not have the target."""
    def look(run):
        run.yoke.wait_for(
            lambda: text_of(run, index) not in [t["address"] for t in pool(run)["targets"]],
            lambda: f"{text_of(run, index)} is still there: {pool(run)}")
    return do(look)


def file_has(*indexes):
    """A reload with these targets."""
    def change(run, _, pools):
        pools[run.name()]["targets"] = [{"address": text_of(run, index), **run.case.target}
                                        for index in indexes]
    return reload_with(change)


def weight_in_file(index, weight):
    def change(run, _, pools):
        pools[run.name()]["targets"][index] = {"address": text_of(run, index), "weight": weight}
    return reload_with(change)


def shares(wanted, n):
    """Of n requests on a connection, how many each target gets; they answer themselves."""
    def look(run):
        client, got = run.client("s"), {index: 0 for index in wanted}
        names = {index: f"share{index}" for index in wanted}
        for _ in range(n):
            client.send(req(b"/s"))
            index = waiting(run, names)
            run.backend(names[index], index).require(fwd(b"/s"))
            run.backend(names[index], index).send(ok())
            client.require(ok())
            got[index] += 1
        if got != wanted:
            raise Failed(f"shares {got}, wanted {wanted}")
    return do(look)


def waiting(run, names):
    """The target that has something to be read, or a connection that waits."""
    found = []

    def look():
        found[:] = [index for index, name in names.items()
                    if (name in run.backends and run.backends[name].pending())
                    or (name not in run.backends and has_connection(run.targets[index].sock))]
        return found
    run.yoke.wait_for(look, lambda: "no target was asked")
    return found[0]


def has_connection(sock):
    return bool(select.select([sock], [], [], 0)[0])


def totals(run):
    changes = ask(run, "GET", "/v1/status")[1]["run_time_changes"]
    counts = [changes[key] for key in ("added", "changed", "removed")]
    metrics = [run.yoke.metric(f'yoke_run_time_changes{{change="{key}"}}')
               for key in ("added", "changed", "removed")]
    if metrics != counts:
        raise Failed(f"metrics {metrics}, status {counts}")
    return counts


def differs(added, changed, removed):
    """In how many targets the pool of this case differs from the file, of each kind."""
    def look(run):
        before = run.saved.get("totals", [0, 0, 0])
        got = [now - then for now, then in zip(totals(run), before)]
        if got != [added, changed, removed]:
            raise Failed(f"differs in {got}, wanted {[added, changed, removed]}")
    return do(look)


def queued(n):
    """Waits until so many requests wait for a place."""
    def look(run):
        run.yoke.wait_metric(f'yoke_queue_length{{pool="{run.name()}"}}', n)
    return do(look)


NOTE = do(lambda run: run.saved.update(totals=totals(run)))

# method, what follows the pool's name, body, status, part of the answer
REFUSED = [
    ("POST", "/targets", "", 400, "body:1:1"),
    ("POST", "/targets", "{", 400, "body:1:2"),
    ("POST", "/targets", "[]", 400, "not an object"),
    ("POST", "/targets", "{}", 400, "address: missing"),
    ("POST", "/targets", '{"address": 1}', 400, "body:1:13: address: 1 is not"),
    ("POST", "/targets", '{"address": "192.0.2.1"}', 400, "address"),
    ("POST", "/targets", '{"address": "192.0.2.1:0"}', 400, "address"),
    ("POST", "/targets", '{"address": "web1:80"}', 400, "address"),
    ("POST", "/targets", '{"address": "0.0.0.0:80"}', 400, "address"),
    ("POST", "/targets", '{"address": "224.0.0.1:80"}', 400, "address"),
    ("POST", "/targets", '{"address": "192.0.2.1:80", "weight": 0}', 400, "weight: 0 is not in 1..256"),
    ("POST", "/targets", '{"address": "192.0.2.1:80", "weight": 257}', 400, "257 is not in 1..256"),
    ("POST", "/targets", '{"address": "192.0.2.1:80", "weight": 1.5}', 400, "weight"),
    ("POST", "/targets", '{"address": "192.0.2.1:80", "weight": "3"}', 400, "weight"),
    ("POST", "/targets", '{"address": "192.0.2.1:80", "wieght": 3}', 400, 'did you mean \\"weight\\"'),
    ("POST", "/targets", '{"address": "192.0.2.1:80", "state": "drain"}', 400, "unknown key"),
    ("POST", "/targets", '{"address": "192.0.2.1:80", "address": "192.0.2.1:81"}', 400, "address"),
    ("POST", "/targets", '{"weight": 0, "backup": 1}', 400, "; body:"),
    ("POST", "/targets", '{"address": "192.0.2.1:80"} x', 400, "body:1:"),
    ("POST", "/targets", "[" * 4000, 400, "body:1:"),
    ("POST", "-none/targets", '{"address": "192.0.2.1:80"}', 404, "no such pool"),
    ("POST", "/targets/192.0.2.1:80", '{"address": "192.0.2.1:80"}', 404, "no such path"),
    ("POST", "", '{"address": "192.0.2.1:80"}', 404, "no such path"),
    ("PATCH", "/targets/192.0.2.1:80", '{"weight": 2}', 404, "no such target"),
    ("PATCH", "/targets/192.0.2.1", '{"weight": 2}', 404, "no such target"),
    ("PATCH", "/targets", '{"weight": 2}', 404, "no such path"),
    ("PATCH", "/targets/TARGET", "", 400, "body:1:1"),
    ("PATCH", "/targets/TARGET", "{}", 400, "nothing to change"),
    ("PATCH", "/targets/TARGET", '{"weight": 0}', 400, "weight: 0 is not in 1..256"),
    ("PATCH", "/targets/TARGET", '{"max_connections": -1}', 400, "max_connections"),
    ("PATCH", "/targets/TARGET", '{"max_connections": 10000001}', 400, "is not in 0..10000000"),
    ("PATCH", "/targets/TARGET", '{"state": "drained"}', 400, 'did you mean \\"drain\\"'),
    ("PATCH", "/targets/TARGET", '{"state": "down"}', 400, "state"),
    ("PATCH", "/targets/TARGET", '{"drain_timeout": "1s"}', 400, "nothing to change"),
    ("PATCH", "/targets/TARGET", '{"weight": 2, "drain_timeout": "1s"}', 400, "needs"),
    ("PATCH", "/targets/TARGET", '{"state": "ready", "drain_timeout": "1s"}', 400, "needs"),
    ("PATCH", "/targets/TARGET", '{"state": "drain", "drain_timeout": 5}', 400, "drain_timeout"),
    ("PATCH", "/targets/TARGET", '{"state": "drain", "drain_timeout": "-1s"}', 400, "drain_timeout"),
    ("PATCH", "/targets/TARGET", '{"state": "drain", "drain_timeout": "999999d"}', 400, "365d"),
    ("PATCH", "/targets/TARGET", '{"address": "192.0.2.1:80"}', 400, "unknown key"),
    ("DELETE", "/targets/192.0.2.1:80", "", 404, "no such target"),
    ("DELETE", "/targets/TARGET?drain_timeout=5", "", 400, "is not a duration"),
    ("DELETE", "/targets/TARGET?drain_timeout=", "", 400, "is not a duration"),
    ("DELETE", "/targets/TARGET?drain=5s", "", 400, "nothing is removed"),
    ("DELETE", "/targets", "", 404, "no such path"),
    ("DELETE", "", "", 404, "no such path"),
]


def refuse_all(run):
    before = pool(run)["targets"][0]["weight"], totals(run)
    for method, path, body, status, part in REFUSED:
        path = f"/v1/pools/{run.name()}" + path.replace("TARGET", text_of(run, 0))
        got, answered = ask(run, method, path, body)
        if got != status or part not in json.dumps(answered):
            raise Failed(f"{method} {path} {body[:80]}: {got} {answered}, wanted {status} {part}")
    if (pool(run)["targets"][0]["weight"], totals(run)) != before:
        raise Failed(f"something was changed: {pool(run)}")


def remove_and_add(run):
    """In one breath, after so many changes that the next generation has to wait."""
    text = text_of(run, 0)
    for n in range(10):
        require(run, "PATCH", path_of(run, 0), f'{{"weight": {2 + n % 2}}}', 200)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        removed = threads.submit(ask, run, "DELETE", f"{path_of(run)}/{text}?force")
        run.yoke.wait_for(lambda: "up" not in [t["state"] for t in pool(run)["targets"]],
                          lambda: "it is not removed")
        added = ask(run, "POST", path_of(run), f'{{"address": "{text}"}}')
        if removed.result()[0] != 200 or added[0] != 200 or added[1]["state"] != "up":
            raise Failed(f"removed {removed.result()}, added {added}")


STORM = 1000


def storm(run):
    """Many changes at once, from several clients: each is in force when it is answered, they come in
    few generations, and traffic goes on."""
    targets = [f"127.1.{i >> 8}.{i & 255}:9" for i in range(STORM)]

    begun = time.monotonic()

    def post(text):
        return ask(run, "POST", path_of(run), f'{{"address": "{text}", "backup": true}}')[0]

    def delete(text):
        return ask(run, "DELETE", f"{path_of(run)}/{text}?force")[0]

    def all_of(function):
        with concurrent.futures.ThreadPoolExecutor(16) as threads:
            done = [threads.submit(function, text) for text in targets]
            while not all(future.done() for future in done):
                run.client("s").send(req())
                run.backend("s").require(fwd())
                run.backend("s").send(ok())
                run.client("s").require(ok())
            return {future.result() for future in done}
    if all_of(post) != {200} or len(pool(run)["targets"]) != STORM + 1:
        raise Failed(f"{len(pool(run)['targets'])} targets")
    if all_of(delete) != {200} or len(pool(run)["targets"]) != 1:
        raise Failed(f"{len(pool(run)['targets'])} targets are left")
    print(f"       {2 * STORM / (time.monotonic() - begun):.0f} changes a second")


CASES = [
    Case("added, and the one of the file removed", NOTE, file_has(0), *served(b"/1", b="x"),
         add(1, state="up", origin="run_time", weight=1), differs(1, 0, 0),
         has((0, "origin", "file"), (1, "origin", "run_time")),
         remove(0, state="removed"), lacks(0), differs(1, 0, 1), *served(b"/2", b="y", t=1),
         add(0, state="up", origin="file"), has((0, "origin", "file")), differs(1, 0, 0),
         remove(1), lacks(1), differs(0, 0, 0), *served(b"/3", b="z"), targets=2),
    Case("repeats are no errors, other settings are", file_has(0), add(1, ', "weight": 3'),
         add(1, ', "weight": 3', weight=3), add(1, status=409), add(0), add(0, ', "backup": true', 409),
         patch(1, '{"weight": 3}', weight=3), patch(0, '{"state": "ready"}', state="up"),
         remove(1), lacks(1), remove(1, status=404), targets=2),
    Case("weights", NOTE, add(1, status=200), patch(0, '{"weight": 3}', weight=3, file_weight=1),
         differs(0, 1, 0), shares({0: 6, 1: 2}, 8), patch(0, '{"weight": 1}', file_weight=None),
         differs(0, 0, 0), shares({0: 4, 1: 4}, 8), targets=2),
    Case("kept over a reload", NOTE, file_has(0, 1), add(2, ', "weight": 2'),
         patch(0, '{"weight": 5}'), remove(1), lacks(1), differs(1, 1, 1), reload_with(lambda *_: None),
         has((0, "weight", 5), (0, "file_weight", 1), (2, "weight", 2), (2, "origin", "run_time")),
         lacks(1), differs(1, 1, 1),
         weight_in_file(0, 7), has((0, "weight", 7), (0, "file_weight", None)), differs(1, 0, 1),
         file_has(0, 2), has((2, "weight", 1), (2, "origin", "file")), lacks(1), differs(0, 0, 0),
         file_has(0, 1), has((1, "origin", "file")), lacks(2), targets=3),
    Case("a state is kept beside another weight", patch(0, '{"state": "disabled"}', state="disabled"),
         patch(0, '{"weight": 9}', state="disabled", weight=9), has((0, "state", "disabled")),
         *served(b="y", t=1), targets=2),
    Case("a limit, and who waits for it", NOTE, file_has(0),
         patch(0, '{"max_connections": 1}', max_connections=1, weight=1), differs(0, 1, 0),
         send(req(b"/1"), c="1"), sees(fwd(b"/1"), b="1"), send(req(b"/2"), c="2"),
         queued(1), patch(0, '{"max_connections": 2}', max_connections=2), sees(fwd(b"/2"), b="2"),
         send(req(b"/3"), c="3"), queued(1), add(1, ', "max_connections": 7', max_connections=7),
         has((0, "max_connections", 2), (1, "max_connections", 7)), answer(ok(), b="1"),
         gets(ok(), c="1"), sees(fwd(b"/3"), b="1"), answer(ok(), b="1"), gets(ok(), c="3"),
         patch(0, '{"max_connections": 9}', max_connections=9, file_weight=None), differs(1, 0, 0),
         answer(ok(), b="2"), gets(ok(), c="2"), targets=2, target={"max_connections": 9},
         pool={"queue": {"max": 10, "timeout": "30s"}}),
    Case("a request in progress outlives its target", file_has(0), send(req()), sees(fwd()), add(1),
         remove(0, state="removed"), lacks(0), answer(ok()), gets(ok()), released(),
         *served(b"/2", b="y", t=1), targets=2),
    Case("sticky clients stay until the drain is over", *get_cookie("1", 0, "x", "1"),
         *get_cookie("2", 1, "y", "2"), patch(0, '{"state": "drain", %s}' % SOON, state="draining"),
         *with_cookie("1", "x", c="1"), becomes(0, "disabled"),
         *with_cookie("1", "y", t=1, c="1", again=True), patch(0, '{"state": "ready"}', state="up"),
         *with_cookie("1", "x", c="1"), targets=2, pool={**COOKIE, "drain_timeout": "1h"}),
    Case("sticky clients stay until a removed target is gone", *get_cookie("1", 0, "x", "1"),
         *get_cookie("2", 1, "y", "2"), remove(0, "?drain_timeout=300ms", leaving=True),
         has((0, "state", "draining")), *with_cookie("1", "x", c="1"), lacks(0), released("x"),
         *with_cookie("1", "y", t=1, c="1", again=True), targets=2, pool=COOKIE),
    Case("without sticky clients it is gone when nothing is left", file_has(0, 1),
         patch(1, '{"state": "disabled"}'), send(req()), sees(fwd()), patch(1, '{"state": "ready"}'),
         remove(0, "", leaving=True, state="draining"), remove(0, "", leaving=True), answer(ok()),
         gets(ok()), lacks(0), targets=2),
    Case("it comes back while it leaves", *get_cookie("1", 0, "x", "1"),
         *get_cookie("2", 1, "y", "2"), remove(0, "", leaving=True),
         patch(0, '{"state": "ready"}', leaving=False, state="up", drain_left_ms=None),
         remove(0, "", leaving=True), add(0, ', "weight": 4', leaving=False, state="up", weight=4),
         *with_cookie("1", "x", c="1"), targets=2, pool=COOKIE),
    Case("the end of a drain closes TCP connections", counted(CLOSED, None), send(b"a"), sees(b"a"),
         patch(0, '{"state": "drain", %s}' % SOON), send(b"b"), sees(b"b"), closed(reset=True),
         released(reset=True), becomes(0, "disabled"), counted(CLOSED),
         patch(0, '{"state": "ready"}'), send(b"c", c="d"), sees(b"c", b="e"),
         listener=TCP, targets=1),
    Case("other changes do not touch them", counted(CLOSED, None), file_has(0), send(b"a"), sees(b"a"),
         add(1), patch(0, '{"weight": 2}'), send(b"b"), sees(b"b"), remove(1), lacks(1), send(b"c"),
         sees(b"c"), answer(b"d"), gets(b"d"), counted(CLOSED, 0), remove(0), closed(reset=True),
         released(reset=True), lacks(0), counted(CLOSED), listener=TCP, targets=2),
    Case("an empty pool", remove(0), lacks(0), send(req()),
         do(lambda run: run.client("c").require(b"HTTP/1.1 503")), do(lambda run: run.clients.pop("c")),
         add(0), *served(c="d")),
    Case("the reason of each state",
         has((0, "reason", "no health check")), patch(0, '{"state": "disabled"}'),
         has((0, "state", "disabled"), (0, "reason", "set by the operator"), (0, "health", "up")),
         patch(0, '{"state": "drain", "drain_timeout": "1h"}'),
         has((0, "state", "draining"), (0, "reason", "set by the operator")),
         patch(0, '{"state": "drain", "drain_timeout": "0s"}'),
         has((0, "state", "disabled"), (0, "reason", "at once, as the operator said")),
         patch(0, '{"state": "ready"}'), has((0, "state", "up"), (0, "reason", "no health check"))),
    Case("removed and added in one breath", do(remove_and_add), *served()),
    Case("refused", do(refuse_all)),
    Case("a storm of changes", do(storm)),
]
