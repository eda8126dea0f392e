"""Random changes of messages, of the kind that parsers disagree about."""
INTERESTING = [bytes([b]) for b in b"\x00\t\n\x0b\x0c\r \"#%'(),-./0159:;<=>?@[\\]_af{}\x7f\x80\xa0\xff"]
LINES = [
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 33", b"content-length:\t7",
    b"Transfer-Encoding: chunked", b"transfer-encoding:\tChunked ", b"Transfer-Encoding: identity",
    b"Transfer-Encoding: gzip, chunked", b"Host: a", b"Host: b", b"Connection: close",
    b"Connection: keep-alive", b"Connection: content-length, transfer-encoding, host",
    b"Expect: 100-continue", b"Max-Forwards: 0", b"Max-Forwards: 3", b"Upgrade: h2c",
    b"Trailer: X", b"TE: trailers", b"X: y", b" folded", b"", b"0", b"5", b"5;a=b", b"hello",
    b"GET / HTTP/1.1", b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"X_Forwarded_For: 1.2.3.4",
]


def drop(random, data, _):
    at = random.randrange(len(data))
    return data[:at] + data[at + random.choice((1, 1, 1, 2, 5)):]


def insert(random, data, _):
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(INTERESTING) + data[at:]


def replace(random, data, _):
    at = random.randrange(len(data))
    return data[:at] + random.choice(INTERESTING) + data[at + 1:]


def repeat(random, data, _):
    at = random.randrange(len(data))
    n = random.choice((1, 1, 2, 10))
    return data[:at] + data[at:at + n] * 2 + data[at + n:]


def swap(random, data, _):
    at = random.randrange(len(data))
    return data[:at] + data[at:at + 2][::-1] + data[at + 2:]


def flip_case(random, data, _):
    at = random.randrange(len(data))
    return data[:at] + data[at:at + 8].swapcase() + data[at + 8:]


def cut(random, data, _):
    return data[:random.randrange(1, len(data) + 1)]


def join(random, data, other):
    """The beginning of one and the end of another."""
    return data[:random.randrange(len(data) + 1)] + other[random.randrange(len(other)):]


def change_lines(random, data, other):
    """A line more, a line fewer, a line of the other, two lines in another order."""
    lines = data.split(b"\r\n")
    at = random.randrange(len(lines))
    how = random.randrange(5)
    if how == 0:
        lines.insert(at, random.choice(LINES))
    elif how == 1 and len(lines) > 1:
        del lines[at]
    elif how == 2:
        lines.insert(at, random.choice(other.split(b"\r\n")))
    elif how == 3:
        lines.insert(at, lines[at])
    else:
        to = random.randrange(len(lines))
        lines[at], lines[to] = lines[to], lines[at]
    return b"\r\n".join(lines)


CHANGES = (drop, insert, replace, repeat, swap, flip_case, cut, join, change_lines, change_lines,
           change_lines)


def mutate(random, seeds):
    """One of the seeds with one to four changes; never empty."""
    data = random.choice(seeds)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        data = random.choice(CHANGES)(random, data, random.choice(seeds)) or b"\r\n"
    return data
