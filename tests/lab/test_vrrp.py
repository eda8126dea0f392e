"""On the wire, read by a foreign decoder."""
import statistics

import testing
from lab import NODES, SLACK, VIP, Prober, address, other, pair_config
from testing import TestLab

FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "ip.ttl", "vrrp.version", "vrrp.type",
          "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.addr_count", "vrrp.ip_addr",
          "vrrp.checksum.status")
# Wireshark's default is the pseudo-header of RFC 5798's common reading; RFC 9568 has none.
CHECKSUMS = {"rfc9568": ("-o", "vrrp.v3_checksum_as_in_v2:TRUE"), "rfc5798": ()}
GOOD_CHECKSUM = "1"
CLAIM = "14"  # our own type of message, which others discard: vrrp/lease/README.md


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
            checks.in_time("from the goodbye to the first advert, ms", gap, 50)
        interval = "vrrp.short_adver_int"
        seen = {row[0] for row in capture.fields("vrrp", interval)}
        checks.equal("advertised interval, centiseconds", sorted(seen), ["10"])
        announced = capture.fields(f"arp.src.proto_ipv4 == {VIP} && arp.isgratuitous",
                                   "arp.src.hw_mac")
        macs = {row[0] for row in announced}
        checks.equal("who announced the VIP", sorted(macs),
                     sorted(lab.owner_mac(node) for node in NODES))


def test_adverts(checks):
    """1, 3, 4, 6, 8, 11, 56, 61: what both nodes send, as a foreign decoder sees it."""
    adverts_are_seen(checks, "rfc9568", "multicast")
    adverts_are_seen(checks, "rfc5798", "unicast")


if __name__ == "__main__":
    testing.main(globals())
