"""Clients that stay with their target by what the application knows them by: its cookie, a field."""
from harness import (Case, Failed, answer, answer_drip, becomes, counted, do, gets, gets_error,
                     gets_head, listen, pause, released, sees, send, stop_listening, untouched)
from messages import CLOSE, fwd, fwd10, ok, req

APP = {"sticky": {"app_cookie": {"name": "SID"}, "ttl": "1h"}}
USER = {"sticky": {"header": {"name": "X-User"}, "ttl": "1h"}}
TOKEN = {"sticky": {"header": {"name": "X-Token", "response_name": "X-New-Token"}}}
FAST = {"tcp": {}, "interval": "50ms", "timeout": "50ms", "rise": 1, "fall": 1}
EPOCH = b"Thu, 01 Jan 1970 00:00:00 GMT"
LEARNED, ENDED = "yoke_sticky_learned_total", "yoke_sticky_ended_total"


def cookie(value):
    return b"" if value is None else b"Cookie: SID=%s\r\n" % value


def sets(*values):
    """Fields of a response."""
    return b"".join(b"Set-Cookie: %s\r\n" % value for value in values)


def ask(path, b, t=0, fields=b"", says=b"", c="c", status=b"200 OK"):
    """A request with these fields reaches target `t`, which answers with those. Who has no session
    goes to the targets in turn, so that a test can tell who had one."""
    response = ok(fields=says, status=status)
    return (send(req(path, fields), c=c), sees(fwd(path, fields), b=b, t=t),
            answer(response, b=b), gets(response, c=c))


def says_nothing(number, value):
    """What target 0 sets is no value for the cookie: who brings it goes to the next one in turn."""
    brought = b"v%d" % number
    return (*ask(b"/%d" % number, "x", 0, says=sets(value % brought)),
            *ask(b"/%d" % number, "y", 1, cookie(brought)))


def ends(number, value):
    """A session of target 0 that it ends by this Set-Cookie."""
    brought = b"e%d" % number
    return (*ask(b"/1", "x", 0, says=sets(b"SID=" + brought)), *ask(b"/2", "x", 0, cookie(brought)),
            *ask(b"/3", "x", 0, cookie(brought), sets(value)),
            *ask(b"/4", "y", 1, cookie(brought)))


def goes_on(number, *values):
    """And one that goes on."""
    brought = b"g%d" % number
    return (*ask(b"/1", "x", 0, says=sets(b"SID=" + brought)),
            *ask(b"/2", "x", 0, cookie(brought), sets(*values)),
            *ask(b"/3", "x", 0, cookie(brought)), *ask(b"/4", "y", 1))


def has_sessions(entries, evicted):
    """The pool has so many, and so many had to go."""
    def look(run):
        got = [run.yoke.metric(f'yoke_pool_sessions{what}{{pool="{run.name()}"}}')
               for what in ("", "_evicted_total")]
        if got != [entries, evicted]:
            raise Failed(f"{got[0]:g} sessions, {got[1]:g} evicted, not {entries} and {evicted}")
    return do(look)


# Whoever's state changes, the turn begins anew.
UP = becomes(0, "up"), becomes(1, "up")
LONG = b"l" * 6000

CASES = [
    Case("the value that a target sets is followed",
         counted(LEARNED, None),
         *ask(b"/1", "x", 0, says=sets(b"SID=a; Path=/; HttpOnly")),
         *ask(b"/2", "y", 1, says=sets(b"SID=b; Path=/; HttpOnly")),
         *ask(b"/3", "x", 0, cookie(b"a")), *ask(b"/4", "y", 1, cookie(b"b")),
         *ask(b"/5", "y", 1, cookie(b"b"), c="2"), *ask(b"/6", "x", 0, cookie(b"a"), c="3"),
         *ask(b"/7", "x", 0, b"Cookie: one=1; SID=a; two=2\r\n"),
         *ask(b"/8", "y", 1, b"Cookie: one=1\r\nCookie: SID=b\r\n"),
         counted(LEARNED, 2), targets=2, pool=APP),
    Case("without the cookie in turn, also where others are set",
         *ask(b"/1", "x", 0), *ask(b"/2", "y", 1, b"Cookie: XSID=a; SIDX=a; sid=a\r\n"),
         *ask(b"/3", "x", 0, b"Cookie: SID\r\n"), *ask(b"/4", "y", 1, cookie(b"")),
         *ask(b"/5", "x", 0, cookie(b'""')), *ask(b"/6", "y", 1, says=sets(b"other=1")),
         *ask(b"/7", "x", 0, b"Cookie: other=1\r\n"), *ask(b"/8", "y", 1), targets=2, pool=APP),
    Case("a value that nobody knows stays where it came to",
         *ask(b"/1", "x", 0, cookie(b"u")), *ask(b"/2", "x", 0, cookie(b"u")),
         *ask(b"/3", "y", 1, cookie(b"v")), *ask(b"/4", "y", 1, cookie(b"v")),
         *ask(b"/5", "x", 0, cookie(b"u")), targets=2, pool=APP),
    Case("a new value in a session: the old and the new one lead to the same target",
         *ask(b"/1", "x", 0, says=sets(b"SID=a")),
         *ask(b"/2", "x", 0, cookie(b"a"), sets(b"SID=b; Secure; Path=/")),
         *ask(b"/3", "x", 0, cookie(b"b")), *ask(b"/4", "x", 0, cookie(b"a")),
         *ask(b"/5", "y", 1), targets=2, pool=APP),
    Case("the target that sets a value last has it",
         *ask(b"/1", "x", 0, says=sets(b"SID=a")), *ask(b"/2", "y", 1, says=sets(b"SID=a")),
         *ask(b"/3", "y", 1, cookie(b"a")), *ask(b"/4", "y", 1, cookie(b"a")),
         targets=2, pool=APP),
    Case("the same value again is no news",
         counted(LEARNED, None), *ask(b"/1", "x", 0, says=sets(b"SID=a")), counted(LEARNED, 1),
         *ask(b"/2", "x", 0, cookie(b"a"), sets(b"SID=a")), counted(LEARNED, 0), pool=APP),
    Case("a session that its target ends",
         counted(ENDED, None),
         *ends(1, b"SID=; Max-Age=0"), *ends(2, b"SID=e2; Max-Age=0; Path=/"),
         *ends(3, b"SID=x; Expires=" + EPOCH), *ends(4, b"SID="), *ends(5, b'SID=""; Path=/'),
         *ends(6, b"SID=deleted; expires=Thu, 01-Jan-70 00:00:01 GMT; Max-Age=0; path=/"),
         counted(ENDED, 6), targets=2, pool=APP),
    Case("what does not end a session",
         counted(ENDED, None), *goes_on(1, b"SID2=; Max-Age=0"),
         *goes_on(2, b"SID=; Max-Age=0; Path=/old", b"SID=n2; Path=/"),
         *goes_on(3, b"SID=n3; Path=/", b"SID=; Max-Age=0; Path=/old"),
         *goes_on(4, b"SID=g4; Expires=never; Max-Age=x"),
         *goes_on(5, b"SID=g5; Max-Age=10; Expires=" + EPOCH),
         counted(ENDED, 0), targets=2, pool=APP),
    Case("who ends a session that there is not",
         counted(ENDED, None), *ask(b"/1", "x", 0, says=sets(b"SID=; Max-Age=0")),
         counted(ENDED, 0), pool=APP),
    Case("malformed Set-Cookie fields say nothing",
         *says_nothing(1, b"SID %s"), *says_nothing(2, b"=%s"), *says_nothing(3, b";SID=%s"),
         *says_nothing(4, b"sid=%s"), *says_nothing(5, b"SIDX=%s"), *says_nothing(6, b"XSID=%s"),
         *says_nothing(7, b"a=1, SID=%s"), *says_nothing(8, b"a; SID=%s"),
         *says_nothing(9, b"SID\xff=%s"), *says_nothing(10, b"%s"), targets=2, pool=APP),
    Case("odd Set-Cookie fields that browsers understand",
         *ask(b"/1", "x", 0, says=sets(b"  SID  =  a  ;;;Path")), *ask(b"/2", "x", 0, cookie(b"a")),
         *ask(b"/3", "y", 1, says=sets(b'SID="b c"')), *ask(b"/4", "y", 1, cookie(b'"b c"')),
         *ask(b"/5", "x", 0, says=b"SET-COOKIE:SID=a=b==\r\n"),
         *ask(b"/6", "x", 0, cookie(b"a=b==")), *ask(b"/7", "y", 1), targets=2, pool=APP),
    Case("several Set-Cookie fields",
         *ask(b"/1", "x", 0, says=sets(b"one=1", b"SID=a", b"two=2")),
         *ask(b"/2", "x", 0, cookie(b"a")),
         *ask(b"/3", "y", 1, says=sets(b"SID=b; Path=/b", b"SID=c; Path=/c")),
         *ask(b"/4", "y", 1, cookie(b"b")), *ask(b"/5", "y", 1, cookie(b"c")),
         *ask(b"/6", "x", 0), targets=2, pool=APP),
    Case("two cookies of the name: the first one counts",
         *ask(b"/1", "x", 0, says=sets(b"SID=a")), *ask(b"/2", "y", 1, says=sets(b"SID=b")),
         *ask(b"/3", "y", 1, b"Cookie: SID=b; SID=a\r\n"),
         *ask(b"/4", "y", 1, b"Cookie: SID=b\r\nCookie: SID=a\r\n"),
         *ask(b"/5", "x", 0, b"Cookie: SID=a; SID=b\r\n"), targets=2, pool=APP),
    Case("long values that differ at their end",
         *ask(b"/1", "x", 0, says=sets(b"SID=" + LONG + b"a")),
         *ask(b"/2", "y", 1, says=sets(b"SID=" + LONG + b"b")),
         *ask(b"/3", "x", 0, cookie(LONG + b"a")), *ask(b"/4", "y", 1, cookie(LONG + b"b")),
         *ask(b"/5", "x", 0, cookie(LONG)), targets=2, pool=APP),
    Case("any status begins a session",
         *ask(b"/1", "x", 0, says=sets(b"SID=a"), status=b"302 Found"),
         *ask(b"/2", "x", 0, cookie(b"a")),
         *ask(b"/3", "y", 1, says=sets(b"SID=b"), status=b"500 Oops"),
         *ask(b"/4", "y", 1, cookie(b"b")), targets=2, pool=APP),
    Case("responses without a body",
         send(req(method=b"HEAD")), sees(fwd(method=b"HEAD"), b="x"),
         answer(ok(fields=sets(b"SID=a"))[:-2], b="x"), gets(ok(fields=sets(b"SID=a"))[:-2]),
         *ask(b"/2", "x", 0, cookie(b"a")),
         send(req()), sees(fwd(), b="y", t=1),
         answer(b"HTTP/1.1 304 Not Modified\r\nSet-Cookie: SID=b\r\n\r\n", b="y"),
         gets(b"HTTP/1.1 304 Not Modified\r\nSet-Cookie: SID=b\r\n\r\n"),
         *ask(b"/4", "y", 1, cookie(b"b")), targets=2, pool=APP),
    Case("HTTP/1.0",
         send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"), sees(fwd10(), b="x"),
         answer(ok(fields=sets(b"SID=a")), b="x"),
         gets_head(200, has=[b"Set-Cookie: SID=a"]), gets(b"ok"),
         send(b"GET / HTTP/1.0\r\nHost: a\r\nCookie: SID=a\r\n\r\n", c="2"),
         sees(fwd10(fields=cookie(b"a")), b="x"), answer(ok(), b="x"), gets_head(200, c="2"),
         gets(b"ok", c="2"), *ask(b"/3", "y", 1, c="3"), targets=2, pool=APP),
    Case("a pipelined request follows the response before it",
         send(req(b"/1") + req(b"/2", cookie(b"a"))), sees(fwd(b"/1"), b="x"),
         answer(ok(fields=sets(b"SID=a")), b="x"), gets(ok(fields=sets(b"SID=a"))),
         sees(fwd(b"/2", cookie(b"a")), b="x"), answer(ok(), b="x"), gets(ok()), untouched(1),
         targets=2, pool=APP),
    Case("a head in pieces",
         send(req(b"/1")), sees(fwd(b"/1"), b="x"), answer_drip(ok(fields=sets(b"SID=a")), b="x"),
         gets(ok(fields=sets(b"SID=a"))), *ask(b"/2", "x", 0, cookie(b"a")), *ask(b"/3", "y", 1),
         targets=2, pool=APP),
    Case("interim responses begin no session",
         send(req(b"/1")), sees(fwd(b"/1"), b="x"),
         answer(b"HTTP/1.1 103 Early Hints\r\nSet-Cookie: SID=a\r\n\r\n" + ok(), b="x"),
         gets(b"HTTP/1.1 103 Early Hints\r\nSet-Cookie: SID=a\r\n\r\n" + ok()),
         *ask(b"/2", "y", 1, cookie(b"a")), targets=2, pool=APP),
    Case("a switch of protocols begins one",
         send(req(b"/1", b"Connection: Upgrade\r\nUpgrade: websocket\r\n")),
         sees(fwd(b"/1").replace(b"X-Forw", b"Connection: Upgrade\r\nUpgrade: websocket\r\nX-Forw",
                                 1), b="x"),
         answer(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Set-Cookie: SID=a\r\n\r\nhi", b="x"),
         gets_head(101, has=[b"Set-Cookie: SID=a"]), gets(b"hi"),
         *ask(b"/2", "x2", 0, cookie(b"a"), c="2"), *ask(b"/3", "y", 1, c="2"),
         targets=2, pool=APP),
    Case("an end of the connection as the end of a body",
         send(req(b"/1")), sees(fwd(b"/1"), b="x"),
         answer(b"HTTP/1.1 200 OK\r\nSet-Cookie: SID=a\r\nConnection: close\r\n\r\nbody", b="x"),
         gets_head(200, has=[b"Set-Cookie: SID=a"]), gets(b"body"),
         *ask(b"/2", "x2", 0, cookie(b"a"), c="2"), *ask(b"/3", "y", 1, c="2"),
         targets=2, pool=APP),
    Case("a client whose target is down moves, and stays there",
         *UP, *ask(b"/1", "x", 0, says=sets(b"SID=a")),
         *ask(b"/2", "y", 1, says=sets(b"SID=b")),
         stop_listening(0), becomes(0, "down"), *ask(b"/3", "y", 1, cookie(b"a")), listen(0),
         becomes(0, "up"), *ask(b"/4", "y", 1, cookie(b"a")),
         targets=2, pool={**APP, "health": FAST}),
    Case("when_down: fail",
         *UP, *ask(b"/1", "x", 0, says=sets(b"SID=a")),
         *ask(b"/2", "y", 1, says=sets(b"SID=b")),
         stop_listening(0), becomes(0, "down"), send(req(fields=cookie(b"a"))),
         gets_error(503, closed=False), *ask(b"/3", "y", 1, cookie(b"b")),
         *ask(b"/4", "y", 1, cookie(b"c")), listen(0), becomes(0, "up"),
         *ask(b"/5", "x", 0, cookie(b"a")),
         targets=2, pool={"sticky": {**APP["sticky"], "when_down": "fail"}, "health": FAST}),
    Case("a target that refuses: the session moves",
         *ask(b"/1", "x", 0, says=CLOSE + sets(b"SID=a"))[:-1], gets(ok(fields=sets(b"SID=a"))),
         released("x"),
         stop_listening(0), *ask(b"/3", "y", 1, cookie(b"a"), c="2"),
         *ask(b"/4", "y", 1, cookie(b"a"), c="2"), targets=2, pool=APP),
    Case("sessions end with their ttl",
         *ask(b"/1", "x", 0, says=sets(b"SID=a")), pause(1.2), *ask(b"/2", "y", 1, cookie(b"a")),
         targets=2, pool={"sticky": {**APP["sticky"], "ttl": "1s"}}),
    Case("no more sessions than max_entries: the newest is there",
         *ask(b"/0", "x", 0, says=sets(b"SID=v0")), has_sessions(1, 0),
         *ask(b"/1", "y", 1, says=sets(b"SID=v1")), has_sessions(2, 0),
         *ask(b"/2", "x", 0, says=sets(b"SID=v2")), has_sessions(2, 1),
         *ask(b"/3", "y", 1, cookie(b"v3")), has_sessions(2, 2),
         *ask(b"/4", "x", 0, says=sets(b"SID=v4")), has_sessions(2, 3),
         *ask(b"/5", "x", 0, cookie(b"v4")), has_sessions(2, 3),
         *ask(b"/6", "x", 0, cookie(b"v4"), sets(b"SID=; Max-Age=0")), has_sessions(1, 3),
         targets=2, pool={"sticky": {**APP["sticky"], "max_entries": 2}}),
    Case("a share of the requests, but who has a session stays",
         *ask(b"/1", "x", 0, says=sets(b"SID=a")), *ask(b"/2", "x", 0, cookie(b"a")),
         *ask(b"/3", "x", 0, cookie(b"a")), *ask(b"/4", "y", 1, says=sets(b"SID=b")),
         *ask(b"/5", "y", 1, cookie(b"b")), *ask(b"/6", "x", 0, cookie(b"a")),
         targets=2, pool=APP, routes=[{"path": "/*", "pool": {"t0": 1, "t1": 1}}]),

    Case("the value of a field keeps its target",
         *ask(b"/1", "x", 0, b"X-User: ann\r\n"), *ask(b"/2", "y", 1, b"X-User: bob\r\n"),
         *ask(b"/3", "y", 1, b"x-user:bob\r\n", c="2"), *ask(b"/4", "x", 0, b"X-USER:  ann \r\n"),
         *ask(b"/5", "x", 0, b"X-User: Ann\r\n"), *ask(b"/6", "y", 1, b"X-User: bob\r\n"),
         targets=2, pool=USER),
    Case("without the field in turn",
         *ask(b"/1", "x", 0), *ask(b"/2", "y", 1, b"X-User:\r\n"),
         *ask(b"/3", "x", 0, b"X-User-2: ann\r\n"), *ask(b"/4", "y", 1, b"User: ann\r\n"),
         *ask(b"/5", "x", 0), targets=2, pool=USER),
    Case("two fields of the name: the first one with a value counts",
         *ask(b"/1", "x", 0, b"X-User: ann\r\n"), *ask(b"/2", "y", 1, b"X-User: bob\r\n"),
         *ask(b"/3", "y", 1, b"X-User: bob\r\nX-User: ann\r\n"),
         *ask(b"/4", "x", 0, b"X-User:\r\nX-User: ann\r\nX-User: bob\r\n"), targets=2, pool=USER),
    Case("a field that is known to HTTP",
         send(req(host=b"a")), sees(fwd(host=b"a"), b="x"), answer(ok(), b="x"), gets(ok()),
         send(req(host=b"b")), sees(fwd(host=b"b"), b="y", t=1), answer(ok(), b="y"), gets(ok()),
         send(req(host=b"b")), sees(fwd(host=b"b"), b="y", t=1), answer(ok(), b="y"), gets(ok()),
         send(req(host=b"a")), sees(fwd(host=b"a"), b="x"), answer(ok(), b="x"), gets(ok()),
         targets=2, pool={"sticky": {"header": {"name": "host"}}}),
    Case("by a field: a client whose target is down moves, and stays there",
         *UP, *ask(b"/1", "x", 0, b"X-User: ann\r\n"),
         *ask(b"/2", "y", 1, b"X-User: bob\r\n"),
         stop_listening(0), becomes(0, "down"), *ask(b"/3", "y", 1, b"X-User: ann\r\n"),
         listen(0), becomes(0, "up"), *ask(b"/4", "y", 1, b"X-User: ann\r\n"),
         targets=2, pool={**USER, "health": FAST}),
    Case("by a field: when_down: fail",
         *UP, *ask(b"/1", "x", 0, b"X-User: ann\r\n"),
         *ask(b"/2", "y", 1, b"X-User: bob\r\n"),
         stop_listening(0), becomes(0, "down"), send(req(fields=b"X-User: ann\r\n")),
         gets_error(503, closed=False), *ask(b"/3", "y", 1, b"X-User: bob\r\n"),
         targets=2, pool={"sticky": {**USER["sticky"], "when_down": "fail"}, "health": FAST}),
    Case("a field of responses begins the session, not one of requests",
         counted(LEARNED, None),
         *ask(b"/1", "x", 0, b"X-Token: t\r\n"), *ask(b"/2", "y", 1, b"X-Token: t\r\n"),
         *ask(b"/3", "x", 0, says=b"X-New-Token: t\r\n"), *ask(b"/4", "x", 0, b"X-Token: t\r\n"),
         *ask(b"/5", "x", 0, b"X-Token: t\r\n"), *ask(b"/6", "y", 1, b"X-New-Token: t\r\n"),
         *ask(b"/7", "x", 0, says=b"X-Token: u\r\n"), *ask(b"/8", "y", 1, b"X-Token: u\r\n"),
         *ask(b"/9", "x", 0, says=b"X-New-Token:\r\n"), *ask(b"/10", "y", 1, b"X-Token:\r\n"),
         counted(LEARNED, 1), targets=2, pool=TOKEN),
    Case("a new token: both lead to the same target",
         *ask(b"/1", "x", 0, says=b"X-New-Token: a\r\n"),
         *ask(b"/2", "x", 0, b"X-Token: a\r\n", b"x-new-token:b\r\n"),
         *ask(b"/3", "x", 0, b"X-Token: b\r\n"), *ask(b"/4", "x", 0, b"X-Token: a\r\n"),
         *ask(b"/5", "y", 1), targets=2, pool=TOKEN),
]
