"""PROXY headers, made independently of the code that is tested."""
import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0, 1
UNSPEC, INET, INET6, UNIX = 0, 1, 2, 3
STREAM, DGRAM = 1, 2
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL = 1, 2, 3, 4, 5, 0x20
CLIENT, CLIENT6 = "192.0.2.77", "2001:db8::77"
SERVER, SERVER6 = "198.51.100.1", "2001:db8:1::1"


def v1(source=CLIENT, destination=SERVER, sport=4711, dport=80):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {sport} {dport}\r\n".encode()


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def block(rest=b"", command=PROXY, family=UNSPEC, transport=0, version=2, length=None):
    """Version 2, with whatever behind the first 16 bytes."""
    length = len(rest) if length is None else length
    return SIGNATURE + struct.pack("!BBH", version << 4 | command, family << 4 | transport,
                                   length) + rest


def addresses(source=CLIENT, destination=SERVER, sport=4711, dport=80):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    return (socket.inet_pton(family, source) + socket.inet_pton(family, destination)
            + struct.pack("!HH", sport, dport))


def v2(source=CLIENT, destination=SERVER, sport=4711, dport=80, tlvs=b"", checksum=None,
       transport=STREAM, length=None):
    """`checksum`: True adds the right one, a number that one."""
    family = INET6 if ":" in source else INET
    rest = addresses(source, destination, sport, dport) + tlvs
    if checksum is None:
        return block(rest, family=family, transport=transport, length=length)
    empty = block(rest + tlv(CRC32C, b"\0\0\0\0"), family=family, transport=transport)
    value = crc32c(empty) if checksum is True else checksum
    return empty[:-4] + struct.pack("!I", value)


def asked_by(client, request):
    """The request as the target gets it, had it come from `client`."""
    return request.replace(b"X-Forwarded-For: 127.0.0.1\r\n",
                           b"X-Forwarded-For: %s\r\n" % client.encode())
