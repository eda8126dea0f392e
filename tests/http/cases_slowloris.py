"""5,000 clients that send a head byte by byte and never end it."""
import time

from crowd import Crowd, FastClient, allow_descriptors
from harness import Case, Failed, do
from messages import req

CROWD = 5000
SAY = {"respond": {"status": 200}}
BEGUN = b"GET / HTTP/1.1\r\nHost: a\r\nX-"


def timed_out(run):
    return run.yoke.metric("yoke_refused_timeout_total")


def hold_on(run):
    """They are told that it took too long, each of them; whoever asks properly meanwhile is served."""
    allow_descriptors(CROWD + 500)
    crowd = Crowd(run.address, run.port)
    fast = FastClient(run.address, run.port, req())
    before = timed_out(run)
    try:
        for part in range(50):
            crowd.grow(CROWD // 50, BEGUN)
            for sock in crowd.socks[part::50]:
                try:
                    sock.send(b"a")
                except OSError:
                    pass  # its time is over already
            fast.ask_both()
        deadline = time.monotonic() + 60
        while timed_out(run) < before + CROWD:
            if time.monotonic() > deadline:
                raise Failed(f"only {timed_out(run) - before:g} of {CROWD} were told")
            fast.ask_both()
        if timed_out(run) != before + CROWD:
            raise Failed(f"{timed_out(run) - before:g} were told, of {CROWD}")
        run.yoke.wait_for(lambda: crowd.still_there() == 0,
                          lambda: f"{crowd.still_there()} are still connected")
        if run.yoke.metric("yoke_evicted_silent_total") != 0:
            raise Failed("somebody had to make room, where there was room for all")
        run.yoke.require_healthy()
    finally:
        crowd.leave()
        fast.close()


CASES = [
    Case("slowloris: the others are served", do(hold_on), routes=[SAY],
         listener={"header_timeout": "3s"}),
]
