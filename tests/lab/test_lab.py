"""The lab itself: what measures must be right, and nothing may stay behind."""
import os
import signal
import subprocess
import time

import testing
from lab import (PYTHON, VIP, WEB_PORT, ArpWatch, Lab, Prober, Tool, address,
                 kill_quietly)
from segment import PREFIX, Segment, namespaces


def test_measures(checks):
    """A known outage is measured as such, by the prober and by held connections; ARP answers of
    two hosts are told apart."""
    with Lab() as lab:
        host = address("web1")
        prober = Prober(lab, WEB_PORT, host=host)
        hold = Tool(lab, "client", "hold", "echo", host, 5432)
        watch = ArpWatch(lab, VIP)
        prober.wait_ok(100)
        begun = time.monotonic()
        lab.isolate("web1", True)
        time.sleep(0.5)
        lab.isolate("web1", False)
        ended = time.monotonic()
        for web in ("web1", "web2"):
            lab.ip_batch(lab.name(web), [f"addr add {VIP}/32 dev eth0"])
        prober.wait_ok(100)
        held = hold.stop()
        traffic, arp = prober.stop(), watch.stop()
        gap, where = traffic.outage()
        real, late = ended - begun, checks.lateness.worst_ms(begun) / 1000
        checks.true(f"outage {1000 * gap:.0f} ms of {1000 * real:.0f} ms",
                    real - 0.02 <= gap <= real + 0.15 + testing.STEPS * late)
        checks.true("where it was", abs(where - begun) < 0.1 + testing.STEPS * late)
        checks.true(f"failed requests: {traffic.failures_text()}", len(traffic.failed()) > 20)
        checks.equal("held connections survive it", held["broken"], [])
        macs = {frozenset(macs) for _, macs in arp.answers(ended, time.monotonic())}
        both = frozenset((lab.mac("web1"), lab.mac("web2")))
        checks.true("two hosts answered one request", both in macs)
        checks.true("that is noticed", arp.last_double(begun) > 0)
        checks.true("nobody answered before", not any(m for _, m in arp.answers(0, begun)))


def test_cleanup(checks):
    """Whatever ends a lab, nothing stays: an interrupt, and a kill that only the next run mends."""
    code = ("import sys; sys.path.insert(0, sys.argv[1])\n"
            "from lab import *\n"
            "with Lab() as lab:\n    p = Prober(lab, WEB_PORT, host=address('web1'))\n"
            "    p.wait_ok(10)\n    print('up', flush=True)\n    time.sleep(60)\n")
    here = os.path.dirname(os.path.abspath(__file__))

    def leftovers(pid):
        return ([n for n in namespaces() if n.startswith(f"{PREFIX}{pid}-")]
                + [n for n in os.listdir("/run") if n.startswith(f"{PREFIX}{pid}-")])

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        child = subprocess.Popen([PYTHON, "-c", code, here], stdout=subprocess.PIPE, text=True,
                                 start_new_session=True)
        try:
            checks.equal("the lab is", child.stdout.readline().strip(), "up")
            checks.true("it has namespaces", len(leftovers(child.pid)) > 5)
            child.send_signal(number)
            child.wait(15)
        finally:
            kill_quietly(child.pid, signal.SIGKILL)
            child.wait()
            child.stdout.close()
        if number == signal.SIGKILL:
            checks.true("a killed lab leaves something", leftovers(child.pid))
            with Segment():
                pass
        checks.equal(f"left behind after {signal.Signals(number).name}", leftovers(child.pid), [])


if __name__ == "__main__":
    testing.main(globals())
