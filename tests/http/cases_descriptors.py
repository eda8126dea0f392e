"""What happens when there are more connections than descriptors: who goes, and who stays."""
import socket

from crowd import ANSWER, Crowd, FastClient, allow_descriptors
from harness import Case, End, Failed, answer, do, gets, sees, send
from messages import fwd, ok, req
from proxy_headers import v1

NOFILE = 1024
SHORT = NOFILE - NOFILE // 16  # from here on somebody makes room
SAY = {"respond": {"status": 200}}
# Nobody goes because of the time.
PATIENT = {"header_timeout": "1h", "idle_timeout": "1h"}
SILENT, IDLE = "yoke_evicted_silent_total", "yoke_evicted_idle_total"


def crowd_of(run):
    allow_descriptors(6500)
    return Crowd(run.address, run.port)


def require(what, value, least, most):
    if not least <= value <= most:
        raise Failed(f"{what}: {value:g}, not {least} to {most}")


def still_works(run):
    """What needs descriptors of its own: the admin API, and the requests of our own."""
    run.yoke.require_healthy()
    failures = (f'yoke_listener_check_failures_total{{listener="{run.name()}",'
                f'address="{run.address}:{run.port}"}}')
    require("requests of our own that failed", run.yoke.metric(failures), 0, 0)
    require("connections", run.yoke.metric("yoke_client_connections"), 1, SHORT)


def flood(say, request=None):
    """5,000 connections that say this much, and whoever asks properly is served."""
    def run_flood(run):
        silent, idle = run.yoke.metric(SILENT), run.yoke.metric(IDLE)
        crowd = crowd_of(run)
        fast = FastClient(run.address, run.port, request or req())
        try:
            for _ in range(100):
                crowd.grow(50, say)
                fast.ask_both()
            still_works(run)
            require("evicted silent ones", run.yoke.metric(SILENT) - silent, 5000 - SHORT, 5000)
            require("evicted idle ones", run.yoke.metric(IDLE) - idle, 0, 0)
            run.yoke.wait_for(lambda: crowd.still_there() <= SHORT,
                              lambda: f"{crowd.still_there()} of the crowd are still there")
            require("those who came last are there", crowd.still_there(), SHORT - 100, SHORT)
        finally:
            crowd.leave()
            fast.close()
    return do(run_flood)


def flood_headers(run):
    """The same where a PROXY header must come first."""
    silent = run.yoke.metric(SILENT)
    crowd = crowd_of(run)
    try:
        for _ in range(20):
            crowd.grow(100, b"PROXY")
            end = End(socket.create_connection(crowd.to, 20), "the fast client")
            end.send(v1() + req())
            end.require(ANSWER)
            end.close()
        still_works(run)
        require("evicted silent ones", run.yoke.metric(SILENT) - silent, 2000 - SHORT, 2000)
    finally:
        crowd.leave()


def grow_idle(crowd, n):
    """Each of them asks once and stays."""
    for _ in range(n):
        crowd.grow(1, req())
        crowd.socks[-1].settimeout(20)
        if crowd.socks[-1].recv(1000) != ANSWER:
            raise Failed("one of the crowd was not served")
        crowd.socks[-1].setblocking(False)


def idle_ones(run):
    """The idlest make room for those who come."""
    silent, idle = run.yoke.metric(SILENT), run.yoke.metric(IDLE)
    crowd = crowd_of(run)
    try:
        grow_idle(crowd, 1500)
        still_works(run)
        require("evicted idle ones", run.yoke.metric(IDLE) - idle, 1500 - SHORT, 1500)
        require("evicted silent ones", run.yoke.metric(SILENT) - silent, 0, 0)
        # About in the order in which they came.
        last = Crowd(*crowd.to)
        last.socks = crowd.socks[-SHORT // 2:]
        require("of the last ones", last.still_there(), len(last.socks) * 3 // 4, len(last.socks))
    finally:
        crowd.leave()


def is_served(end):
    try:
        end.send(req())
        end.require(ANSWER)
        return True
    except (Failed, OSError):
        return False


def new_ones_get_their_moment(run):
    """Two who come at once, and ask then: the first does not make room for the second, but somebody
    idle does, unless the machine rests between the two."""
    crowd, served = crowd_of(run), 0
    try:
        grow_idle(crowd, SHORT)
        for _ in range(20):
            ends = [End(socket.create_connection(crowd.to, 20), "a new one") for _ in range(2)]
            served += sum(is_served(end) for end in ends)
            for end in ends:
                end.close()
            grow_idle(crowd, 2)
        require("served", served, 30, 40)
    finally:
        crowd.leave()


def busy_ones_stay(run):
    """Those who wait for an answer get it, whoever comes meanwhile."""
    clients = [run.client(f"c{i}") for i in range(100)]
    for client in clients:
        client.send(req(b"/wait"))
    backends = [run.backend(f"b{i}") for i in range(100)]
    for backend in backends:
        backend.require(fwd(b"/wait"))
    crowd = crowd_of(run)
    try:
        grow_idle(crowd, 1500)
        crowd.grow(2000)
        still_works(run)
        for backend in backends:
            backend.send(ok())
        for client in clients:
            client.require(ok())
    finally:
        crowd.leave()


CASES = [
    Case("silent ones make room for others", flood(b""), routes=[SAY], listener=PATIENT),
    Case("so do those who do not end their head", flood(b"GET / HTTP/1.1\r\nX: "), routes=[SAY],
         listener=PATIENT),
    Case("and those who do not send their PROXY header", do(flood_headers), routes=[SAY],
         listener={**PATIENT, "proxy_protocol": True}),
    Case("idle ones make room when there are no silent ones", do(idle_ones), routes=[SAY],
         listener=PATIENT),
    Case("new ones get a moment to ask", do(new_ones_get_their_moment), routes=[SAY],
         listener=PATIENT),
    Case("who waits for an answer stays", do(busy_ones_stay), listener=PATIENT,
         routes=[{"path": "/wait", "pool": "t0"}, SAY]),
    Case("afterwards all is as before", send(req()), sees(fwd()), answer(ok()), gets(ok()), do(still_works)),
]
