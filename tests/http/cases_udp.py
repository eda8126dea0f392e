"""Listeners in UDP mode: sessions, their ends, targets that fail, addresses, reloads."""
import socket

from datagrams import (UdpCase, burst, connections, grew, remember, sees_burst, send_to,
                       stranger_sends)
from harness import (Failed, answer, becomes, do, gets, leave, pause, reload_with, rename, sees, send,
                     untouched)

MAX4, MAX6 = 65507, 65527  # the largest payloads
CHECKED = {"health": {"tcp": {}, "interval": "50ms", "rise": 1, "fall": 1}}
SOURCE = {"sticky": {"source": {}, "ttl": "1h"}}
FAILURES = "yoke_upstream_connect_failures_total"
NO_TARGET = "yoke_udp_dropped_no_target_total"
EVICTED = "yoke_udp_sessions_evicted_total"
UNSENDABLE = "yoke_udp_dropped_unsendable_total"


def asks(data, b="b", t=0, c="c", source=None):
    """One datagram there and one back."""
    return (send(data, c=c, source=source), sees(data, b=b, t=t), answer(b"re " + data, b=b),
            gets(b"re " + data, c=c))


def break_target(index):
    return do(lambda run: run.targets[index].stop_listening())


def mend_target(index):
    return do(lambda run: run.targets[index].listen())


def fail_check(index):
    return do(lambda run: run.targets[index].end_check())


def without_listener(run, listeners, pools):
    del listeners[run.name()]


def without_target(run, listeners, pools):
    pools[run.name()]["targets"].pop(0)


def other_pool(run, listeners, pools):
    pools[run.name() + "-b"] = {"targets": pools[run.name()]["targets"][1:]}
    pools[run.name()]["targets"] = pools[run.name()]["targets"][:1]
    listeners[run.name()]["pool"] = run.name() + "-b"


def sees_from(ip, data, t=0):
    def look(run):
        peer = run.targets[t].take(data)
        if peer[0] != ip:
            raise Failed(f"it came from {peer[0]}, not from {ip}")
    return do(look)


CASES = [
    UdpCase("a datagram there and back", *asks(b"hello")),
    UdpCase("datagrams keep their boundaries",
            send(b"one"), send(b"two"), sees(b"one"), sees(b"two"),
            answer(b"eins"), answer(b"zwei"), gets(b"eins"), gets(b"zwei")),
    UdpCase("empty datagrams",
            send(b""), sees(b""), answer(b""), gets(b""), send(b"x"), sees(b"x"), answer(b"y"),
            gets(b"y")),
    UdpCase("the largest datagrams", send(b"q" * MAX4), sees(b"q" * MAX4), answer(b"a" * MAX4),
            gets(b"a" * MAX4)),
    UdpCase("the largest datagrams of IPv6",
            send(b"q" * MAX6), sees(b"q" * MAX6), answer(b"a" * MAX6), gets(b"a" * MAX6),
            host="::1", target_family=socket.AF_INET6),
    UdpCase("one that is too large for the target's family is dropped, and nothing else",
            remember(UNSENDABLE), *asks(b"1"), send(b"q" * MAX6), grew(UNSENDABLE), *asks(b"2"),
            host="::1"),
    UdpCase("a burst keeps its order", burst(100), *sees_burst(100)),
    UdpCase("a burst back keeps its order",
            send(b"go"), sees(b"go"), *[answer(b"%d" % i) for i in range(100)],
            *[gets(b"%d" % i) for i in range(100)]),
    UdpCase("a session has one address towards the target", *asks(b"1"), *asks(b"2"), *asks(b"3")),
    UdpCase("each client has a session of its own",
            send(b"1", c="1"), sees(b"1", b="x"), send(b"2", c="2"), sees(b"2", b="y"),
            answer(b"two", b="y"), gets(b"two", c="2"), answer(b"one", b="x"), gets(b"one", c="1")),
    UdpCase("many clients at once",
            *[send(b"%d" % i, c=str(i)) for i in range(40)],
            *[sees(b"%d" % i, b=str(i)) for i in range(40)],
            *[answer(b"re %d" % i, b=str(i)) for i in range(40)],
            *[gets(b"re %d" % i, c=str(i)) for i in range(40)]),
    UdpCase("the target goes on talking",
            *asks(b"subscribe"), answer(b"news"), gets(b"news"), answer(b"more"), gets(b"more")),
    UdpCase("what a stranger sends is not the target's answer",
            send(b"q"), sees(b"q"), stranger_sends(b"forged", "b"), answer(b"true"), gets(b"true")),

    # the end of a session
    UdpCase("an idle session ends",
            *asks(b"1"), connections(0, 1), connections(0, 0), *asks(b"2", b="b2"),
            listener={"idle_timeout": "1s"}),
    UdpCase("datagrams of the client keep a session",
            *[s for i in range(5) for s in (pause(0.3), send(b"%d" % i), sees(b"%d" % i))],
            listener={"idle_timeout": "1s"}),
    UdpCase("datagrams of the target keep a session",
            send(b"x"), sees(b"x"), *[s for i in range(5) for s in (
                pause(0.3), answer(b"%d" % i), gets(b"%d" % i))],
            listener={"idle_timeout": "1s"}),
    UdpCase("one response ends the session",
            *asks(b"1", b="x"), connections(0, 0), *asks(b"2", b="y"), listener={"responses": 1}),
    UdpCase("each of two requests has its response",
            send(b"A?"), send(b"AAAA?"), sees(b"A?"), sees(b"AAAA?"), answer(b"A"), gets(b"A"),
            answer(b"AAAA"), gets(b"AAAA"), connections(0, 0), *asks(b"2", b="y"),
            listener={"responses": 1}),
    UdpCase("two responses end the session",
            *asks(b"1", b="x"), answer(b"again", b="x"), gets(b"again"), connections(0, 0),
            *asks(b"2", b="y"), listener={"responses": 2}),
    UdpCase("an answer after the last one is nobody's",
            *asks(b"1", b="x"), connections(0, 0), answer(b"late", b="x"), *asks(b"2", b="y"),
            listener={"responses": 1}),
    UdpCase("each request is balanced anew",
            send(b"1"), sees(b"1", b="x", t=0), send(b"2"), sees(b"2", b="y", t=1),
            answer(b"two", b="y"), gets(b"two"), answer(b"one", b="x"), gets(b"one"),
            connections(0, 0), connections(1, 0),
            targets=2, listener={"requests": 1, "responses": 1}),
    UdpCase("a burst is cut at the number of requests",
            burst(5), *sees_burst(2, b="x"), sees(b"2" + b"." * 100, b="y"),
            sees(b"3" + b"." * 100, b="y"), sees(b"4" + b"." * 100, b="z"), connections(0, 3),
            listener={"requests": 2}),

    # balancing
    UdpCase("round robin",
            send(b"1", c="1"), sees(b"1", b="x", t=0), send(b"2", c="2"), sees(b"2", b="y", t=1),
            send(b"3", c="3"), sees(b"3", b="z", t=0), send(b"4", c="1"), sees(b"4", b="x", t=0),
            untouched(1), targets=2),
    UdpCase("least connections counts sessions",
            *asks(b"1", c="1", b="x", t=0), *asks(b"2", c="2", b="y", t=1),
            answer(b"bye", b="y"), gets(b"bye", c="2"), connections(1, 0),
            *asks(b"3", c="3", b="z", t=1), targets=2, pool={"balance": "least_connections"},
            listener={"responses": 2}),
    UdpCase("source hash: sessions of a client have one target",
            *asks(b"1", b="x"), leave(), *asks(b"2", b="y"), leave(), *asks(b"3", b="z"),
            targets=1, pool={"balance": "source_hash"}),
    UdpCase("sticky by source: the next session has the same target",
            *asks(b"1", c="1", b="x", t=0, source="127.0.3.1"),
            *asks(b"2", c="2", b="y", t=1, source="127.0.3.2"),
            leave("1"), leave("2"),
            *asks(b"3", c="3", b="z", t=1, source="127.0.3.2"),
            *asks(b"4", c="4", b="w", t=0, source="127.0.3.1"), targets=2, pool=SOURCE),

    # targets that fail
    UdpCase("a target that refuses is passed over",
            remember(FAILURES), send(b"lost"), grew(FAILURES), *asks(b"x", t=1), untouched(1),
            targets=2, dead=(0,)),
    UdpCase("two targets that refuse are passed over",
            remember(FAILURES), send(b"lost"), grew(FAILURES), send(b"too"), grew(FAILURES, 2),
            *asks(b"x", t=2), targets=3, dead=(0, 1), pool={"balance": "least_connections"}),
    UdpCase("all targets refuse: the session ends, and a new one begins when they are back",
            remember(FAILURES), send(b"1"), grew(FAILURES), send(b"2"), grew(FAILURES, 2),
            connections(0, 0), connections(1, 0), mend_target(0), mend_target(1),
            *asks(b"back", t=1), targets=2, dead=(0, 1)),
    UdpCase("retries 0: the session ends with its target",
            remember(FAILURES), send(b"1"), grew(FAILURES), connections(0, 0), connections(1, 0),
            *asks(b"2", t=1), targets=2, dead=(0,), pool={"retries": 0}),
    UdpCase("a target that goes away in a session",
            *asks(b"1", t=0), remember(FAILURES), break_target(0), send(b"lost"), grew(FAILURES),
            *asks(b"2", t=1, b="y"), *asks(b"3", t=1, b="y"), targets=2),
    UdpCase("the only target comes back",
            *asks(b"1"), remember(FAILURES), break_target(0), send(b"lost"), grew(FAILURES),
            connections(0, 0), mend_target(0), *asks(b"2", b="y")),
    UdpCase("a health check takes a session's target down",
            becomes(0, "up"), *asks(b"1", t=0, b="x"), fail_check(0), becomes(0, "down"),
            *asks(b"2", t=1, b="y"), *asks(b"3", t=1, b="y"), untouched(0), targets=2,
            pool=CHECKED),
    UdpCase("all are down: datagrams are dropped and counted",
            becomes(0, "up"), *asks(b"1"), fail_check(0), becomes(0, "down"), remember(NO_TARGET),
            send(b"2"), grew(NO_TARGET), connections(0, 0), untouched(0), pool=CHECKED),
    UdpCase("all are down, fail open: the session stays where it is",
            becomes(0, "up"), *asks(b"1"), fail_check(0), becomes(0, "down"),
            send(b"2"), sees(b"2", b="y"), answer(b"r", b="y"), gets(b"r"), *asks(b"3", b="y"),
            pool={**CHECKED, "fail_open": True}),
    UdpCase("sticky with when_down fail: no other target will do",
            becomes(0, "up"), *asks(b"1", t=0, b="x"), fail_check(0), becomes(0, "down"),
            remember(NO_TARGET), send(b"2"), grew(NO_TARGET), untouched(1), targets=2,
            pool={**CHECKED, "sticky": {"source": {}, "when_down": "fail"}}),

    # limits
    UdpCase("the session that was quiet longest makes room",
            *asks(b"1", c="1", b="x"), *asks(b"2", c="2", b="y"), remember(EVICTED),
            *asks(b"3", c="3", b="z"), grew(EVICTED), connections(0, 2),
            *asks(b"4", c="2", b="y"), *asks(b"5", c="1", b="w"), connections(0, 2),
            listener={"max_connections": 2}),
    UdpCase("who sent once makes room before who sent again",
            send(b"1", c="1"), sees(b"1", b="x"), send(b"2", c="1"), sees(b"2", b="x"),
            send(b"3", c="2"), sees(b"3", b="y"), send(b"4", c="3"), sees(b"4", b="z"),
            send(b"5", c="1"), sees(b"5", b="x"), connections(0, 2),
            listener={"max_connections": 2}),

    # addresses
    UdpCase("an answer leaves from the address that was asked",
            send_to("127.0.4.1", b"1", c="1"), sees(b"1", b="x"),
            send_to("127.0.4.2", b"2", c="2"), sees(b"2", b="y"),
            answer(b"one", b="x"), gets(b"one", c="1"), answer(b"two", b="y"), gets(b"two", c="2"),
            host="0.0.0.0"),
    UdpCase("the address that was asked is part of the session",
            do(lambda run: ask_both(run, "127.0.4.1", "127.0.4.2")),
            sees(b"127.0.4.1", b="x"), sees(b"127.0.4.2", b="y"), host="0.0.0.0"),
    UdpCase("IPv6", *asks(b"1"), *asks(b"2"), host="::1"),
    UdpCase("IPv6, all addresses", send_to("::1", b"q"), sees(b"q"), answer(b"r"), gets(b"r"),
            host="::"),
    UdpCase("targets see the address that the pool says",
            send(b"1"), sees_from("127.9.8.7", b"1"), pool={"source": "127.9.8.7"}),
    UdpCase("IPv4 clients, an IPv6 target", *asks(b"1"), *asks(b"2"),
            target_family=socket.AF_INET6),

    # reloads
    UdpCase("sessions stay over a reload",
            *asks(b"1"), reload_with(lambda run, listeners, pools: None), *asks(b"2")),
    UdpCase("a new setting holds for new sessions",
            *asks(b"1", c="1", b="x"),
            reload_with(lambda run, listeners, pools: listeners[run.name()].update(responses=1)),
            *asks(b"2", c="1", b="x"), *asks(b"3", c="2", b="y"), connections(0, 1),
            *asks(b"4", c="2", b="z")),
    UdpCase("a listener that is removed passes the answers on that it owes",
            *asks(b"1", c="1", b="x"), send(b"2", c="2"), sees(b"2", b="y"), connections(0, 2),
            reload_with(without_listener), connections(0, 1), answer(b"two", b="y"),
            gets(b"two", c="2"), connections(0, 0)),
    UdpCase("a listener that is removed does not wait for ever",
            send(b"1"), sees(b"1"), reload_with(without_listener), connections(0, 0)),
    UdpCase("a listener with a new name has the same socket",
            *asks(b"1", b="x"), reload_with(rename), *asks(b"2", b="y")),
    UdpCase("a session stays with a target that was removed",
            *asks(b"1", c="1", b="x", t=0), reload_with(without_target),
            *asks(b"2", c="1", b="x", t=0), *asks(b"3", c="2", b="y", t=1),
            *asks(b"4", c="3", b="z", t=1), targets=2),
    UdpCase("another pool is for new sessions",
            *asks(b"1", c="1", b="x", t=0), reload_with(other_pool),
            *asks(b"2", c="1", b="x", t=0), *asks(b"3", c="2", b="y", t=1), targets=2),

    UdpCase("what went through is counted",
            remember("yoke_udp_datagrams_in_total"), remember("yoke_udp_datagrams_out_total"),
            remember("yoke_bytes_in_total"), remember("yoke_bytes_out_total"),
            remember("yoke_udp_sessions_total"),
            *asks(b"1"), *asks(b"2"), grew("yoke_udp_datagrams_in_total", 2),
            grew("yoke_udp_datagrams_out_total", 2), grew("yoke_bytes_in_total", 2),
            grew("yoke_bytes_out_total", 8), grew("yoke_udp_sessions_total")),
]


def ask_both(run, first, second):
    """One socket asks two addresses of the listener."""
    run.client("c", to=first).sock.send(first.encode())
    run.clients["c"].sock.sendto(second.encode(), (second, run.port_there))
