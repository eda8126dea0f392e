"""Published shapes of response splitting, response smuggling and ambiguous framing, from the target's
side, and what becomes of each.

A row is (technique, method of the request, bytes, outcome). Outcomes:
  relayed(bytes)   the client gets exactly these, and can ask again
  closing(bytes)   the same, then the end of the connection
  bad_gateway(bytes)  interim responses at most reach the client, then 502, and it can ask again
  cut(bytes)       the beginning was good and has gone, these bytes at most: the client sees its
                   connection break off, never a complete message. If nothing has gone yet: 502
The target stays connected behind bytes that are a complete message, else it sends FIN.
"""
from messages import CLOSE, TE, chunked

R = b"HTTP/1.1 200 OK\r\n"
E = b"\r\n\r\n"
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def relayed(data):
    return "relayed", data


def closing(data):
    return "closing", data


def bad_gateway(interim=b""):
    return "bad_gateway", interim


def cut(data):
    return "cut", data


def bad(technique, data, method=b"GET"):
    return technique, method, data + POISON, bad_gateway()


def field(technique, lines):
    return bad(technique, R + lines + E + b"hello")


FRAMING = [
    field("CL and TE", b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
    field("TE and CL", b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
    field("CL twice, different", b"Content-Length: 5\r\nContent-Length: 6"),
    field("CL twice, the same", b"Content-Length: 5\r\nContent-Length: 5"),
    *[field(f"CL: {v!r}", b"Content-Length:" + v) for v in (
        b"", b" +5", b" -5", b" 05", b" 0x5", b" 5,5", b" 5, 6", b" 5 5", b" 5;x", b" 5.0",
        b" 18446744073709551621", b" \xa05", b" 5\x0b", b" 5\x00", b"\r\n 5")],
    field("CL with a blank before the colon", b"Content-Length : 5"),
    field("CL with NUL in the name", b"Content\x00-Length: 5"),
    field("CL with an underscore", b"Content_Length: 5"),
    *[field(f"TE: {v!r}", b"Transfer-Encoding:" + v) for v in (
        b"", b" xchunked", b" identity", b" gzip, chunked", b" chunked, identity", b" \x0bchunked",
        b" chunked;q=1", b"\r\n chunked", b" chunked, chunked", b" \"chunked\"")],
    field("TE twice", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
    field("TE with a blank before the colon", b"Transfer-Encoding : chunked"),
    field("TE with an underscore", b"Transfer_Encoding: chunked"),
    bad("TE in HTTP/1.0", b"HTTP/1.0 200 OK\r\n" + TE + b"\r\n0\r\n\r\n"),
    ("CL behind a tab", b"GET", R + b"Content-Length:\t2\r\n\r\nok",
     relayed(R + b"Content-Length: 2\r\n\r\nok")),
    ("TE in mixed case", b"GET", R + b"Transfer-Encoding:  cHuNkEd\r\n\r\n" + chunked(b"ok"),
     relayed(R + TE + b"\r\n" + chunked(b"ok"))),
    ("more than its length", b"GET", R + b"Content-Length: 2\r\n\r\nok" + POISON,
     relayed(R + b"Content-Length: 2\r\n\r\nok")),
    ("more than its chunks", b"GET", R + TE + b"\r\n" + chunked(b"ok") + POISON,
     relayed(R + TE + b"\r\n" + chunked(b"ok"))),
    ("less than its length", b"GET", R + b"Content-Length: 9\r\n\r\nok",
     cut(R + b"Content-Length: 9\r\n\r\nok")),
    ("less than its chunks", b"GET", R + TE + b"\r\n5\r\nhello\r\n", cut(R + TE + b"\r\n5\r\nhello\r\n")),
    ("a response as the body until the close", b"GET", R + b"\r\n" + POISON,
     closing(R + CLOSE + b"\r\n" + POISON)),
    ("Connection names the length", b"GET", R + b"Connection: content-length\r\nContent-Length: 2\r\n\r\nok",
     relayed(R + b"Content-Length: 2\r\n\r\nok")),
    ("Connection names Set-Cookie", b"GET",
     R + b"Connection: set-cookie\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok",
     relayed(R + b"Set-Cookie: a=b\r\nContent-Length: 2\r\n\r\nok")),
]

BODILESS = [
    ("HEAD: a body all the same", b"HEAD", R + b"Content-Length: 5\r\n\r\nhello",
     relayed(R + b"Content-Length: 5\r\n\r\n")),
    ("HEAD: a response as its body", b"HEAD", R + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON,
     relayed(R + b"Content-Length: %d\r\n\r\n" % len(POISON))),
    ("HEAD: chunks all the same", b"HEAD", R + TE + b"\r\n" + chunked(b"hello"), relayed(R + TE + b"\r\n")),
    ("HEAD: both framings", b"HEAD", R + TE + b"Content-Length: 5\r\n\r\n", bad_gateway()),
    ("304: a body all the same", b"GET", b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\nhello",
     relayed(b"HTTP/1.1 304 X\r\nContent-Length: 5\r\n\r\n")),
    ("304: chunks all the same", b"GET", b"HTTP/1.1 304 X\r\n" + TE + b"\r\n" + chunked(b"x"),
     relayed(b"HTTP/1.1 304 X\r\n" + TE + b"\r\n")),
    bad("204: a length", b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello"),
    bad("204: chunks", b"HTTP/1.1 204 X\r\n" + TE + b"\r\n" + chunked(b"x")),
    ("204: a body without framing", b"GET", b"HTTP/1.1 204 X\r\n\r\nhello", relayed(b"HTTP/1.1 204 X\r\n\r\n")),
    ("204: a response behind it", b"GET", b"HTTP/1.1 204 X\r\n\r\n" + POISON,
     relayed(b"HTTP/1.1 204 X\r\n\r\n")),
    ("204: length 0 goes", b"GET", b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n",
     relayed(b"HTTP/1.1 204 X\r\n\r\n")),
]

INTERIM = [
    bad("1xx: a length", b"HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\nhello"),
    bad("1xx: chunks", b"HTTP/1.1 103 X\r\n" + TE + b"\r\n" + chunked(b"x")),
    bad("101 that was not asked for", b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
    bad("101 that was not asked for, without Upgrade", b"HTTP/1.1 101 X\r\n\r\n"),
    ("1xx, then nonsense", b"GET", HINTS + b"\x00\x01" + E, bad_gateway(HINTS)),
    ("1xx, then another framing twice", b"GET", HINTS + R + b"Content-Length: 5\r\n" + TE + E,
     bad_gateway(HINTS)),
    ("1xx only", b"GET", HINTS, bad_gateway(HINTS)),
    ("100 that nobody expects", b"GET", b"HTTP/1.1 100 Continue\r\n\r\n" + POISON,
     relayed(b"HTTP/1.1 100 Continue\r\n\r\n" + POISON)),
    ("100 in HEAD", b"HEAD", b"HTTP/1.1 100 Continue\r\n\r\n" + R + b"Content-Length: 5\r\n\r\n",
     relayed(b"HTTP/1.1 100 Continue\r\n\r\n" + R + b"Content-Length: 5\r\n\r\n")),
    ("many 1xx", b"GET", HINTS * 50 + POISON, relayed(HINTS * 50 + POISON)),
]

LINES = [
    *[bad(f"status line {v!r}", v + b"\r\nContent-Length: 0" + E) for v in (
        b"HTTP/1.1 99 X", b"HTTP/1.1 099 X", b"HTTP/1.1 600 X", b"HTTP/1.1 2000 X", b"HTTP/1.1 20 X",
        b"HTTP/1.1 +20 X", b"HTTP/1.1 -20 X", b"HTTP/1.1 2x0 X", b"HTTP/1.1  200 X", b"HTTP/1.1\t200 X",
        b"HTTP/1.1 200\tX", b"HTTP/1.1 200 X\x00", b"HTTP/1.1 200 X\x0b", b"HTTP/1.1", b"HTTP/1.1 ",
        b"HTTP/1.1 200X", b"HTTP/2.0 200 X", b"HTTP/2 200", b"HTTP/0.9 200 X", b"http/1.1 200 X",
        b"HTTP/1.10 200 X", b"ICY 200 X", b" HTTP/1.1 200 X", b"GET / HTTP/1.1", b"200 X",
        b"\r\nHTTP/1.1 200 X", b"\xef\xbb\xbfHTTP/1.1 200 X")],
    bad("LF only", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    bad("CR only", b"HTTP/1.1 200 OK\rContent-Length: 0\r\r"),
    bad("LF behind the status line", b"HTTP/1.1 200 OK\nContent-Length: 0" + E),
    bad("LF ends a field", R + b"X: y\nContent-Length: 0" + E),
    bad("CR in a field", R + b"X: y\rContent-Length: 0" + E),
    bad("CR CR LF", R + b"X: y\r\r\nContent-Length: 0" + E),
    bad("LF for the empty line", R + b"Content-Length: 0\r\n\n"),
    bad("folded", R + b"X: y\r\n Content-Length: 0" + E),
    bad("a blank before the first field", R + b" X: y\r\nContent-Length: 0" + E),
    bad("a field without a colon", R + b"X\r\nContent-Length: 0" + E),
    bad("a field without a name", R + b": y\r\nContent-Length: 0" + E),
    bad("NUL in a value", R + b"X: \x00\r\nContent-Length: 0" + E),
    bad("DEL in a value", R + b"X: \x7f\r\nContent-Length: 0" + E),
    bad("a malformed Connection", R + b"Connection: a b\r\nContent-Length: 0" + E),
    bad("too many fields", R + b"X: y\r\n" * 101 + b"Content-Length: 0" + E),
    ("splitting that was encoded stays encoded", b"GET",
     R + b"Location: /%0d%0aSet-Cookie:%20a=b\r\nContent-Length: 0\r\n\r\n",
     relayed(R + b"Location: /%0d%0aSet-Cookie:%20a=b\r\nContent-Length: 0\r\n\r\n")),
    ("splitting that worked is a response too many", b"GET",
     R + b"Location: /\r\nContent-Length: 0\r\n\r\n" + POISON,
     relayed(R + b"Location: /\r\nContent-Length: 0\r\n\r\n")),
    ("a head that ends early", b"GET", R + b"Content-Length: 5\r\n", bad_gateway()),
    ("a head that is too large", b"GET", R + b"X: " + b"x" * 40000 + E, bad_gateway()),
    ("a head that is too large and does not end", b"GET", R + b"X: " + b"x" * 40000, bad_gateway()),
    ("nothing", b"GET", b"", bad_gateway()),
]


def chunks(technique, data):
    return f"chunks: {technique}", b"GET", R + TE + b"\r\n" + data + POISON, cut(R + TE + b"\r\n" + data)


CHUNKS = [
    chunks("LF behind the size", b"5\nhello\r\n0\r\n\r\n"),
    chunks("LF in an extension", b"5;\nhello\r\n0\r\n\r\n"),
    chunks("a blank behind the size", b"5 \r\nhello\r\n0\r\n\r\n"),
    chunks("a size in C notation", b"0x5\r\nhello\r\n0\r\n\r\n"),
    chunks("a negative size", b"-5\r\nhello\r\n0\r\n\r\n"),
    chunks("a size that overflows", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    chunks("more data than the size says", b"5\r\nhello!\r\n0\r\n\r\n"),
    chunks("less data than the size says", b"6\r\nhello\r\n0\r\n\r\n"),
    chunks("any bytes behind data", b"5\r\nhelloxx0\r\n\r\n"),
    chunks("an empty size", b"\r\nhello\r\n0\r\n\r\n"),
    chunks("no empty line at the end", b"5\r\nhello\r\n0\r\n"),
    chunks("a trailer Content-Length", b"0\r\nContent-Length: 5\r\n\r\n"),
    chunks("a trailer Set-Cookie", b"0\r\nSet-Cookie: a=b\r\n\r\n"),
    chunks("a folded trailer", b"0\r\nX: y\r\n z\r\n\r\n"),
    chunks("an endless extension", b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n"),
]

ROWS = FRAMING + BODILESS + INTERIM + LINES + CHUNKS
