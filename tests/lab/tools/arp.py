#!/usr/bin/env python3
"""Who answers for an address? Broadcasts an ARP request every 10 ms until its standard input ends,
then prints {"asked": [[time, [mac, ...]], ...], "announced": [[time, mac], ...]}.

An answer carries no number, so each request names another asker: the answer is addressed to it.
Twenty names in turn tell requests of the last 200 ms apart."""
import argparse
import json
import select
import socket
import struct
import sys
import time

ARP, REQUEST, REPLY = 0x0806, 1, 2
BROADCAST = b"\xff" * 6
ASKERS = 20


def text(mac):
    return mac.hex(":")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--interface", default="eth0")
    parser.add_argument("--first-asker", default="192.0.2.230")
    parser.add_argument("--interval-ms", type=float, default=10)
    args = parser.parse_args()
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP))
    sock.bind((args.interface, ARP))
    sock.setblocking(False)
    mine = sock.getsockname()[4]
    wanted = socket.inet_aton(args.address)
    first = struct.unpack("!I", socket.inet_aton(args.first_asker))[0]
    askers = [struct.pack("!I", first + i) for i in range(ASKERS)]
    asked, announced, latest = [], [], {}
    next_ask = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= next_ask:
            next_ask = max(next_ask + args.interval_ms / 1000, now)
            asker = askers[len(asked) % ASKERS]
            latest[asker] = entry = [now, []]
            asked.append(entry)
            sock.send(BROADCAST + mine + struct.pack("!HHHBBH", ARP, 1, 0x0800, 6, 4, REQUEST)
                      + mine + asker + bytes(6) + wanted)
        ready = select.select([sock, sys.stdin], [], [], max(0, next_ask - time.monotonic()))[0]
        if sock in ready:
            frame = sock.recv(2048)
            operation = struct.unpack("!H", frame[20:22])[0]
            sender_mac, sender, target = frame[22:28], frame[28:32], frame[38:42]
            if sender != wanted or sender_mac == mine:
                continue
            if operation == REPLY and target in latest:
                macs = latest[target][1]
                if text(sender_mac) not in macs:
                    macs.append(text(sender_mac))
            elif target == wanted:
                announced.append([time.monotonic(), text(sender_mac)])
        elif sys.stdin in ready:
            break
    print(json.dumps({"asked": asked, "announced": announced}))


if __name__ == "__main__":
    sys.exit(main())
