"""Published shapes of request smuggling and its relatives, and what becomes of each.

A row is (technique, bytes, outcome). Outcomes:
  refused(status)         the client is told and closed; nothing reaches the target
  begun(status, head)     the head is good and may have gone when what follows it turns out to be
                          malformed: the target sees less than a request, then the end
  forwarded(*requests)    exactly these bytes reach the target, one answer each comes back
  then_refused(status, *requests)   the same, and what follows them is refused
  dropped()               the connection is closed without a word, nothing reaches the target
  answered(status)        yoke answers itself
The client half-closes behind the bytes. HIDDEN is what an attacker wants to be taken for a request.
"""
from messages import TE, fwd, fwd10

E = b"\r\n\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
P = b"POST / HTTP/1.1\r\nHost: a\r\n"
G = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = P + TE + b"\r\n"
FWD_CHUNKED = fwd(method=b"POST", fields=TE)
ZERO = b"0\r\n\r\n"
HIDING = b"Content-Length: %d\r\n" % len(HIDDEN)


def refused(status=400):
    return "refused", status, ()


def begun(status=400, head=FWD_CHUNKED):
    return "begun", status, (head,)


def forwarded(*requests):
    return "forwarded", 200, requests


def then_refused(status, *requests):
    return "then_refused", status, requests


def dropped():
    return "dropped", None, ()


def answered(status):
    return "answered", status, ()


def head(technique, fields, status=400):
    """A POST with these fields, and a hidden request where its body could be."""
    return technique, P + fields + E + HIDDEN, refused(status)


def line(technique, start, status=400):
    """A request that begins with this, up to and without its end."""
    return technique, start + E + HIDDEN, refused(status)


def lengths(*values):
    return [head(f"CL: {v.decode('latin-1')!r}", b"Content-Length:" + v) for v in values]


def codings(status, *values):
    return [head(f"TE: {v.decode('latin-1')!r}", b"Transfer-Encoding:" + v, status) for v in values]


def chunks(technique, body):
    """A good head, then a chunked body that is none."""
    return f"chunks: {technique}", CHUNKED + body + ZERO + HIDDEN, begun()


def hosts(*values):
    return [line(f"Host: {v.decode('latin-1')!r}", b"GET / HTTP/1.1\r\nHost:" + v) for v in values]


def targets(*values, method=b"GET", status=400):
    return [line(f"target: {v.decode('latin-1')!r}", method + b" " + v + b" HTTP/1.1\r\nHost: a",
                 status) for v in values]


BOTH = [
    head("CL.TE", b"Content-Length: 6\r\nTransfer-Encoding: chunked"),
    head("TE.CL", b"Transfer-Encoding: chunked\r\nContent-Length: 4"),
    head("CL.TE, length 0", b"Content-Length: 0\r\nTransfer-Encoding: chunked"),
    ("CL.TE with the body of both", P + b"Content-Length: 6\r\n" + TE + b"\r\n" + ZERO + b"G",
     refused()),
    ("TE.CL with a chunk that holds a request", P + TE + b"Content-Length: 4\r\n\r\n" +
     b"%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN), refused()),
    head("CL.TE, lower case", b"content-length: 6\r\ntransfer-encoding: chunked"),
    head("CL.TE, mixed case", b"cOnTeNt-LeNgTh: 6\r\ntRANSFER-ENCODING: chunked"),
    head("CL.TE, other fields between", b"Content-Length: 6\r\nX: y\r\nTransfer-Encoding: chunked"),
    head("CL.TE, and the connection is to be closed",
         b"Connection: close\r\nContent-Length: 6\r\nTransfer-Encoding: chunked"),
    head("CL.TE, Connection names the length",
         b"Connection: content-length\r\nContent-Length: 6\r\nTransfer-Encoding: chunked"),
    head("TE.CL, Connection names the coding",
         b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 4"),
    head("CL with an unknown coding", b"Content-Length: 6\r\nTransfer-Encoding: x"),
    head("CL with identity", b"Content-Length: 6\r\nTransfer-Encoding: identity"),
    head("CL with an empty coding", b"Content-Length: 6\r\nTransfer-Encoding:"),
    head("CL.TE twice", b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n"
         b"Content-Length: 6\r\nTransfer-Encoding: chunked"),
    line("CL.TE in a GET", G + b"Content-Length: 6\r\nTransfer-Encoding: chunked"),
    line("CL.TE in HTTP/1.0",
         b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked"),
    line("CL.TE in OPTIONS",
         b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked"),
]

LENGTHS = lengths(
    b"", b" ", b" +5", b" -5", b" -0", b" 05", b" 00", b" 0005", b" 0x5", b" 0X1f", b" 0o5",
    b" 0b1", b" 5.0", b" 5.", b" .5", b" 5e0", b" 1_0", b" 5;x", b" 5,", b" ,5", b" 5,5", b" 5, 5",
    b" 5, 6", b" 5 5", b" 5\t6", b" 5 6", b" 5a", b" a5", b" 0xA", b" \"5\"", b" '5'", b" (5)",
    b" 5 (comment)", b" 5%20", b" 9223372036854775808", b" 18446744073709551615",
    b" 18446744073709551621", b" 18446744073709551616", b" 99999999999999999999999999999999", b" NaN",
    b" inf", b" \xef\xbc\x95", b" \xd9\xa5", b" 5\xa0", b" \xa05", b" 5\x0b", b" \x0c5", b" 5\x00",
    b" \x005", b" 5\x7f", b" 5\r", b" 5\n", b"\r\n 5", b" 5\r\n 6", b" 5\r\n\t",
) + [
    head("CL twice, different", b"Content-Length: 6\r\nContent-Length: 5"),
    head("CL twice, the same", b"Content-Length: 5\r\nContent-Length: 5"),
    head("CL twice, 0 first", b"Content-Length: 0\r\n" + HIDING[:-2]),
    head("CL twice, other case", b"Content-Length: 5\r\ncontent-length: 6"),
    head("CL three times", b"Content-Length: 5\r\nX: y\r\nContent-Length: 6\r\nContent-Length: 5"),
    head("CL twice, one empty", b"Content-Length: 5\r\nContent-Length:"),
    head("CL with a blank before the colon", b"Content-Length : 5"),
    head("CL with a tab before the colon", b"Content-Length\t: 5"),
    head("CL with NUL in the name", b"Content-\x00Length: 5"),
    head("CL with a blank in the name", b"Content Length: 5"),
    head("CL behind a blank", b" Content-Length: 5"),
    head("CL with its colon on the next line", b"Content-Length\r\n: 5"),
    head("CL with = for the colon", b"Content-Length= 5"),
    head("CL with an underscore", b"Content_Length: 5"),
    head("CL with a dot", b"Content.Length: 5"),
    head("CL with an underscore beside the real one", b"Content-Length: 0\r\nContent_Length: 5"),
    head("CL with a Unicode hyphen", b"Content\xe2\x80\x90Length: 5"),
    ("CL 0 in front of a request", P + b"Content-Length: 0\r\n\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST", fields=b"Content-Length: 0\r\n"), fwd(b"/hidden"))),
    ("CL.0: a request as the body", P + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST", fields=HIDING, body=HIDDEN))),
    ("CL.0 in GET", G + HIDING + b"\r\n" + HIDDEN, forwarded(fwd(fields=HIDING, body=HIDDEN))),
    ("CL.0 in HEAD", G.replace(b"GET", b"HEAD") + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"HEAD", fields=HIDING, body=HIDDEN))),
    ("CL.0 in OPTIONS", G.replace(b"GET", b"OPTIONS") + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"OPTIONS", fields=HIDING, body=HIDDEN))),
    ("CL.0 in TRACE", G.replace(b"GET", b"TRACE") + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"TRACE", fields=HIDING, body=HIDDEN))),
    ("CL.0 in a method of its own", G.replace(b"GET", b"FOO") + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"FOO", fields=HIDING, body=HIDDEN))),
    ("CL.0, Connection names the length",
     P + b"Connection: Content-Length\r\n" + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST", fields=HIDING, body=HIDDEN))),
    ("0.CL: no length in front of a request", P + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST"), fwd(b"/hidden"))),
    ("a length that covers the next request and more", P + b"Content-Length: 500\r\n\r\n" + HIDDEN,
     begun(None, fwd(method=b"POST", fields=b"Content-Length: 500\r\n"))),
    ("a length that is too short", P + b"Content-Length: 4\r\n\r\nabcdGPOST / HTTP/1.1\r\n\r\n",
     then_refused(400, fwd(method=b"POST", fields=b"Content-Length: 4\r\n", body=b"abcd"))),
    ("CL behind a tab reads the same to all", P + b"Content-Length:\t5\r\n\r\nhello",
     forwarded(fwd(method=b"POST", fields=b"Content-Length: 5\r\n", body=b"hello"))),
    ("CL with blanks around reads the same to all",
     P + b"Content-Length: \t 5 \t\r\nX: y\r\n\r\nhello",
     forwarded(fwd(method=b"POST", fields=b"Content-Length: 5\r\nX: y\r\n", body=b"hello"))),
    ("CL without a blank reads the same to all", P + b"content-length:5\r\n\r\nhello",
     forwarded(fwd(method=b"POST", fields=b"content-length: 5\r\n", body=b"hello"))),
]

CODINGS = codings(
    501, b" xchunked", b" chunkedx", b" x", b" cow", b" identity", b" gzip", b" gzip, chunked",
    b" identity, chunked", b" chunk", b" chunked-", b" chunked1", b" deflate", b" trailers",
) + codings(
    400, b"", b" ", b" ,", b" ,chunked", b" chunked,", b" chunked, chunked", b" chunked,chunked",
    b" chunked, identity", b" chunked, cow", b" chunked gzip", b" chunked;q=1", b" chunked; a=b",
    b" chunked ;", b" \"chunked\"", b" 'chunked'x y", b" chun ked", b" chunked\xa0", b" \xa0chunked",
    b" \x0bchunked", b" chunked\x0b", b" \x0cchunked", b" \x00chunked", b" chunked\x00", b" \x01chunked",
    b" chunked\x7f", b" chunked\r", b" chunked\n", b" \nchunked", b"\r\n chunked", b"\r\n\tchunked",
    b" chunked\r\n ", b" chunked\r\n identity", b" \r\n chunked", b" ch\xc3\xbanked",
    b" \xef\xbb\xbfchunked", b" [chunked]", b" chunked/1.1", b" chunked: x", b" (x) chunked",
    b" \\chunked", b":chunked", b": chunked",
) + [
    head("TE twice, the second unknown",
         b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow"),
    head("TE twice, the first unknown", b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked"),
    head("TE twice, the same", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
    head("TE twice, other case", b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity"),
    head("TE twice, one empty", b"Transfer-Encoding:\r\nTransfer-Encoding: chunked"),
    head("TE with a blank before the colon", b"Transfer-Encoding : chunked"),
    head("TE with a tab before the colon", b"Transfer-Encoding\t: chunked"),
    head("TE with NUL before the colon", b"Transfer-Encoding\x00: chunked"),
    head("TE with a vertical tab before the colon", b"Transfer-Encoding\x0b: chunked"),
    head("TE with a no-break space before the colon", b"Transfer-Encoding\xa0: chunked"),
    head("TE with CR before the colon", b"Transfer-Encoding\r: chunked"),
    head("TE with its colon on the next line", b"Transfer-Encoding\r\n: chunked"),
    head("TE without a colon", b"Transfer-Encoding chunked"),
    head("TE with = for the colon", b"Transfer-Encoding=chunked"),
    head("TE with a blank in the name", b"Transfer Encoding: chunked"),
    head("TE with an underscore", b"Transfer_Encoding: chunked"),
    head("TE with a dot", b"Transfer.Encoding: chunked"),
    head("TE with an underscore beside a length", b"Content-Length: 5\r\ntransfer_encoding: chunked"),
    head("TE behind a blank", b" Transfer-Encoding: chunked"),
    head("TE behind a tab", b"\tTransfer-Encoding: chunked"),
    head("TE behind a vertical tab", b"\x0bTransfer-Encoding: chunked"),
    head("TE behind NUL", b"\x00Transfer-Encoding: chunked"),
    head("TE behind a byte order mark", b"\xef\xbb\xbfTransfer-Encoding: chunked"),
    head("TE behind a colon", b":Transfer-Encoding: chunked"),
    head("TE in quotes", b"\"Transfer-Encoding\": chunked"),
    head("TE behind a bare CR in a field", b"X: y\rTransfer-Encoding: chunked"),
    head("TE behind a bare LF in a field", b"X: y\nTransfer-Encoding: chunked"),
    head("TE behind LF CR", b"X: y\n\rTransfer-Encoding: chunked"),
    head("TE behind CR CR LF", b"X: y\r\r\nTransfer-Encoding: chunked"),
    head("TE behind NUL in a field", b"X: y\x00\r\nTransfer-Encoding: chunked"),
    head("TE in a folded field", b"X: y\r\n Transfer-Encoding: chunked"),
    head("TE behind an empty folded line", b"X: y\r\n \r\nTransfer-Encoding: chunked"),
    line("TE in front of Host", b"POST / HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a"),
    line("TE in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked"),
    line("TE in HTTP/1.0 that is kept",
         b"POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked"),
    ("TE.0: a request as the only chunk", CHUNKED + b"%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + ZERO,
     forwarded(FWD_CHUNKED + b"%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + ZERO)),
    ("TE.0 in OPTIONS", CHUNKED.replace(b"POST", b"OPTIONS") + ZERO + HIDDEN,
     forwarded(fwd(method=b"OPTIONS", fields=TE, body=ZERO), fwd(b"/hidden"))),
    ("TE.0 in GET", G + TE + b"\r\n" + ZERO + HIDDEN,
     forwarded(fwd(fields=TE, body=ZERO), fwd(b"/hidden"))),
    ("TE.0, Connection names the coding",
     P + b"Connection: transfer-encoding\r\n" + TE + b"\r\n" + ZERO + HIDDEN,
     forwarded(FWD_CHUNKED + ZERO, fwd(b"/hidden"))),
    ("TE in mixed case reads the same to all", P + b"tRANSFER-ENCODING: ChUnKeD\r\n\r\n" + ZERO,
     forwarded(fwd(method=b"POST", fields=b"tRANSFER-ENCODING: chunked\r\n", body=ZERO))),
    ("TE behind a tab reads the same to all", P + b"Transfer-Encoding:\tchunked\r\n\r\n" + ZERO,
     forwarded(FWD_CHUNKED + ZERO)),
    ("TE with blanks around reads the same to all",
     P + b"Transfer-Encoding:  chunked \t\r\nX: y\r\n\r\n" + ZERO,
     forwarded(fwd(method=b"POST", fields=TE + b"X: y\r\n", body=ZERO))),
    ("TE without a blank reads the same to all", P + b"Transfer-Encoding:chunked\r\n\r\n" + ZERO,
     forwarded(FWD_CHUNKED + ZERO)),
    ("the field TE is for the next hop only", P + b"TE: chunked\r\n\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST"), fwd(b"/hidden"))),
    ("a coding in another field", P + b"Content-Encoding: chunked\r\nX-Transfer-Encoding: chunked\r\n\r\n"
     + HIDDEN, forwarded(fwd(method=b"POST", fields=b"Content-Encoding: chunked\r\n"
                             b"X-Transfer-Encoding: chunked\r\n"), fwd(b"/hidden"))),
]

CHUNKS = [
    chunks("TERM.EXT: LF ends an extension", b"5;\nhello\r\n"),
    chunks("TERM.EXT: LF in an extension, a size behind it", b"2;\nxx\r\n4c\r\n"),
    chunks("EXT.TERM: CR ends an extension", b"5;a\rhello\r\n"),
    chunks("EXT.TERM: CR, then another byte", b"5;a\rXhello\r\n"),
    chunks("LF behind the size", b"5\nhello\r\n"),
    chunks("CR behind the size", b"5\rhello\r\n"),
    chunks("CR CR LF behind the size", b"5\r\r\nhello\r\n"),
    chunks("a bare semicolon", b"5;\r\nhello\r\n"),
    chunks("a blank before an extension", b"5 ;a=b\r\nhello\r\n"),
    chunks("a blank in an extension", b"5; a=b\r\nhello\r\n"),
    chunks("NUL in an extension", b"5;a=\x00\r\nhello\r\n"),
    chunks("a control character in an extension", b"5;a\x01=b\r\nhello\r\n"),
    chunks("brackets in an extension", b"5;[a]=b\r\nhello\r\n"),
    chunks("an extension without a name", b"5;=b\r\nhello\r\n"),
    chunks("a quote that does not end", b"5;a=\"b\r\nhello\r\n"),
    chunks("CRLF in a quote", b"5;a=\"\r\n\"\r\nhello\r\n"),
    chunks("LF in a quote", b"5;a=\"\n\"\r\nhello\r\n"),
    chunks("an escaped CR in a quote", b"5;a=\"\\\r\n\"\r\nhello\r\n"),
    chunks("a comma behind the size", b"5,5\r\nhello\r\n"),
    chunks("an endless extension", b"5;" + b"a" * 5000 + b"\r\nhello\r\n"),
    chunks("many extensions", b"5" + b";a=b" * 2000 + b"\r\nhello\r\n"),
    chunks("TERM.SPILL: more data than the size says", b"5\r\nhello!\r\n"),
    chunks("SPILL.TERM: a size behind the spill", b"5\r\nhelloXX2\r\nXX\r\n"),
    chunks("less data than the size says", b"6\r\nhello\r\n"),
    chunks("no line end behind data", b"5\r\nhello"),
    chunks("LF behind data", b"5\r\nhello\n"),
    chunks("CR behind data", b"5\r\nhello\r"),
    chunks("LF CR behind data", b"5\r\nhello\n\r"),
    chunks("any two bytes behind data", b"5\r\nhelloab"),
    chunks("an empty size", b"\r\nhello\r\n"),
    chunks("an extension without a size", b";a=b\r\nhello\r\n"),
    chunks("a size with a plus", b"+5\r\nhello\r\n"),
    chunks("a negative size", b"-5\r\nhello\r\n"),
    chunks("a negative zero", b"-0\r\n\r\n"),
    chunks("a size in C notation", b"0x5\r\nhello\r\n"),
    chunks("a size with an underscore", b"0_5\r\nhello\r\n"),
    chunks("a size with a dot", b"5.0\r\nhello\r\n"),
    chunks("a size with h", b"5h\r\nhello\r\n"),
    chunks("a blank before the size", b" 5\r\nhello\r\n"),
    chunks("a tab before the size", b"\t5\r\nhello\r\n"),
    chunks("a blank behind the size", b"5 \r\nhello\r\n"),
    chunks("a tab behind the size", b"5\t\r\nhello\r\n"),
    chunks("NUL behind the size", b"5\x00\r\nhello\r\n"),
    chunks("a vertical tab behind the size", b"5\x0b\r\nhello\r\n"),
    chunks("a size that overflows 64 bits", b"10000000000000005\r\nhello\r\n"),
    chunks("a size of 64 bits", b"ffffffffffffffff\r\nhello\r\n"),
    chunks("a size that overflows with zeros", b"0" * 32 + b"5\r\nhello\r\n"),
    chunks("a full-width digit", b"\xef\xbc\x95\r\nhello\r\n"),
    chunks("a size in quotes", b"\"5\"\r\nhello\r\n"),
    chunks("a header for a size", b"Content-Length: 5\r\nhello\r\n"),
    chunks("a request for a size", b"GET /hidden HTTP/1.1\r\n\r\n"),
    chunks("another line end before the size", b"\r\n5\r\nhello\r\n"),
    ("chunks: last chunk with LF", CHUNKED + b"0\n\n" + HIDDEN, begun()),
    ("chunks: last chunk with LF, then CRLF", CHUNKED + b"0\n\r\n" + HIDDEN, begun()),
    ("chunks: last chunk, then LF", CHUNKED + b"0\r\n\n" + HIDDEN, begun()),
    ("chunks: last chunk, then CR", CHUNKED + b"0\r\n\r" + HIDDEN, begun()),
    ("chunks: last chunk without its empty line", CHUNKED + b"0\r\n" + HIDDEN, begun()),
    ("chunks: last chunk of spaces", CHUNKED + b"   \r\n\r\n" + HIDDEN, begun()),
    ("chunks: they do not end", CHUNKED + b"5\r\nhello\r\n", begun(None)),
    ("chunks: they end in the middle of a size", CHUNKED + b"5", begun(None)),
    ("chunks: the last is not followed by anything", CHUNKED + b"0\r\n", begun(None)),
    ("chunks: leading zeros", CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n" + HIDDEN,
     forwarded(FWD_CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n", fwd(b"/hidden"))),
    ("chunks: extensions by the book",
     CHUNKED + b"5;a;b=c;d=\"e;\\\" \\\\\"\r\nhello\r\n0;x\r\n\r\n" + HIDDEN,
     forwarded(FWD_CHUNKED + b"5;a;b=c;d=\"e;\\\" \\\\\"\r\nhello\r\n0;x\r\n\r\n", fwd(b"/hidden"))),
    ("chunks: a size line as data", CHUNKED + b"5\r\n0\r\n\r\n\r\n" + ZERO + HIDDEN,
     forwarded(FWD_CHUNKED + b"5\r\n0\r\n\r\n\r\n" + ZERO, fwd(b"/hidden"))),
]


def trailer(technique, text):
    return f"trailer: {technique}", CHUNKED + b"0\r\n" + text + b"\r\n\r\n" + HIDDEN, begun()


TRAILERS = [
    *[trailer(name.decode(), name + b": x") for name in (
        b"Content-Length", b"Transfer-Encoding", b"Host", b"TE", b"Trailer", b"Connection",
        b"Upgrade", b"Expect", b"Cookie", b"Authorization", b"Set-Cookie", b"Content-Type",
        b"Content-Encoding", b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Forwarded-Proto",
        b"Forwarded", b"content-length", b"TRANSFER-ENCODING", b"Content_Length",
        b"Transfer_Encoding", b"X_Forwarded_For")],
    trailer("a blank before the colon", b"X : y"),
    trailer("folded", b"X: y\r\n z"),
    trailer("a bare LF", b"X: y\nContent-Length: 5"),
    trailer("a bare CR", b"X: y\rContent-Length: 5"),
    trailer("NUL", b"X: \x00"),
    trailer("without a colon", b"GET /hidden HTTP/1.1"),
    trailer("too many", b"X: y\r\n" * 3000 + b"Z: z"),
    ("trailer: by the book", CHUNKED + b"0\r\nX-Sum: 1\r\nY:\r\n\r\n" + HIDDEN,
     forwarded(FWD_CHUNKED + b"0\r\nX-Sum: 1\r\nY:\r\n\r\n", fwd(b"/hidden"))),
    ("trailer: announced, but a field that must not be there",
     P + TE + b"Trailer: Content-Length\r\n\r\n0\r\nContent-Length: 5\r\n\r\n" + HIDDEN,
     begun(400, fwd(method=b"POST", fields=TE + b"Trailer: Content-Length\r\n"))),
]

LINES = [
    line("LF ends the request line", b"GET / HTTP/1.1\nHost: a"),
    line("CR ends the request line", b"GET / HTTP/1.1\rHost: a"),
    line("LF ends a field", b"GET / HTTP/1.1\r\nHost: a\nX: y"),
    line("CR ends a field", b"GET / HTTP/1.1\r\nHost: a\rX: y"),
    ("LF only", b"GET / HTTP/1.1\nHost: a\n\n" + HIDDEN, refused()),
    ("CR only", b"GET / HTTP/1.1\rHost: a\r\r" + HIDDEN, refused()),
    ("LF for the empty line", G + b"\n" + HIDDEN, refused()),
    ("LF LF ends the head", b"GET / HTTP/1.1\r\nHost: a\n\n" + HIDDEN, refused()),
    ("CRLF LF ends the head", b"GET / HTTP/1.1\r\nHost: a\r\n\n" + HIDDEN, refused()),
    ("CR CRLF for the empty line", G + b"\r\r\n" + HIDDEN, refused()),
    ("a blank on the empty line", G + b" \r\n" + HIDDEN, refused()),
    ("a NUL on the empty line", G + b"\x00\r\n" + HIDDEN, refused()),
    line("NUL in a value", G + b"X: y\x00z"),
    line("NUL in a name", G + b"X\x00: y"),
    line("NUL in the request line", b"GET /\x00 HTTP/1.1\r\nHost: a"),
    line("NUL behind the version", b"GET / HTTP/1.1\x00\r\nHost: a"),
    line("backspace in a value", G + b"X: \x08"),
    line("escape in a value", G + b"X: \x1b[31m"),
    line("DEL in a value", G + b"X: \x7f"),
    line("a field without a name", G + b": x"),
    line("a field without a colon", G + b"X"),
    line("a name with a slash", G + b"X/Y: z"),
    line("a name with parentheses", G + b"X(Y): z"),
    line("a name with a comma", G + b"X,Y: z"),
    line("a name in UTF-8", G + b"X\xc3\xa4: z"),
    line("a request line as a field", G + b"GET /hidden HTTP/1.1"),
    line("a folded value", G + b"X: y\r\n z"),
    line("a value folded by a tab", G + b"X: y\r\n\tz"),
    line("the first field begins with a blank", b"GET / HTTP/1.1\r\n Host: a\r\nHost: a"),
    ("two empty lines before a request", b"\r\n\r\n" + G + b"\r\n", refused()),
    ("LF before a request", b"\n" + G + b"\r\n", refused()),
    ("CR before a request", b"\r" + G + b"\r\n", refused()),
    ("a blank before a request", b" " + G + b"\r\n", refused()),
    ("NUL before a request", b"\x00" + G + b"\r\n", refused()),
    ("a byte order mark before a request", b"\xef\xbb\xbf" + G + b"\r\n", refused()),
    ("one empty line before a request", b"\r\n" + G + b"\r\n", forwarded(fwd())),
    ("an empty line only", b"\r\n", dropped()),
    ("a cut head", G, dropped()),
    ("a head that ends in CR", G + b"\r", dropped()),
]

REQUEST_LINES = [
    line("two blanks before the target", b"GET  / HTTP/1.1\r\nHost: a"),
    line("two blanks before the version", b"GET /  HTTP/1.1\r\nHost: a"),
    line("a tab before the target", b"GET\t/ HTTP/1.1\r\nHost: a"),
    line("a tab before the version", b"GET /\tHTTP/1.1\r\nHost: a"),
    line("a vertical tab before the target", b"GET\x0b/ HTTP/1.1\r\nHost: a"),
    line("a blank behind the version", b"GET / HTTP/1.1 \r\nHost: a"),
    line("a second version", b"GET / HTTP/1.1 HTTP/1.1\r\nHost: a"),
    line("a request line in the target", b"GET / HTTP/1.1\\r\\nX: / HTTP/1.1\r\nHost: a"),
    line("no version", b"GET /\r\nHost: a"),
    line("HTTP/0.9 with a version", b"GET / HTTP/0.9\r\nHost: a", 505),
    line("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a", 505),
    line("HTTP/3.0", b"GET / HTTP/3.0\r\nHost: a", 505),
    line("HTTP/1", b"GET / HTTP/1\r\nHost: a"),
    line("HTTP/1.", b"GET / HTTP/1.\r\nHost: a"),
    line("HTTP/01.1", b"GET / HTTP/01.1\r\nHost: a"),
    line("HTTP/1.01", b"GET / HTTP/1.01\r\nHost: a"),
    line("HTTP/1.10", b"GET / HTTP/1.10\r\nHost: a"),
    line("HTTP/1,1", b"GET / HTTP/1,1\r\nHost: a"),
    line("HTTP /1.1", b"GET / HTTP /1.1\r\nHost: a"),
    line("http/1.1", b"GET / http/1.1\r\nHost: a"),
    line("HTTPS/1.1", b"GET / HTTPS/1.1\r\nHost: a"),
    line("no method", b" / HTTP/1.1\r\nHost: a"),
    line("a method with a colon", b"GET: / HTTP/1.1\r\nHost: a"),
    line("a method in brackets", b"[GET] / HTTP/1.1\r\nHost: a"),
    line("a method with NUL", b"GE\x00T / HTTP/1.1\r\nHost: a"),
    line("a method with a slash", b"GET/ HTTP/1.1\r\nHost: a"),
    line("a method in UTF-8", b"G\xc3\x89T / HTTP/1.1\r\nHost: a"),
    line("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80", 501),
    line("CONNECT without a port", b"CONNECT a HTTP/1.1\r\nHost: a"),
    line("CONNECT to a path", b"CONNECT / HTTP/1.1\r\nHost: a"),
    line("CONNECT with a body", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n" + HIDING[:-2], 501),
    ("a method of one's own", b"GPOST / HTTP/1.1\r\nHost: a\r\n\r\n", forwarded(fwd(method=b"GPOST"))),
    ("a method in lower case is another one", b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
     forwarded(fwd(method=b"get"))),
    ("HTTP/1.9 is answered as 1.1", b"GET / HTTP/1.9\r\nHost: a\r\n\r\n", forwarded(fwd())),
    ("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refused(None)),
    ("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", refused()),
    ("HTTP/0.9", b"GET /\r\n\r\n" + HIDDEN, refused()),
    *targets(b"#", b"/#x", b"/\x7f", b"/\xff", b"/\xc3\xa4", b"/\x01", b"/\x0b", b"/\x0c", b"x",
             b"a.b/c", b"?x", b"*", b"*x", b"http:/a/", b"http:a", b"http://", b"http:///",
             b"http://a?x", b"http://a#x", b"http://u@a/", b"http://u:p@a/", b"http://a:/",
             b"http://a:0/", b"http://a:65536/", b"http://a:x/", b"http://a:80:80/", b"http://b/",
             b"http://a:80/", b"http://a,b/", b"http://[::1/", b"http://a\\b/", b"http://a%2e/",
             b"ftp://a/", b"ws://a/", b"file:///etc/passwd", b"javascript://a/", b"\\", b"..",
             b"%2f", b"@a/", b":80/"),
    *[(f"target: {t.decode('latin-1')!r} is passed on byte by byte", b"GET " + t + b" HTTP/1.1\r\nHost: a\r\n\r\n",
       forwarded(fwd(t))) for t in (
           b"//b/x", b"/\\b", b"/..;/x", b"/%2e%2e/x", b"/%00", b"/%0d%0aX:%20y", b"/a//b/./../c",
           b"/;x=y?z", b"/http://b/", b"/x%20HTTP/1.1", b"/%ff%FF", b"/?", b"/@b", b"/*")],
    ("target: absolute", b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", forwarded(fwd(b"/x"))),
    ("target: absolute, the scheme in capitals", b"GET HTTP://a/x HTTP/1.1\r\nHost: A\r\n\r\n",
     forwarded(fwd(b"/x"))),
    ("target: absolute, and a second one inside", b"GET http://a/http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
     forwarded(fwd(b"/http://b/"))),
    ("target: absolute with two slashes behind the host", b"GET http://a//b/ HTTP/1.1\r\nHost: a\r\n\r\n",
     forwarded(fwd(b"//b/"))),
    line("target: absolute without Host", b"GET http://a/ HTTP/1.1\r\nX: y"),
    line("target: absolute, Host empty", b"GET http://a/ HTTP/1.1\r\nHost:"),
    line("target: absolute, Host is another", b"GET http://a/ HTTP/1.1\r\nHost: b"),
    line("target: absolute, two Host", b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b"),
    ("target: absolute, in HTTP/1.0 without Host", b"GET http://a/ HTTP/1.0\r\n\r\n", forwarded(fwd10())),
]

HOSTS = hosts(
    b"", b" ", b" a, b", b" a,a", b" a b", b" a/", b" a/b", b" a?b", b" a#b", b" a\\b", b" u@a",
    b" u:p@a", b" a@b:80", b" a:", b" a:0", b" a:65536", b" a:99999", b" a:-1", b" a:+80", b" a:80a",
    b" a:80:81", b" a:80, b", b" a: 80", b" a :80", b" :80", b" [::1", b" ::1", b" [::1]x",
    b" [::1]:x", b" [::g]", b" [::1%25lo]", b" [v1.x]", b" []", b" [127.0.0.1]", b" http://a",
    b" a%00", b" a%2eb", b" a\x00", b" a\x00b", b" a\tb", b" \xe2\x98\x83", b" a\xa0", b" a;b",
    b" (a)", b" \"a\"", b" <a>", b" a|b", b" a'b", b" *", b" " + b"a" * 256,
) + [
    line("Host twice", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b"),
    line("Host twice, the same", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a"),
    line("Host twice, one empty", b"GET / HTTP/1.1\r\nHost:\r\nHost: a"),
    line("Host twice, other case", b"GET / HTTP/1.1\r\nHost: a\r\nhOST: b"),
    line("Host twice in HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: b"),
    line("no Host", b"GET / HTTP/1.1\r\nX: y"),
    line("Host behind a blank", b"GET / HTTP/1.1\r\nX: y\r\n Host: a"),
    line("Host with a blank before the colon", b"GET / HTTP/1.1\r\nHost : a"),
    line("Host and a folded Host", b"GET / HTTP/1.1\r\nHost: a\r\n\tb"),
    line("Host with NUL in the name", b"GET / HTTP/1.1\r\nHo\x00st: b\r\nHost: a"),
    ("Host behind a tab reads the same to all", b"GET / HTTP/1.1\r\nHost:\ta\r\n\r\n", forwarded(fwd())),
    ("X-Forwarded-Host is no Host", G + b"X-Forwarded-Host: b\r\n\r\n",
     forwarded(fwd(fields=b"X-Forwarded-Host: b\r\n"))),
    line("X_Forwarded_For", G + b"X_Forwarded_For: 192.0.2.1"),
    line("X_Forwarded_Host", G + b"X_Forwarded_Host: b"),
    line("X.Forwarded.Port", G + b"X.Forwarded.Port: 443"),
    line("X-Forwarded_Proto", G + b"X-Forwarded_Proto: https"),
]

BEHAVIOUR = [
    *[head(f"Expect: {v.decode('latin-1')!r}", b"Expect:" + v + b"\r\n" + HIDING[:-2], 417) for v in (
        b"", b" y 100-continue", b" 100-continue, x", b" 100", b" 100-continue;q=1", b" 200-ok",
        b" 100-continue 100-continue", b" 100_continue", b" \xa0100-continue", b" \"100-continue\"")],
    head("Expect twice", b"Expect: 100-continue\r\nExpect: 100-continue\r\n" + HIDING[:-2], 417),
    head("Expect twice, one unknown", b"Expect: 100-continue\r\nExpect: x\r\n" + HIDING[:-2], 417),
    head("Expect folded", b"Expect:\r\n 100-continue\r\n" + HIDING[:-2]),
    head("Expect behind LF", b"Expect: \n100-continue\r\n" + HIDING[:-2]),
    ("Expect, and the body is not waited with", P + b"Expect: 100-continue\r\n" + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST", fields=b"Expect: 100-continue\r\n" + HIDING, body=HIDDEN))),
    ("Expect in other letters reads the same to all",
     P + b"expect:\t100-Continue\r\n" + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST", fields=b"expect: 100-continue\r\n" + HIDING, body=HIDDEN))),
    ("Expect without a body", G + b"Expect: 100-continue\r\n\r\n" + HIDDEN,
     forwarded(fwd(), fwd(b"/hidden"))),
    ("Expect with length 0", P + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST", fields=b"Content-Length: 0\r\n"), fwd(b"/hidden"))),
    ("Expect, and no body comes", P + b"Expect: 100-continue\r\n" + HIDING + b"\r\n",
     begun(None, fwd(method=b"POST", fields=b"Expect: 100-continue\r\n" + HIDING))),
    ("Upgrade to h2c with a body", P + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     b"HTTP2-Settings: AAMA\r\n" + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd(method=b"POST", fields=HIDING, body=HIDDEN))),
    ("Upgrade to h2c, and a request behind it", G + b"Connection: Upgrade, HTTP2-Settings\r\n"
     b"Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n" + HIDDEN, forwarded(fwd(), fwd(b"/hidden"))),
    ("Upgrade to h2c without Connection", G + b"Upgrade: h2c\r\nHTTP2-Settings: AAMA\r\n\r\n",
     forwarded(fwd())),
    ("Upgrade to TLS", b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n"
     + HIDDEN, forwarded(fwd(b"*", method=b"OPTIONS"), fwd(b"/hidden"))),
    *[(f"Connection names {name.decode()}", G + b"Connection: %s\r\n%s: v\r\n\r\n" % (name, name),
       forwarded(fwd(fields=name + b": v\r\n"))) for name in (
           b"Cookie", b"Authorization", b"Cache-Control", b"Via", b"Forwarded", b"X-Forwarded-Host",
           b"X-Real-IP")],
    ("Connection names Host", G + b"Connection: host\r\n\r\n", forwarded(fwd())),
    ("Connection names X-Forwarded-For", G + b"Connection: close, X-Forwarded-For\r\n\r\n",
     forwarded(fwd())),
    ("Connection names any other field", G + b"Connection: x-any\r\nX-Any: v\r\n\r\n", forwarded(fwd())),
    *[line(f"Connection: {v.decode('latin-1')!r}", G + b"Connection:" + v) for v in (
        b" a b", b" a;b", b" \"close\"", b" (close)", b" close\xa0", b" a=b", b" close\x00", b" a/b")],
    line("Connection with too many names", G + b"Connection: " + b"a, " * 40 + b"b"),
    ("Connection: close, and a request behind it", G + b"Connection: close\r\n\r\n" + HIDDEN,
     forwarded(fwd())),
    ("Connection: close in another field", G + b"Connection: keep-alive\r\nConnection: ClOsE\r\n\r\n"
     + HIDDEN, forwarded(fwd())),
    ("Proxy-Connection means nothing", G + b"Proxy-Connection: close\r\n\r\n" + HIDDEN,
     forwarded(fwd(), fwd(b"/hidden"))),
    ("HTTP/1.0, and a request behind it", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n" + HIDDEN,
     forwarded(fwd10())),
    ("HTTP/1.0 that is kept, and a request behind it",
     b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" + HIDDEN,
     forwarded(fwd10(), fwd(b"/hidden"))),
    ("HTTP/1.0 with a length", b"POST / HTTP/1.0\r\nHost: a\r\n" + HIDING + b"\r\n" + HIDDEN,
     forwarded(fwd10(method=b"POST", fields=HIDING, body=HIDDEN))),
    ("Max-Forwards: 0 with a body that is a request",
     b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n" + HIDING + b"\r\n" + HIDDEN, answered(200)),
    line("Max-Forwards: -1", b"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: -1"),
    line("Max-Forwards twice", b"TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\nMax-Forwards: 0"),
    ("pipelined: the second is refused", G + b"\r\n" + P + b"Content-Length: x" + E + HIDDEN,
     then_refused(400, fwd())),
    ("pipelined: the second is cut", G + b"\r\n" + G, forwarded(fwd())),
    ("pipelined: garbage behind a request", G + b"\r\n\x00\x00\x00\x00", then_refused(400, fwd())),
    ("pipelined: an empty line between", G + b"\r\n\r\n" + HIDDEN,
     forwarded(fwd(), fwd(b"/hidden"))),
    ("pipelined: two empty lines between", G + b"\r\n\r\n\r\n" + HIDDEN, then_refused(400, fwd())),
    ("pipelined: a body that is longer than its length", P + b"Content-Length: 3\r\n\r\nabc" + HIDDEN,
     forwarded(fwd(method=b"POST", fields=b"Content-Length: 3\r\n", body=b"abc"), fwd(b"/hidden"))),
    ("oversize: the head", G + b"X: " + b"x" * 40000 + b"\r\n\r\n" + HIDDEN, refused(431)),
    ("oversize: the target", b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", refused(414)),
    ("oversize: the method", b"G" * 40000 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", refused(414)),
    ("oversize: the version", b"GET / HTTP/1." + b"1" * 40000 + b"\r\nHost: a\r\n\r\n", refused()),
    ("oversize: the name of a field", G + b"X" * 40000 + b": y\r\n\r\n", refused(431)),
    ("oversize: fields", G + b"X: y\r\n" * 101 + b"\r\n", refused(431)),
    ("oversize: empty fields", G + b"X:\r\n" * 101 + b"\r\n", refused(431)),
    ("oversize: blanks before a value", G + b"X:" + b" " * 40000 + b"y\r\n\r\n", refused(431)),
    ("oversize: blanks behind a length", P + b"Content-Length: 5" + b" " * 40000 + b"\r\n\r\n",
     refused(431)),
    ("oversize: a head that never ends", G + b"X: y\r\n" * 90 + b"Y: " + b"y" * 40000, refused(431)),
]

ROWS = (BOTH + LENGTHS + CODINGS + CHUNKS + TRAILERS + LINES + REQUEST_LINES + HOSTS + BEHAVIOUR)
