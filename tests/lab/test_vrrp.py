"""On the wire: a foreign decoder and a foreign router."""
import os
import signal
import statistics
import subprocess
import time

import testing
from lab import NODES, SLACK, VIP, ArpWatch, LabError, Prober, address, other, pair_config
from lab import end_process, wait_until
from testing import TestLab

FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "ip.ttl", "vrrp.version", "vrrp.type",
          "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.addr_count", "vrrp.ip_addr",
          "vrrp.checksum.status")
# Wireshark's default is the pseudo-header of RFC 5798's common reading; RFC 9568 has none.
CHECKSUMS = {"rfc9568": ("-o", "vrrp.v3_checksum_as_in_v2:TRUE"), "rfc5798": ()}
GOOD_CHECKSUM = "1"
CLAIM = "14"  # our own type of message, which others discard: vrrp/README.md


def adverts(capture, options):
    # An ICMP error (nobody listens for the protocol yet) quotes the advert that it answers.
    rows = capture.fields("vrrp && !icmp", *FIELDS, options=options)
    messages = [dict(zip(FIELDS, row)) for row in rows]
    return [row for row in messages if row["vrrp.type"] != CLAIM]


def check_adverts(checks, rows, sender, receiver):
    wanted = {"ip.dst": receiver, "ip.ttl": "255", "vrrp.version": "3", "vrrp.type": "1",
              "vrrp.virt_rtr_id": "51", "vrrp.addr_count": "1", "vrrp.ip_addr": VIP,
              "vrrp.checksum.status": GOOD_CHECKSUM}
    sent = [row for row in rows if row["ip.src"] == sender and row["vrrp.prio"] != "0"]
    checks.true(f"adverts of {sender}: {len(sent)}", len(sent) >= 5)
    for key, value in wanted.items():
        checks.equal(f"{key} of {sender}", sorted({row[key] for row in sent}), [value])
    times = [float(row["frame.time_epoch"]) for row in sent]
    if len(times) > 2:
        gaps = [1000 * (b - a) for a, b in zip(times, times[1:])]
        checks.at_most("deviation from 100 ms, median",
                       abs(statistics.median(gaps) - 100), 2, 3 * SLACK)
        checks.note("longest gap, ms", max(gaps))
    return sent


def adverts_are_seen(checks, checksum, mode):
    checks.section(f"checksum {checksum}, {mode}")
    with TestLab() as lab:
        config = pair_config()
        config["virtual_routers"]["front"].update(checksum=checksum, mode=mode)
        capture = lab.capture()
        first, second = lab.start_pair(config=config)
        prober = Prober(lab)
        prober.wait_ok(200)  # about a second of adverts
        first.sigterm()
        second.wait_state("active")
        first.wait_exit()
        prober.wait_ok(200)
        prober.stop()
        capture.stop()
        rows = adverts(capture, CHECKSUMS[checksum])
        checks.equal("senders", sorted({row["ip.src"] for row in rows}),
                     sorted(address(node) for node in NODES))
        for node, priority in ((first, "200"), (second, "150")):
            receiver = "224.0.0.18" if mode == "multicast" else address(other(node.name))
            sent = check_adverts(checks, rows, address(node.name), receiver)
            checks.equal("priority", sorted({row["vrrp.prio"] for row in sent}), [priority])
        goodbyes = [row for row in rows if row["vrrp.prio"] == "0"]
        checks.true("a goodbye of the first node",
                    goodbyes and {r["ip.src"] for r in goodbyes} == {address(first.name)})
        if goodbyes:
            begun = min(float(r["frame.time_epoch"]) for r in rows
                        if r["ip.src"] == address(second.name))
            gap = 1000 * (begun - float(goodbyes[0]["frame.time_epoch"]))
            # Skew of priority 150 at 100 ms.
            checks.at_most("from the goodbye to the first advert, ms", gap, 50, 3 * SLACK)
        interval = "vrrp.short_adver_int"
        seen = {row[0] for row in capture.fields("vrrp", interval)}
        checks.equal("advertised interval, centiseconds", sorted(seen), ["10"])
        announced = capture.fields(f"arp.src.proto_ipv4 == {VIP} && arp.isgratuitous",
                                   "arp.src.hw_mac")
        macs = {row[0] for row in announced}
        checks.equal("who announced the VIP", sorted(macs),
                     sorted(lab.owner_mac(node) for node in NODES))


def test_adverts(checks):
    adverts_are_seen(checks, "rfc9568", "multicast")
    adverts_are_seen(checks, "rfc5798", "unicast")


class Keepalived:
    """The other node runs keepalived with the same virtual router."""

    def __init__(self, lab, role, priority, preempt):
        self.lab, self.role, self.process = lab, role, None
        self.dir = os.path.join(lab.dir, f"keepalived-{role}")
        os.makedirs(self.dir, exist_ok=True)
        with open(os.path.join(self.dir, "conf"), "w", encoding="ascii") as file:
            file.write(f"""
                global_defs {{ vrrp_version 3 }}
                vrrp_instance front {{
                    state BACKUP
                    {"" if preempt else "nopreempt"}
                    interface eth0
                    virtual_router_id 51
                    priority {priority}
                    advert_int 0.1
                    virtual_ipaddress {{
                        {VIP}/32
                    }}
                }}
                """)

    def start(self):
        for name in ("pid", "vrrp.pid", "checkers.pid"):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                os.unlink(path)
        with open(os.path.join(self.dir, "log"), "a", encoding="ascii") as log:
            self.process = self.lab.start_in(
                self.role, "keepalived", "--dont-fork", "--log-console", "--vrrp",
                "-f", f"{self.dir}/conf", "-p", f"{self.dir}/pid", "-r", f"{self.dir}/vrrp.pid",
                "-c", f"{self.dir}/checkers.pid", stdout=log, stderr=subprocess.STDOUT)

    def stop(self):
        end_process(self.process, 5)

    def holds(self):
        return VIP in self.lab.addresses(self.role)

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_backup(self):
        wait_until(lambda: "Entering BACKUP STATE" in self.log(), 5, "keepalived is up")

    def wait(self, holds, timeout=5):
        wait_until(lambda: self.holds() == holds, timeout * SLACK,
                   f"keepalived {'has' if holds else 'has not'} the VIP")


def one_holder(checks, lab, role):
    """The VIP is on that host only, and only it answers."""
    wait_until(lambda: [r for r in NODES if VIP in lab.addresses(r)] == [role], 5 * SLACK,
               f"only {role} holds the VIP")
    watch = ArpWatch(lab)
    time.sleep(0.3)  # thirty questions
    answers = watch.stop().asked[:-2]
    checks.equal(f"who answers ARP (wanted: {role})",
                 sorted({mac for _, macs in answers for mac in macs}), [lab.mac(role)])


def test_keepalived_peer(checks):
    for role in NODES:
        peer = other(role)
        checks.section(f"yoke on {role} (priority 200), keepalived on {peer}")
        with TestLab() as lab:
            lab.write_config(pair_config(role))
            node = lab.nodes[role]
            weak = Keepalived(lab, peer, 100, preempt=False)
            try:
                elections(checks, lab, node, weak)
                strong_peer(checks, lab, node, Keepalived(lab, peer, 250, preempt=True))
            except LabError:
                print("--- keepalived:\n" + weak.log())
                raise


def elections(checks, lab, node, weak):
    checks.section("keepalived was first: yoke stays Backup (failback manual)")
    weak.start()
    weak.wait(True, 10)
    node.start()
    node.wait_state("backup", 10)
    one_holder(checks, lab, weak.role)

    checks.section("keepalived says goodbye: yoke takes over")
    begun = time.monotonic()
    os.kill(weak.process.pid, signal.SIGTERM)
    checks.note("takeover, ms", 1000 * (node.wait_state("active") - begun))
    weak.stop()
    one_holder(checks, lab, node.name)

    checks.section("keepalived comes back with a lower priority: yoke stays Active")
    weak.start()
    weak.wait_backup()
    node.wait_pools("up", 5)
    prober = Prober(lab)
    prober.wait_ok(200)
    checks.equal("requests that failed", prober.stop().failures_text(), "none")
    checks.equal("state", node.state(), "active")
    one_holder(checks, lab, node.name)

    checks.section("yoke says goodbye: keepalived takes over")
    begun = time.monotonic()
    node.sigterm()
    weak.wait(True)
    checks.note("takeover, ms", 1000 * (time.monotonic() - begun))
    node.wait_exit()
    one_holder(checks, lab, weak.role)

    checks.section("yoke Active is killed: keepalived takes over by its timer")
    node.start()
    node.wait_state("backup", 10)
    weak.stop()
    node.wait_state("active")
    weak.start()
    weak.wait_backup()
    wait_until(lambda: not weak.holds(), 5, "keepalived is Backup")
    node.kill_all()
    weak.wait(True)
    one_holder(checks, lab, weak.role)
    weak.stop()


def strong_peer(checks, lab, node, strong):
    checks.section("keepalived with a higher priority preempts: yoke yields")
    node.start()
    node.wait_state("active", 10)
    strong.start()
    strong.wait(True)
    node.wait_state("backup")
    checks.note("reason", node.transitions()[-1]["reason"])
    one_holder(checks, lab, strong.role)
    checks.section("it goes: yoke is Active again")
    strong.stop()
    node.wait_state("active")
    one_holder(checks, lab, node.name)


if __name__ == "__main__":
    testing.main(globals())
