"""What a node says of itself: status, metrics, yokectl."""
import os
import re
import signal
import time

import testing
from lab import PYTHON, SLACK, address, wait_until
from testing import TestLab

# A VRRPv3 advert of VRID 51 with a wrong checksum, to the group.
FORGED = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("{address('observer')}"))
s.sendto(bytes((0x31, 51, 100, 1, 0, 10, 0xde, 0xad, 192, 0, 2, 10)), ("224.0.0.18", 0))
"""


def metrics(node):
    """{name with labels: value}; families are checked on the way."""
    _, text = node.api.request("GET", "/metrics")
    values, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in typed, f"two families {name}"
            typed.add(name)
        elif not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            assert name not in values, f"two samples {name}"
            family = re.sub(r"\{.*", "", name)
            assert {family, re.sub("_(bucket|sum|count)$", "", family)} & typed, f"{name}: no type"
            values[name] = float(value)
    return values


def metric(node, name, **labels):
    labels = "".join(f',{key}="{value}"' for key, value in labels.items())
    return metrics(node).get(f'yoke_virtual_router_{name}{{virtual_router="front"{labels}}}')


def front(node):
    status = node.status()
    return status["virtual_routers"]["front"] if status else {}


def wait_late(node):
    """Stops a Backup's yoke-vrrp for 90 ms until that is an event: once, on a machine that was
    punctual in the ten seconds before."""
    pid = node.pid_of("yoke-vrrp")
    before = len(node.remarks())

    def late():
        return [text for text in node.remarks()[before:] if "late as Backup" in text]

    def stop():
        os.kill(pid, signal.SIGSTOP)
        moment = time.monotonic()
        wait_until(lambda: time.monotonic() > moment + 0.09, 1, "90 ms are over")
        os.kill(pid, signal.SIGCONT)
        return late()
    wait_until(stop, 15, "an event", pause=0.2)
    return late()[0]


def test_explain(checks):
    with TestLab() as lab:
        first, second = lab.start_pair("node1")
        wait_until(lambda: (front(second).get("heard") or {}).get("age_ms") is not None, 5 * SLACK,
                   "statistics")
        wait_until(lambda: metric(first, "adverts_sent_total") > 10, 5 * SLACK, "adverts counted")

        checks.section("status")
        heard = front(second)["heard"]
        checks.equal("heard", {key: heard[key] for key in
                               ("from", "priority", "interval_ms", "version", "checksum")},
                     {"from": address("node1"), "priority": 200, "interval_ms": 100, "version": 3,
                      "checksum": "rfc5798"})
        checks.true("lately", heard["age_ms"] < 1500 * SLACK)
        checks.equal("leases", [front(node)["lease"]["state"] for node in (first, second)],
                     ["alive", "over"])
        checks.equal("no problem", front(first)["lease"]["problem"], None)
        late = front(first)["lateness"]
        checks.note("lateness", late)
        checks.equal("what the lease bears, us", late["tolerance_us"], 94000)
        checks.true("worst ever >= worst lately > 0", late["max_us"] >= late["recent_us"] > 0)
        checks.true("silence below patience", 90e3 < front(second)["lateness"]["silence_us"]
                    < front(second)["lateness"]["patience_us"])
        checks.true("patience", 340e3 < front(second)["lateness"]["patience_us"] < 342e3)
        text = second.ctl("status")
        for words in (f"heard {address('node1')}", "lateness: at most"):
            checks.true(f"yokectl says: {words}", words in text)
        checks.true("yokectl tells the lease", re.search(r"lease: \d+ ms left", first.ctl("status")))

        checks.section("a late wake-up")
        late = wait_late(second)
        checks.note("event", late)
        took, waited = map(int, re.match(r"woke up (\d+) us late as Backup, (\d+) us of it for want "
                                         "of a CPU", late).groups())
        checks.true("so late as it was stopped, and not for want of a CPU",
                    took > 50000 and waited <= took / 2)
        wait_until(lambda: front(second)["lateness"]["max_us"] >= took, 5 * SLACK, "it is counted")
        checks.true("logged", "late as Backup" in second.log())
        checks.equal("states", [node.state() for node in (first, second)], ["active", "backup"])

        checks.section("a fault that is over says nothing of an old wake-up")
        pid = second.pid_of("yoke-vrrp")
        os.kill(pid, signal.SIGSTOP)
        moment = time.monotonic()
        lab.ip_batch(lab.name("node2"), ["link set eth0 down"])
        wait_until(lambda: time.monotonic() > moment + 0.09, 1, "90 ms are over")
        os.kill(pid, signal.SIGCONT)
        second.wait_state("fault")
        lab.ip_batch(lab.name("node2"), ["link set eth0 up"])
        second.wait_state("backup")
        reason = second.transitions()[-1]["reason"]
        checks.true(f"not woken by a timer: {reason}", "woke up 0 us late" in reason)

        checks.section("refused packets, by reason")
        before = metric(second, "adverts_refused_total", reason="checksum")
        lab.run_in("observer", PYTHON, "-c", FORGED)
        wait_until(lambda: metric(second, "adverts_refused_total", reason="checksum") == before + 1,
                   5 * SLACK, "it is counted")
        checks.equal("in the status", front(second)["adverts"]["refused"], {"checksum": 1})
        checks.true("yokectl says it", "1 refused (checksum)" in second.ctl("status"))

        checks.section("transitions, by cause")
        first.ctl("failover")
        second.wait_state("active")
        reason = second.transitions()[-1]["reason"]
        checks.note("reason", reason)
        checks.true("with figures", re.search(
            rf"resigned.* \[priority 150; heard {address('node1')} with \d+, \d+ ms ago; "
            r"woke up \d+ us late\]$", reason))
        wait_until(lambda: metric(second, "promotions_total", cause="peer_resigned") == 1
                   and metric(first, "departures_total", cause="operator") == 1, 5 * SLACK,
                   "both are counted")
        checks.true("claims", metric(second, "claims_sent_total") > 0)
        checks.true("announcements", metric(second, "announcements_sent_total") > 0)
        values = metrics(first)
        count = 'yoke_virtual_router_lateness_seconds_count{virtual_router="front"}'
        last = 'yoke_virtual_router_lateness_seconds_bucket{virtual_router="front",le="+Inf"}'
        checks.true("the histogram's count is its last bucket", values[count] == values[last] > 10)

        checks.section("a transition whose witness has died")
        first.kill("yoke-proxy")
        first.wait(lambda: first.transitions() and first.state() == "backup", 15, "Backup")
        told = [(e["from"], e["to"], e["reason"].split(" [")[0]) for e in first.transitions()]
        checks.equal("what the next yoke-proxy knows", told,
                     [("backup", "fault", "proxy died"), ("fault", "backup", "proxy ready")])


if __name__ == "__main__":
    testing.main(globals())
