"""Frames that no program of ours would send, as bytes; `send` puts them on a wire."""
import os
import socket
import struct

from segment import run

HERE = os.path.dirname(os.path.abspath(__file__))
IPV4, IPV6, TCP, UDP, VRRP = 0x0800, 0x86DD, 6, 17, 112
GROUP4, GROUP4_MAC = "224.0.0.18", "01:00:5e:00:00:12"
GROUP6, GROUP6_MAC = "ff02::12", "33:33:00:00:00:12"


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def frame(destination, source, kind, payload):
    return (bytes.fromhex(destination.replace(":", "") + source.replace(":", ""))
            + struct.pack("!H", kind) + payload)


def packet(source, destination, protocol, payload, ttl=255):
    """An IP packet of the family of its addresses."""
    if ":" in source:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, ttl)
        return head + packed(source) + packed(destination) + payload
    head = struct.pack("!BBHHHBB", 0x45, 0xC0, 20 + len(payload), 0, 0, ttl, protocol)
    ends = packed(source) + packed(destination)
    return head + struct.pack("!H", checksum(head + bytes(2) + ends)) + ends + payload


def with_checksum(source, destination, protocol, body, at):
    """`body` with the checksum of TCP or UDP at that place."""
    value = checksum(packed(source) + packed(destination)
                     + struct.pack("!II", len(body), protocol) + body)
    return body[:at] + struct.pack("!H", value) + body[at + 2:]


def datagram(source, destination, port):
    body = struct.pack("!HHHH", 9, port, 8, 0)
    return packet(source, destination, UDP, with_checksum(source, destination, UDP, body, 6), 64)


def opening(source, destination, port):
    """A TCP SYN."""
    body = struct.pack("!HHIIBBHHH", 9, port, 1, 0, 5 << 4, 2, 8192, 0, 0)
    return packet(source, destination, TCP, with_checksum(source, destination, TCP, body, 16), 64)


def advert(source, priority, addresses, vrid=51, interval_cs=100, ttl=255, version=3, to=None):
    """A frame to the group, or to an address and a MAC, from a MAC of its own."""
    ipv6 = ":" in source
    group, mac = to or ((GROUP6, GROUP6_MAC) if ipv6 else (GROUP4, GROUP4_MAC))
    interval = interval_cs if version == 3 else interval_cs // 100
    body = struct.pack("!BBBBHH", version << 4 | 1, vrid, priority, len(addresses), interval, 0)
    body += b"".join(map(packed, addresses))
    if version == 2:
        body += bytes(8)
    pseudo = packed(source) + packed(group) + struct.pack("!II", len(body), VRRP)
    body = body[:6] + struct.pack("!H", checksum((pseudo if ipv6 else b"") + body)) + body[8:]
    return frame(mac, "02:00:00:00:66:66", IPV6 if ipv6 else IPV4,
                 packet(source, group, VRRP, body, ttl))


# Of no meaning to anybody.
MARK = frame("02:00:00:00:77:77", "02:00:00:00:77:77", 0x88B6, b"captured until here".ljust(60))


def send(lab, role, interface, *frames):
    run(*lab.command(role, "/usr/bin/python3", os.path.join(HERE, "tools", "frames.py"), interface,
                     *[one.hex() for one in frames]))
