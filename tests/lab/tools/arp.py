#!/usr/bin/env python3
"""Who answers for an address? Asks everybody every 10 ms, by ARP or (IPv6) neighbour discovery,
until its standard input ends, telling {"questions": n} meanwhile; then prints
{"asked": [[time, [mac, ...]], ...], "announced": [[time, mac], ...]}, a MAC for each answer.

An answer carries no number, so each request names another asker: the answer is addressed to it.
Twenty names in turn tell requests of the last 200 ms apart."""
import argparse
import json
import select
import socket
import struct
import sys
import time

ARP, IPV6, ICMPV6 = 0x0806, 0x86DD, 58
REQUEST, REPLY, SOLICIT, ADVERT = 1, 2, 135, 136
BROADCAST = b"\xff" * 6
ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
ASKERS = 20


def text(mac):
    return mac.hex(":")


class Arp:
    protocol = ARP

    def __init__(self, address, first_asker, mine):
        self.wanted, self.mine = socket.inet_aton(address), mine
        first = struct.unpack("!I", socket.inet_aton(first_asker or "192.0.2.230"))[0]
        self.askers = [struct.pack("!I", first + i) for i in range(ASKERS)]

    def question(self, asker):
        return (BROADCAST + self.mine + struct.pack("!HHHBBH", ARP, 1, 0x0800, 6, 4, REQUEST)
                + self.mine + asker + bytes(6) + self.wanted)

    def hears(self, frame):
        """(who has it, whom he tells; None for all), or None."""
        operation = struct.unpack("!H", frame[20:22])[0]
        mac, sender, target = frame[22:28], frame[28:32], frame[38:42]
        if sender != self.wanted or mac == self.mine:
            return None
        if operation == REPLY and target != self.wanted:
            return mac, target
        return (mac, None) if target == self.wanted else None


class Nd:
    """Neighbour discovery: RFC 4861 section 4.3, 4.4."""
    protocol = IPV6

    def __init__(self, address, first_asker, mine):
        self.wanted, self.mine = socket.inet_pton(socket.AF_INET6, address), mine
        first = socket.inet_pton(socket.AF_INET6, first_asker or "fe80::9:0")
        self.askers = [first[:-1] + bytes([i]) for i in range(ASKERS)]

    def question(self, asker):
        group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:-3] + self.wanted[-3:]
        body = (struct.pack("!BBHI", SOLICIT, 0, 0, 0) + self.wanted + struct.pack("!BB", 1, 1)
                + self.mine)
        total = sum(struct.unpack(f"!{len(body) // 2 + 20}H", asker + group
                                  + struct.pack("!II", len(body), ICMPV6) + body))
        total = (total & 0xFFFF) + (total >> 16)
        total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        body = body[:2] + struct.pack("!H", total) + body[4:]
        return (b"\x33\x33" + group[-4:] + self.mine + struct.pack("!H", IPV6)
                + struct.pack("!IHBB", 6 << 28, len(body), ICMPV6, 255) + asker + group + body)

    def hears(self, frame):
        if len(frame) < 86 or frame[20] != ICMPV6 or frame[54] != ADVERT \
                or frame[62:78] != self.wanted or frame[6:12] == self.mine:
            return None
        # The option; a sender without one is known by its frame.
        mac = frame[80:86] if frame[78] == 2 else frame[6:12]
        receiver = frame[38:54]
        return mac, None if receiver == ALL_NODES else receiver


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--interface", default="eth0")
    parser.add_argument("--first-asker")
    parser.add_argument("--interval-ms", type=float, default=10)
    args = parser.parse_args()
    kind = Nd if ":" in args.address else Arp
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind.protocol))
    sock.bind((args.interface, kind.protocol))
    sock.setblocking(False)
    way = kind(args.address, args.first_asker, sock.getsockname()[4])
    asked, announced, latest = [], [], {}
    next_ask = next_report = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= next_ask:
            next_ask = max(next_ask + args.interval_ms / 1000, now)
            asker = way.askers[len(asked) % ASKERS]
            latest[asker] = entry = [now, []]
            asked.append(entry)
            sock.send(way.question(asker))
        if now >= next_report:
            next_report = now + 0.1
            print(json.dumps({"questions": len(asked)}), flush=True)
        ready = select.select([sock, sys.stdin], [], [], max(0, next_ask - time.monotonic()))[0]
        if sock in ready:
            heard = way.hears(sock.recv(2048))
            if not heard:
                continue
            mac, asker = heard
            if asker is None:
                announced.append([time.monotonic(), text(mac)])
            elif asker in latest:
                latest[asker][1].append(text(mac))
        elif sys.stdin in ready:
            break
    print(json.dumps({"asked": asked, "announced": announced}))


if __name__ == "__main__":
    sys.exit(main())
