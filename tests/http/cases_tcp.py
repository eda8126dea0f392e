"""Listeners in TCP mode: bytes, both half-closes, failures."""
import socket

from harness import (Case, answer, answer_drip, becomes, closed, do, drip, gets, half_close, hangup,
                     leave, pause, released, reload_with, rename, sees, send, shut,
                     stop_listening, turned_away, untouched)
from transfer import (backend_to_client, client_to_backend, copy, pattern, push, require_equal,
                      slow_backend, slow_client)

TCP = {"mode": "tcp"}
# A target that listens must stay up, however busy the machine is.
HEALTH = {"tcp": {}, "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 10}


def tcp(name, *steps, listener=None, **kw):
    return Case(name, *steps, listener={**TCP, **(listener or {})}, **kw)


BYTES = bytes(range(256))


def end_behind_a_backlog(run):
    """The target says more than fits and closes; the client reads only then: all of it, then FIN."""
    data = pattern(8 << 20)
    client, backend = run.client("c"), run.backend("b")
    client.send(b"go")
    backend.require(b"go")
    left = push(backend, data)
    require_equal(copy(backend, client, left, len(data)), data)
    backend.sock.shutdown(socket.SHUT_WR)


def half_close_behind_a_backlog(run):
    """The same the other way round."""
    data = pattern(8 << 20)
    client, backend = run.client("c"), run.backend("b")
    left = push(client, data)
    require_equal(copy(client, backend, left, len(data)), data)
    client.sock.shutdown(socket.SHUT_WR)


def reset_behind_a_backlog(run):
    """What is on its way to a client that resets is of no use: the target is told at once."""
    client, backend = run.client("c"), run.backend("b")
    client.send(b"go")
    backend.require(b"go")
    push(backend, pattern(32 << 20))


def ping_pong(run):
    for i in range(200):
        run.client("c").send(b"%d?" % i)
        run.backend("b").require(b"%d?" % i)
        run.backend("b").send(b"%d!" % i)
        run.client("c").require(b"%d!" % i)


def many_short(run):
    """Each a connection of its own, opened, used and closed."""
    for i in range(100):
        name = f"short-{i}"
        run.client(name).send(b"%d" % i)
        run.backend(name).require(b"%d" % i)
        run.do_hangup(name, False)
        run.client(name).require_end(None)
        run.do_leave(name, False)


CASES = [
    # First, because meanwhile checks nobody accepts fill the targets' queues.
    tcp("all targets are down",
        becomes(0, "down"), turned_away(), dead=(0,), pool={"health": HEALTH}),
    tcp("a target that is down gets nothing",
        becomes(0, "down"), send(b"1", c="1"), sees(b"1", b="x", t=1), send(b"2", c="2"),
        sees(b"2", b="y", t=1), targets=2, dead=(0,), pool={"health": HEALTH}),
    tcp("a target that goes down keeps its connections",
        becomes(0, "up"), send(b"x"), sees(b"x"), stop_listening(0), becomes(0, "down"),
        send(b"still"), sees(b"still"), answer(b"here"), gets(b"here"), pool={"health": HEALTH}),
    tcp("bytes go both ways",
        send(b"\x00\xffhello\r\n"), sees(b"\x00\xffhello\r\n"), answer(b"world\n\n\x00"),
        gets(b"world\n\n\x00"), send(b"again"), sees(b"again")),
    tcp("the target speaks first",
        send(b""), sees(b""), answer(b"220 ready\r\n"), gets(b"220 ready\r\n"),
        send(b"QUIT\r\n"), sees(b"QUIT\r\n")),
    tcp("the client half-closes, the target answers",
        send(b"request"), shut(), sees(b"request"), released(reset=False),
        answer(b"response"), hangup(), gets(b"response"), closed()),
    tcp("the target half-closes, the client goes on",
        send(b"a"), sees(b"a"), answer(b"bye"), half_close(), gets(b"bye"), closed(),
        send(b"still here"), sees(b"still here"), shut(), released()),
    tcp("the client closes", send(b"x"), sees(b"x"), leave(), released()),
    tcp("the target closes", send(b"x"), sees(b"x"), hangup(), closed(reset=None)),
    tcp("the client resets", send(b"x"), sees(b"x"), leave(reset=True), released(reset=True)),
    tcp("the target resets", send(b"x"), sees(b"x"), hangup(reset=True), closed(reset=True)),
    tcp("every connection has its own",
        send(b"1", c="1"), sees(b"1", b="x"), send(b"2", c="2"), sees(b"2", b="y"),
        answer(b"two", b="y"), gets(b"two", c="2"), answer(b"one", b="x"), gets(b"one", c="1")),
    tcp("a target that refuses is passed over",
        send(b"x"), sees(b"x", t=1), answer(b"y"), gets(b"y"), targets=2, dead=(0,)),
    tcp("all targets refuse", turned_away(), targets=2, dead=(0, 1)),
    tcp("round robin",
        send(b"1", c="1"), sees(b"1", b="x", t=0), send(b"2", c="2"), sees(b"2", b="y", t=1),
        send(b"3", c="3"), sees(b"3", b="z", t=0), untouched(0), untouched(1), targets=2),
    tcp("least connections",
        send(b"1", c="1"), sees(b"1", b="x", t=0), send(b"2", c="2"), sees(b"2", b="y", t=1),
        leave("2", reset=True), released("y", reset=None), send(b"3", c="3"),
        sees(b"3", b="z", t=1), targets=2, pool={"balance": "least_connections"}),
    tcp("an idle connection is closed",
        send(b"x"), sees(b"x"), closed(reset=None), released(reset=None),
        listener={"idle_timeout": "150ms"}),
    tcp("bytes keep an idle connection alive",
        send(b"x"), sees(b"x"), *[s for i in range(6) for s in (
            pause(0.5), answer(b"%d" % i), gets(b"%d" % i))],
        listener={"idle_timeout": "2s"}),
    tcp("a listener with a new name has the same socket",
        send(b"x"), sees(b"x"), leave(), released(), reload_with(rename),
        *[step for c in "234" for step in (
            send(b"y", c=c), sees(b"y", b=c), answer(b"z", b=c), gets(b"z", c=c))]),
    tcp("10 MiB to the target", do(lambda run: client_to_backend(run, 10 << 20))),
    tcp("10 MiB to the client", do(lambda run: backend_to_client(run, 10 << 20))),
    tcp("a client that does not read stops the target", do(lambda run: slow_client(run, b"go"))),
    tcp("a target that does not read stops the client",
        do(lambda run: slow_backend(run, 64 << 20, b"go", b"go"))),
    tcp("the end comes behind a stream",
        do(lambda run: client_to_backend(run, (4 << 20) + 1)), shut(), released(reset=False),
        do(lambda run: backend_to_client(run, (4 << 20) + 3)), hangup(), closed()),
    # ends
    tcp("every byte there is, both ways",
        send(BYTES * 3), sees(BYTES * 3), answer(BYTES[::-1]), gets(BYTES[::-1])),
    tcp("each byte in a segment of its own",
        drip(b"segments"), sees(b"segments"), answer_drip(b"stnemges"), gets(b"stnemges")),
    tcp("bytes and FIN together reach a target that is not connected yet",
        send(b"all I say"), shut(), sees(b"all I say"), released(reset=False), answer(b"heard"),
        hangup(), gets(b"heard"), closed()),
    tcp("a client that says nothing and half-closes",
        send(b""), shut(), sees(b""), released(reset=False), answer(b"bye"), hangup(), gets(b"bye"),
        closed()),
    tcp("a target that says nothing and half-closes",
        send(b"x"), sees(b"x"), half_close(), closed(), send(b"more"), sees(b"more"), leave(),
        released()),
    tcp("both half-close, the client first",
        send(b"a"), shut(), sees(b"a"), released(reset=False), answer(b"b"), half_close(), gets(b"b"),
        closed(reset=False)),
    tcp("both half-close, the target first",
        send(b"a"), sees(b"a"), answer(b"b"), half_close(), gets(b"b"), closed(reset=False),
        send(b"c"), shut(), sees(b"c"), released(reset=False)),
    tcp("the client half-closes, then resets",
        send(b"a"), shut(), sees(b"a"), released(reset=False), leave(reset=True),
        do(lambda run: run.backend("b").send_until_reset())),
    tcp("the target half-closes, then resets",
        send(b"a"), sees(b"a"), answer(b"b"), half_close(), gets(b"b"), closed(reset=False),
        hangup(reset=True), do(lambda run: run.client("c").send_until_reset())),
    tcp("the target resets before anybody spoke",
        send(b""), sees(b""), hangup(reset=True), closed(reset=True), pool={"retries": 0}),
    tcp("the client resets before anybody spoke",
        send(b""), sees(b""), leave(reset=True), released(reset=True)),
    tcp("the target resets behind what it said",
        send(b"x"), sees(b"x"), answer(b"partial"), gets(b"partial"), hangup(reset=True),
        closed(reset=True)),
    tcp("the client resets while the target's bytes wait for it",
        do(reset_behind_a_backlog), leave(reset=True), released(reset=True)),
    tcp("the target's end comes behind all that waits", do(end_behind_a_backlog), closed(reset=False)),
    tcp("the client's end comes behind all that waits",
        do(half_close_behind_a_backlog), released(reset=False), answer(b"done"), gets(b"done")),
    tcp("two hundred times there and back", do(ping_pong)),
    tcp("a hundred connections, one after the other", do(many_short), untouched()),
    # targets
    tcp("two targets that refuse are passed over",
        send(b"x"), sees(b"x", t=2), answer(b"y"), gets(b"y"), targets=3, dead=(0, 1)),
    tcp("retries: 0", turned_away(), untouched(1), targets=2, dead=(0,), pool={"retries": 0}),
    tcp("retries: 1 is one more", turned_away(), untouched(2), targets=3, dead=(0, 1),
        pool={"retries": 1}),
    tcp("max_connections refuses the second client",
        send(b"1", c="1"), sees(b"1"), turned_away("2"), leave("1"), released(),
        listener={"max_connections": 1}),
    tcp("idle_timeout counts from the last byte of either side",
        send(b"x"), sees(b"x"), *[s for i in range(4) for s in (
            pause(0.6), send(b"%d" % i), sees(b"%d" % i))], closed(reset=None),
        released(reset=None), listener={"idle_timeout": "2s"}),
]
