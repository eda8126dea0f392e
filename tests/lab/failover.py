"""One failover, told from the clients' side: used by the tests and by the demonstration."""
import time
from dataclasses import dataclass, field

from lab import SLACK, VIP, ArpWatch, Prober, Traffic, wait_until

# After a takeover exactly one node answers ARP for the VIP; at the latest after this.
ARP_SETTLED_S = 3.0
ARP_WINDOW_S = 0.6
PROBE_MS = 4


@dataclass
class Story:
    """What happened; moments in seconds of CLOCK_MONOTONIC."""
    struck: float = 0.0           # the moment of the kill
    active: float = 0.0           # the survivor said so of itself
    learned: dict = field(default_factory=dict)  # sticky clients before
    sticky: dict = field(default_factory=dict)   # and after
    pools_before: dict = field(default_factory=dict)
    pools_at_once: dict = field(default_factory=dict)
    transitions: list = field(default_factory=list)  # of the survivor, since the kill
    traffic: Traffic = None
    arp: ArpWatch = None
    survivor_mac: str = ""

    @property
    def outage_ms(self):
        return 1000 * self.traffic.outage(self.struck)[0]

    @property
    def failed(self):
        return len(self.traffic.failed())

    @property
    def takeover_ms(self):
        return 1000 * (self.active - self.struck)

    @property
    def double_arp_ms(self):
        return 1000 * self.arp.last_double(self.struck)

    def reason(self):
        return self.transitions[0]["reason"] if self.transitions else "?"

    def settled_answers(self):
        begin = self.active + ARP_SETTLED_S
        return self.arp.answers(begin, begin + ARP_WINDOW_S)


def cut_limit(checks, since):
    """How many connections a planned move may cut: a handshake that was half-way when new ones were no
    longer heard, and whose end took longer than the quiet that is waited for. A quiet machine cuts none;
    of a busy one, those that a prober begins while somebody waits to be woken."""
    return 2 * SLACK + checks.lateness.worst_ms(since) / PROBE_MS


def failover(lab, dying, survivor, strike, flush=True, clients=True, deadline_ms=900, arp=True,
             takeover_timeout=5, say=lambda text: None):
    """Traffic, sticky clients, strike() (which returns its moment), and what became of them all."""
    story = Story(survivor_mac=lab.owner_mac(survivor))
    if clients:
        story.learned = lab.sticky("learn")
        say("sticky clients have their backends")
    watch = ArpWatch(lab) if arp else None
    prober = Prober(lab, deadline_ms=deadline_ms)
    prober.wait_ok(100)
    say("traffic flows")
    story.pools_before = dying.pools()
    last_event = max([e["id"] for e in survivor.transitions()], default=0)
    story.struck = strike()
    if flush:
        # Once, while the entry is valid: flushing one that is being resolved makes the kernel fail
        # the connections that wait for it ("No route to host").
        lab.flush_arp("client", VIP)
    say("struck")
    story.active = survivor.wait_state("active", takeover_timeout)
    story.pools_at_once = survivor.pools()
    prober.wait_ok(50)
    say("served again")
    if clients:
        story.sticky = lab.sticky("check")
    if watch:
        end = story.active + ARP_SETTLED_S + ARP_WINDOW_S + 0.2
        wait_until(lambda: time.monotonic() > end, 10, "the end of the ARP watch", pause=0.05)
        story.arp = watch.stop()
    story.traffic = prober.stop()
    story.transitions = [e for e in survivor.transitions() if e["id"] > last_event]
    return story


def check_story(checks, story, outage_limit_ms, clients=True, reason="", partial=False):
    """What every failover must show. The limit is the promise; a noisy machine gets three times.
    `partial`: only some requests failed, so that service was back when the survivor was Active."""
    checks.in_time("outage, ms", story.outage_ms, outage_limit_ms, story.struck)
    checks.note("takeover, ms", story.takeover_ms)
    checks.note("failed requests", f"{story.failed} of {len(story.traffic.rows)}: "
                                   f"{story.traffic.failures_text()}")
    if 0 < story.failed <= 5:
        for start, end, _, _, error in story.traffic.failed():
            checks.note("failed", f"{error}: {1000 * (start - story.struck):.1f} to "
                                  f"{1000 * (end - story.struck):.1f} ms after the kill")
    checks.note("slowest answer, ms", 1000 * story.traffic.slowest())
    gap, began = story.traffic.outage(story.struck)
    back = story.active + 0.1 * SLACK if partial else began + gap
    late = story.traffic.failed(after=back)
    checks.equal("requests that failed after service was back",
                 [f"{row[0] - story.struck:.3f} s: {row[4]}" for row in late[:5]], [])
    # Known at once: nothing is learned again.
    checks.equal("health known by the survivor", story.pools_at_once, story.pools_before)
    checks.equal("survivor's transitions", [t["to"] for t in story.transitions], ["active"])
    checks.note("reason", story.reason())
    checks.true(f"the transition says why: {reason}",
                reason in story.reason() and story.reason().strip() not in ("", "?"))
    if clients:
        for kind, row in story.sticky.items():
            checks.true(f"{kind}: at least 100 clients", row["clients"] >= 100)
            checks.equal(f"{kind}: kept their backend", row["kept"], row["clients"])
            checks.true(f"{kind}: several backends", len(story.learned[kind]["backends"]) > 1)
        checks.equal("cookies given anew", story.sticky["cookie"]["new_cookie"], 0)
    answers = story.settled_answers()
    checks.true("ARP was watched", len(answers) > 20)
    wrong = [macs for _, macs in answers if macs != {story.survivor_mac}]
    checks.equal("ARP requests not answered by the survivor alone", len(wrong), 0)
    checks.note("two nodes answered ARP until, ms", story.double_arp_ms)
