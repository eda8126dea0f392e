"""What is done to the Active: the rows of the table."""
import signal
import time
from dataclasses import dataclass, field
from typing import Callable

from lab import NODES

ALL = ("100ms", "10ms")
BURNERS = 16


@dataclass
class Fault:
    title: str
    strike: Callable  # of a Pair; the moment
    # The most that yoke promises, by advert interval: ms of outage.
    limit: dict = field(default_factory=dict)
    prepare: Callable = lambda pair: None
    moves: int = 1  # that the VIP should make
    partial: bool = False  # only some requests fail: what counts is for how long
    watch_s: float = 3.0
    deadline_ms: int = 900
    advertise: tuple = ALL
    contenders: tuple = ("yoke", "keepalived")


def thaw(pair):
    return pair.signal_all(signal.SIGCONT)


def stop_and_wait(pair):
    """Everything stands still, and the other has taken over for good."""
    pair.signal_all(signal.SIGSTOP)
    pair.callback(pair.signal_all, signal.SIGCONT)
    pair.wait_second_active()
    time.sleep(1)
    pair.first, pair.second = pair.second, pair.first


def lose_adverts(pair):
    """The switch drops VRRP, in both directions, and nothing else."""
    moment = time.monotonic()
    for role in NODES:
        pair.lab.drop(role, "ip protocol 112")
    return moment


def burn(pair):
    moment = time.monotonic()
    for _ in range(BURNERS):
        pair.lab.start_in("observer", "sh", "-c", "while :; do :; done")
    return moment


EVERY = ("yoke", "keepalived", "keepalived-file")
FAULTS = {
    "power_off": Fault("power off: link cut, SIGKILL of everything", lambda pair: pair.power_off(),
                       {"100ms": 340, "10ms": 40}),
    "sigkill_all": Fault("SIGKILL of everything, link up", lambda pair: pair.kill_all(),
                         {"100ms": 340, "10ms": 60}),
    "sigstop_all": Fault("SIGSTOP of everything", lambda pair: pair.signal_all(signal.SIGSTOP),
                         {"100ms": 350, "10ms": 120}),
    "sigkill_vrrp": Fault("SIGKILL of the VRRP daemon", lambda pair: pair.kill_vrrp(),
                          {"100ms": 60, "10ms": 20}),
    "sigkill_proxy": Fault("SIGKILL of the proxy", lambda pair: pair.kill_proxy(),
                           {"100ms": 50, "10ms": 15}, contenders=EVERY),
    "hang_worker": Fault("one worker thread stands still", lambda pair: pair.hang_worker(),
                         {"100ms": 1000, "10ms": 1000}, partial=True, watch_s=4.0,
                         contenders=EVERY),
    "sigcont": Fault("SIGCONT after SIGSTOP", thaw, prepare=stop_and_wait, moves=0, watch_s=6.0),
    "sigterm": Fault("SIGTERM", lambda pair: pair.terminate(), {"100ms": 20, "10ms": 10},
                     deadline_ms=3000),
    "hand_over": Fault("planned switch by order", lambda pair: pair.hand_over(),
                       {"100ms": 20, "10ms": 10}, deadline_ms=3000,
                       contenders=("yoke", "keepalived-file")),
    "adverts_lost": Fault("adverts lost both ways, hosts fine", lose_adverts, moves=0, watch_s=14.0),
    "burners": Fault(f"{BURNERS} CPU burners for 40 s", burn, moves=0, watch_s=40.0,
                     deadline_ms=3000, advertise=("10ms",)),
}
