"""TLS ClientHellos, good and bad."""


def vector(size, data):
    return len(data).to_bytes(size, "big") + data


def sni(name, kind=0):
    return b"\0\0" + vector(2, vector(2, bytes([kind]) + vector(2, name)))


def alpn(*protocols):
    return b"\0\x10" + vector(2, vector(2, b"".join(vector(1, p) for p in protocols)))


def padding(size):
    return b"\0\x15" + vector(2, bytes(size))


def records(message, fragment=16384):
    """A handshake message in records of at most so many bytes."""
    return b"".join(b"\x16\x03\x01" + vector(2, message[at:at + fragment])
                    for at in range(0, len(message), fragment))


def hello(name=None, *protocols, extensions=b"", fragment=16384):
    """What a client says that asks for `name` and offers `protocols`."""
    if name:
        extensions += sni(name)
    if protocols:
        extensions += alpn(*protocols)
    body = (b"\x03\x03" + bytes(range(32)) + vector(1, bytes(32)) + vector(2, b"\x13\x01\x13\x02")
            + vector(1, b"\0") + vector(2, extensions))
    return records(b"\x01" + vector(3, body), fragment)
