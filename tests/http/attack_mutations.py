"""Random changes of the tables' bytes. For each, the second reader (strict.py) says what they mean;
yoke must have said the same, by what it forwards and how it answers.
"""
import random
import re
import time

from attack_responses import ResponseRig, is_bad_gateway
from attacks_requests import ROWS as REQUESTS
from attacks_responses import ROWS as RESPONSES
from harness import Failed, show
from mutate import mutate
from rig import Rig
from strict import read_requests, read_response

# Written by yoke itself, or counted down.
OURS = {b"host", b"max-forwards", b"x-forwarded-for", b"x-forwarded-proto", b"via"}
SEED_MAX = 1000  # no seed is longer: the oversize rows have said what they have to
HEAD_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
FRAMING_LINE = re.compile(rb"(?i:Content-Length): [0-9]+|(?i:Transfer-Encoding): chunked")


def fields_to_pass(message):
    """What another hop must get, as it is spelled there."""
    fields = [(name, value.lower() if name in (b"expect", b"transfer-encoding") else value)
              for name, value in message.end_to_end() if name not in OURS]
    if hasattr(message, "method") and (message.minor == 0 or message.framing == "none"):
        return [field for field in fields if field[0] != b"expect"]  # it is for who waits
    if hasattr(message, "status") and (message.status < 200 or message.status == 204):
        return [field for field in fields if field[0] != b"content-length"]
    return fields


def require_same_request(asked, seen, target):
    wrong = None
    if (seen.method, seen.path, seen.minor) != (asked.method, asked.path, 1):
        wrong = "method, target or version"
    elif seen.host != (asked.host or target):
        wrong = "Host"
    elif (seen.framing, seen.body, seen.trailers) != (asked.framing, asked.body, asked.trailers):
        wrong = "the body"
    elif fields_to_pass(asked) != fields_to_pass(seen):
        wrong = "the fields"
    elif seen.values(b"x-forwarded-for")[0].split(b", ")[-1] != b"127.0.0.1":
        wrong = "X-Forwarded-For"
    if wrong:
        raise Failed(f"{wrong} of {asked.method!r} {asked.target!r} changed: {asked.fields} "
                     f"{show(asked.body)} became {seen.fields} {show(seen.body)}")


def require_plain(head):
    """Nobody can read these lines in another way, however lenient."""
    framing = 0
    for line in head.split(b"\r\n")[1:-2]:
        if not HEAD_LINE.fullmatch(line):
            raise Failed(f"forwarded {line!r}")
        name = re.sub(rb"[^a-z0-9]", b"-", line.split(b":")[0].lower())
        if name in (b"content-length", b"transfer-encoding"):
            framing += 1
            if not FRAMING_LINE.fullmatch(line) or framing > 1:
                raise Failed(f"forwarded {line!r} as framing")


def read_answers(data, requests):
    """The answers the client got: the target's to `requests`, then what is left."""
    n = 0
    for request in requests:
        interim, final, rest, end = read_response(data, request.method, True)
        if not final or end != "all" or interim or final.status != 200 or final.values(
                b"content-type"):
            return n, data
        data, n = rest, n + 1
    return n, data


def require_begun(stream, seen, target):
    """The target has seen the beginning of a request at most: of the one that was not finished."""
    if not seen:
        return
    begun = read_requests(seen)
    if begun.messages or begun.end == "all" or not stream.begun:
        raise Failed(f"the target got {show(seen)} of a request that is {stream.end}")
    if not begun.begun:
        return  # a part of a head
    asked, got = stream.begun, begun.begun
    if (asked.method, asked.path, asked.host or target) != (got.method, got.path, got.host):
        raise Failed(f"the target got {show(seen)} as the beginning of {asked.method!r} "
                     f"{asked.target!r}")


def require_agreement(data, exchange, target):
    """`data` is what the client sent."""
    stream = read_requests(data)
    forwarded = [message for message in stream.messages if not message.local]
    seen = exchange.target_bytes()
    for request in forwarded:
        got = read_requests(seen)
        if not got.messages:
            raise Failed(f"{request.method!r} {request.target!r} was not forwarded: the target got "
                         f"{show(seen)}")
        require_plain(seen[:seen.find(b"\r\n\r\n") + 4])
        require_same_request(request, got.messages[0], target)
        seen = seen[got.messages[0].size:]
    require_begun(stream, seen, target)
    n, rest = read_answers(exchange.client, stream.messages)
    refusal = re.match(rb"HTTP/1\.1 ([45]\d\d) ", rest)
    if stream.end == "refused" and not refusal:
        raise Failed(f"not refused ({stream.why}): the client got {show(rest)}")
    if stream.end in ("all", "closed") and n < len(forwarded):
        raise Failed(f"{n} answers to {len(forwarded)} requests, then {show(rest)}")
    if stream.end in ("all", "closed") and rest and not any(m.local for m in stream.messages):
        raise Failed(f"the client got {show(rest)} besides")


def requests(rig, data, n):
    exchange = rig.ask(data, segments=3 if n % 4 == 0 else 1)
    require_agreement(data, exchange, b"127.0.0.1:%d" % rig.target_port)


def require_relayed(sent, got, what):
    if not got or (sent.status, sent.framing, sent.body, sent.trailers) != (
            got.status, got.framing, got.body, got.trailers) or (
                fields_to_pass(sent) != fields_to_pass(got)):
        raise Failed(f"{what} {sent.status} {sent.fields} {show(sent.body)} became "
                     f"{got and (got.status, got.fields, show(got.body))}")


def responses(rig, data, n):
    """The target's bytes, and what the client took them for."""
    method = b"HEAD" if n % 5 == 0 else b"GET"
    interim, final, _, end = read_response(data, method, True)
    exchange = rig.reply(method, data, 3 if n % 4 == 0 else 1)
    got_interim, got, rest, got_end = read_response(exchange.client, method, exchange.end == "fin")
    if len(got_interim) > len(interim) or rest:
        raise Failed(f"the client got {show(exchange.client)}")
    for sent, seen in zip(interim, got_interim):
        require_relayed(sent, seen, "interim")
    if end == "all":
        require_relayed(final, got, "response")
        require_plain(exchange.client[:exchange.client.find(b"\r\n\r\n") + 4])
    elif not is_bad_gateway(got) and (got_end == "all" and exchange.end != "reset"):
        raise Failed(f"a response that is {end} became {show(exchange.client)}")


SIDES = {"requests": (Rig, REQUESTS, requests), "responses": (ResponseRig, RESPONSES, responses)}


def run(side, count, seed):
    """Returns the number of disagreements; each is shown with what shows it again."""
    make_rig, rows, attempt = SIDES[side]
    seeds = [row[-2] for row in rows if 0 < len(row[-2]) <= SEED_MAX]
    print(f"{side}: seed {seed}", flush=True)
    failed, begin = 0, time.monotonic()
    rig = make_rig()
    try:
        for n in range(count):
            # Of its own seed each, so that one can be shown alone.
            data = mutate(random.Random(seed * 1000003 + n), seeds)
            try:
                attempt(rig, data, n)
            except Failed as e:
                failed += 1
                print(f"FAILED {side}: {show(data)}\n      number {n} of seed {seed}: {e}")
                if failed == 20:
                    break
                rig.recover()
    finally:
        problem = rig.close()
        if problem:
            raise Failed(problem)
    print(f"{side}: {n + 1} mutations, {failed} failed, {time.monotonic() - begin:.1f} s", flush=True)
    return failed
