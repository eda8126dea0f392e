"""Listeners in TCP mode: bytes, both half-closes, failures."""
from harness import (Case, answer, closed, do, gets, half_close, hangup, leave, pause, released,
                     reload_with, rename, sees, send, shut, turned_away, untouched)
from transfer import backend_to_client, client_to_backend, slow_backend, slow_client

TCP = {"mode": "tcp"}


def tcp(name, *steps, listener=None, **kw):
    return Case(name, *steps, listener={**TCP, **(listener or {})}, **kw)


CASES = [
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
]
