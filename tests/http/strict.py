"""A second reader of HTTP/1: what yoke's must agree with. It says what a message means, or that it is
refused, with regular expressions over whole messages. It is written from RFC 9110, RFC 9112 and the
rules in daemon/http/README.md, shares nothing with the parser in C, and is neither fast nor
incremental.

The limits on sizes are yoke's own; where exactly they lie is for the unit tests.
"""
import ipaddress
import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
REQUEST_LINE = re.compile(rb"(%s) ([\x21\x22\x24-\x7e]+) HTTP/1\.([0-9])" % TOKEN)
STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9][0-9])(?: (%s))?" % VALUE)
FIELD = re.compile(rb"(%s):[ \t]*(%s)" % (TOKEN, VALUE))
TARGET = re.compile(rb"(?i:https?)://([^/]*)(/.*)?")
AUTHORITY = re.compile(rb"(?:[A-Za-z0-9._~\-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?")
LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")
QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\%s)*"' % VALUE[:-1]
SIZE_LINE = re.compile(
    rb"([0-9A-Fa-f]{1,15})((?:;%s(?:=(?:%s|%s))?)*)" % (TOKEN, TOKEN, QUOTED))
LIST = re.compile(rb"[ \t]*(?:%s)?[ \t]*(?:,[ \t]*(?:%s)?[ \t]*)*" % (TOKEN, TOKEN))

FIELDS_MAX = 100
OPTIONS_MAX = 32
SIZE_LINE_MAX = 255
TRAILERS_MAX = 8192
HOST_MAX = 255

HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"http2-settings",
       b"proxy-authenticate", b"proxy-authorization"}
KEPT = {b"host", b"content-length", b"transfer-encoding", b"trailer", b"cookie", b"set-cookie",
        b"authorization", b"expect", b"max-forwards", b"cache-control", b"forwarded", b"via",
        b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto",
        b"x-real-ip"}
NOT_IN_TRAILERS = {
    b"authorization", b"connection", b"content-encoding", b"content-length", b"content-type",
    b"cookie", b"expect", b"forwarded", b"host", b"set-cookie", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"x-forwarded-for", b"x-forwarded-host",
    b"x-forwarded-port", b"x-forwarded-proto"}
# Some gateways make one variable of all names that differ in punctuation only.
CONFUSABLE = {b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-host",
              b"x-forwarded-port", b"x-forwarded-proto"}


class Refused(Exception):
    pass


class Incomplete(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Refused(what)


class Message:
    """One request or response. `body` is without framing; `framing` is "none", "length", "chunked"
    or "close"; `done` is false while the body is not all there."""

    def __init__(self):
        self.fields, self.trailers = [], []
        self.body, self.framing, self.done = b"", "none", True
        self.size = 0  # bytes on the wire

    def values(self, name):
        return [value for other, value in self.fields if other == name]

    def end_to_end(self):
        """The fields that another hop must get."""
        named = {option.lower() for value in self.values(b"connection")
                 for option in re.findall(TOKEN, value)}
        return [(name, value) for name, value in self.fields
                if name not in HOP and (name not in named or name in KEPT)]


# -- heads ------------------------------------------------------------------------------------

def split_head(data):
    """The lines of the head at the beginning, and its size."""
    skip = 2 if data.startswith(b"\r\n") else 0
    end = data.find(b"\r\n\r\n", skip)
    if end < 0:
        raise Incomplete
    return data[skip:end].split(b"\r\n"), end + 4


def read_fields(lines):
    require(len(lines) <= FIELDS_MAX, "too many fields")
    fields = []
    for line in lines:
        match = FIELD.fullmatch(line)
        require(match, f"field {line!r}")
        name = match[1].lower()
        plain = re.sub(rb"[^a-z0-9]", b"-", name)
        require(plain == name or plain not in CONFUSABLE, f"{name!r} looks like {plain!r}")
        fields.append((name, match[2].rstrip(b" \t")))
    return fields


def valid_authority(text):
    match = AUTHORITY.fullmatch(text)
    if not match or len(text) > HOST_MAX or (match[2] and not 0 < int(match[2]) < 65536):
        return False
    try:
        return not match[1] or bool(ipaddress.IPv6Address(match[1].decode()))
    except ValueError:
        return False


def read_options(message):
    """Connection: is it kept?"""
    options = []
    for value in message.values(b"connection"):
        require(LIST.fullmatch(value), f"Connection: {value!r}")
        parts = [part.strip(b" \t").lower() for part in value.split(b",")]
        options += parts if parts[-1] else parts[:-1]
    require(len(options) <= OPTIONS_MAX, "too many options")
    return b"close" not in options and (message.minor > 0 or b"keep-alive" in options)


def read_framing(message):
    """Sets framing and length."""
    lengths = message.values(b"content-length")
    codings = message.values(b"transfer-encoding")
    require(len(lengths) + len(codings) <= 1, "more than one framing")
    message.length = 0
    if codings:
        require(message.minor > 0, "a coding in HTTP/1.0")
        require(codings[0].lower() == b"chunked", f"coding {codings[0]!r}")
        message.framing = "chunked"
    elif lengths:
        require(LENGTH.fullmatch(lengths[0]) and int(lengths[0]) < 1 << 63,
                f"length {lengths[0]!r}")
        message.length = int(lengths[0])
        message.framing = "length" if message.length else "none"


def read_host(message):
    hosts = message.values(b"host")
    require(len(hosts) == 1 or (not hosts and message.minor == 0), f"{len(hosts)} Host")
    require(all(valid_authority(host) for host in hosts), f"Host {hosts!r}")
    message.host = hosts[0] if hosts else None
    if message.target[:1] == b"/":
        message.path = message.target
    elif message.target == b"*":
        require(message.method == b"OPTIONS", "* is for OPTIONS")
        message.path = b"*"
    else:
        match = TARGET.fullmatch(message.target)
        require(match and valid_authority(match[1]), f"target {message.target!r}")
        require(not hosts or hosts[0].lower() == match[1].lower(), "Host is another")
        message.host = match[1]
        message.path = match[2] or (b"*" if message.method == b"OPTIONS" else b"/")


def read_request_head(data):
    message = Message()
    lines, message.size = split_head(data)
    match = REQUEST_LINE.fullmatch(lines[0])
    require(match, f"request line {lines[0]!r}")
    message.method, message.target, message.minor = match[1], match[2], min(int(match[3]), 1)
    require(message.method != b"CONNECT", "CONNECT")
    message.fields = read_fields(lines[1:])
    read_host(message)
    read_framing(message)
    message.keep_alive = read_options(message)
    expect = message.values(b"expect")
    require(not expect or [v.lower() for v in expect] == [b"100-continue"], f"Expect {expect!r}")
    message.local = False  # answered by the proxy itself
    forwards = message.values(b"max-forwards")
    if message.method in (b"OPTIONS", b"TRACE") and forwards:
        require(re.fullmatch(rb"[0-9]+", b",".join(forwards)), f"Max-Forwards {forwards!r}")
        message.local = int(forwards[0]) == 0
    return message


def read_response_head(data, method):
    message = Message()
    lines, message.size = split_head(data)
    require(not data.startswith(b"\r\n"), "an empty line before a response")
    match = STATUS_LINE.fullmatch(lines[0])
    require(match, f"status line {lines[0]!r}")
    message.minor, message.status = min(int(match[1]), 1), int(match[2])
    message.reason = match[3] or b""
    message.fields = read_fields(lines[1:])
    require(message.status != 101, "101 was not asked for")
    read_framing(message)
    message.keep_alive = read_options(message)
    if message.status < 200 or message.status == 204:
        require(message.framing == "none", "a body that must not be there")
    elif method == b"HEAD" or message.status == 304:
        message.framing, message.length = "none", 0
    elif not message.values(b"content-length") and message.framing == "none":
        message.framing = "close"
    return message


# -- bodies -----------------------------------------------------------------------------------

def take_line(data, at):
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    return data[at:end], end + 2


def read_trailers(message, data, at):
    begin = at
    while True:
        line, at = take_line(data, at)
        require(at - begin <= TRAILERS_MAX, "too many trailers")
        if not line:
            return at
        match = FIELD.fullmatch(line)
        require(match, f"trailer {line!r}")
        name = match[1].lower()
        require(re.sub(rb"[^a-z0-9]", b"-", name) not in NOT_IN_TRAILERS, f"trailer {name!r}")
        message.trailers.append((name, match[2].rstrip(b" \t")))


def read_chunks(message, data, at):
    while True:
        line, after = take_line(data, at)
        match = SIZE_LINE.fullmatch(line)
        require(match, f"chunk {line!r}")
        require(not match[2] or len(line) <= SIZE_LINE_MAX, "too long an extension")
        size = int(match[1], 16)
        if size == 0:
            return read_trailers(message, data, after)
        if len(data) < after + size + 2:
            raise Incomplete
        require(data[after + size:after + size + 2] == b"\r\n", "no CRLF behind a chunk")
        message.body += data[after:after + size]
        at = after + size + 2


def read_body(message, data, ended=False):
    """data begins with the head. `ended`: more will not come."""
    at = message.size
    try:
        if message.framing == "chunked":
            message.size = read_chunks(message, data, at)
        elif message.framing == "close":
            message.body, message.size, message.done = data[at:], len(data), ended
        elif len(data) < at + message.length:
            raise Incomplete
        else:
            message.body = data[at:at + message.length]
            message.size = at + message.length
    except Incomplete:
        message.size, message.done = len(data), False
    return message


# -- streams ----------------------------------------------------------------------------------

class Stream:
    """What one side says on a connection: `messages`, all complete, and how it ends: "all" (nothing
    is left), "refused" (why is in `why`), "cut" (more had to come; the beginning of a body, if
    there is one, is in `begun`), "closed" (what follows the last message is not looked at)."""

    def __init__(self):
        self.messages, self.begun, self.end, self.why = [], None, "all", ""


def read_requests(data):
    stream = Stream()
    while data:
        head = None
        try:
            head = read_request_head(data)
            message = read_body(head, data)
        except Incomplete:
            stream.end = "cut"
            return stream
        except Refused as e:
            stream.end, stream.why, stream.begun = "refused", str(e), head
            return stream
        if not message.done:
            stream.end, stream.begun = "cut", message
            return stream
        stream.messages.append(message)
        data = data[message.size:]
        if not message.keep_alive or (message.local and message.framing != "none"):
            stream.end = "closed"
            return stream
    return stream


def read_response(data, method, ended):
    """Interim responses and one final one. Returns (interim, final or None, rest, end) with `end`
    as above."""
    interim = []
    while True:
        head = None
        try:
            head = read_response_head(data, method)
            message = read_body(head, data, ended)
        except Incomplete:
            return interim, None, data, "cut"
        except Refused:
            return interim, head, b"", "refused"
        data = data[message.size:]
        if message.status >= 200:
            return interim, message, data, "all" if message.done else "cut"
        interim.append(message)
