"""Messages that cases are made of."""
from harness import XF, answer, gets, sees, send


def req(path=b"/", fields=b"", method=b"GET", body=b"", host=b"a"):
    """A request as the client sends it."""
    return b"%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s" % (method, path, host, fields, body)


def fwd(path=b"/", fields=b"", method=b"GET", body=b"", host=b"a"):
    """The same as the target must get it."""
    return b"%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n%s" % (method, path, host, fields, XF, body)


def fwd10(**kw):
    """As fwd, of a request of HTTP/1.0."""
    return fwd(**kw).replace(b"Via: 1.1", b"Via: 1.0")


def post(body=b"hello", path=b"/", fields=b"", host=b"a"):
    return req(path, fields + b"Content-Length: %d\r\n" % len(body), b"POST", body, host)


def fwd_post(body=b"hello", path=b"/", fields=b"", host=b"a"):
    return fwd(path, fields + b"Content-Length: %d\r\n" % len(body), b"POST", body, host)


def ok(body=b"ok", fields=b"", status=b"200 OK"):
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, fields, len(body), body)


CLOSE = b"Connection: close\r\n"


def ok_close(body=b"ok", fields=b"", status=b"200 OK"):
    """The same as the client must get it when yoke will close the connection."""
    return b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n%s\r\n%s" % (
        status, fields, len(body), CLOSE, body)


def chunked(*chunks, trailers=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n" + trailers + b"\r\n"


TE = b"Transfer-Encoding: chunked\r\n"


def served(path=b"/", c="c", b="b", t=0, body=b"ok"):
    """Steps: one plain request, answered by target `t` on its connection `b`."""
    return (send(req(path), c=c), sees(fwd(path), b=b, t=t), answer(ok(body), b=b),
            gets(ok(body), c=c))
