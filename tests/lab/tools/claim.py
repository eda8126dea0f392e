#!/usr/bin/env python3
"""Says that this host has an address which it has not: gratuitous ARP, or an unsolicited neighbour
advertisement for IPv6; --times often, every --interval-ms."""
import argparse
import socket
import struct
import time

ARP, IPV6, ICMPV6, ADVERT = 0x0806, 0x86DD, 58, 136
OVERRIDE = 1 << 29


def arp(address, mac):
    ip = socket.inet_aton(address)
    return (b"\xff" * 6 + mac + struct.pack("!HHHBBH", ARP, 1, 0x0800, 6, 4, 2) + mac + ip
            + b"\xff" * 6 + ip)


def advertisement(address, mac):
    """Its checksum is 0: whoever looks at it believes it or not, who watches need not care."""
    ip, nodes = (socket.inet_pton(socket.AF_INET6, text) for text in (address, "ff02::1"))
    body = struct.pack("!BBHI", ADVERT, 0, 0, OVERRIDE) + ip + struct.pack("!BB", 2, 1) + mac
    return (b"\x33\x33\0\0\0\1" + mac + struct.pack("!HIHBB", IPV6, 6 << 28, len(body), ICMPV6, 255)
            + ip + nodes + body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--interface", default="eth0")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--interval-ms", type=float, default=10)
    args = parser.parse_args()
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind((args.interface, 0))
    frame = (advertisement if ":" in args.address else arp)(args.address, sock.getsockname()[4])
    for i in range(args.times):
        time.sleep(args.interval_ms / 1000 if i else 0)
        sock.send(frame)


if __name__ == "__main__":
    main()
