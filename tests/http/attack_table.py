"""Runs the tables of attacks: each row in each way its bytes can arrive, and an honest exchange
behind it, which must get its own answer."""
import collections
import re

from attack_responses import ResponseRig, require_row
from attacks_requests import ROWS as REQUESTS
from attacks_responses import ROWS as RESPONSES
from harness import Failed, parse_fields, show
from messages import fwd, req
from rig import Rig, answer_to
from strict import read_request_head, read_requests

HONEST = b"/honest"


def take_answers(exchange, numbers, requests):
    """The target's answers to `requests`, exactly and in order; returns what follows."""
    rest = exchange.client
    for number, request in zip(numbers, requests):
        expected = answer_to(number, read_request_head(request))
        fields = parse_fields(rest[:rest.find(b"\r\n\r\n") + 4])
        if b"connection" in fields:  # what yoke says of its own connection
            expected = expected.replace(b"\r\n\r\n", b"\r\nConnection: %s\r\n\r\n"
                                        % fields[b"connection"], 1)
        if not rest.startswith(expected):
            raise Failed(f"the client got {show(rest)} instead of {show(expected)}")
        rest = rest[len(expected):]
    return rest


def require_error(rest, status):
    """One answer of yoke's own and nothing else."""
    match = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n.*?\r\n\r\n(.*)", rest, re.S)
    if not match or (status and int(match[1]) != status) or int(match[1]) < 200:
        raise Failed(f"the client got {show(rest)} instead of an answer {status or ''}")
    fields = parse_fields(rest[:rest.find(b"\r\n\r\n") + 4])
    if len(match[2]) != int(fields[b"content-length"]) or fields.get(b"connection") != b"close":
        raise Failed(f"the client got {show(rest)}")


def require_less_than_a_request(seen, head):
    """Nothing, or a beginning of `head` and what follows it, never a whole request."""
    stream = read_requests(seen)
    if stream.messages or stream.end not in ("cut", "refused", "all"):
        raise Failed(f"the target could take {show(seen)} for a request")
    if not (seen.startswith(head) or head.startswith(seen)):
        raise Failed(f"the target got {show(seen)} instead of a part of {show(head)}")


def require_outcome(exchange, outcome, first, n_before):
    kind, status, requests = outcome
    expected = ([first] if first else []) + list(requests if kind != "begun" else ())
    seen = exchange.target_bytes()
    together = b"".join(expected)
    if kind == "begun":
        if not seen.startswith(together):
            raise Failed(f"the target got {show(seen)}, not {show(together)} first")
        require_less_than_a_request(seen[len(together):], requests[0])
    elif seen != together:
        raise Failed(f"the target got {show(seen)} instead of {show(together)}")
    numbers = range(n_before + 1, n_before + 1 + len(expected))
    rest = take_answers(exchange, numbers, expected)
    if kind in ("refused", "then_refused", "answered") or (kind == "begun" and status):
        require_error(rest, status) if kind != "answered" else require_answer(rest, status)
    elif rest:
        raise Failed(f"the client got {show(rest)} besides")
    if len(read_requests(seen).messages) != len(expected):
        raise Failed(f"a strict reader finds other requests in {show(seen)}")


def require_answer(rest, status):
    if not rest.startswith(b"HTTP/1.1 %d " % status):
        raise Failed(f"the client got {show(rest)} instead of {status}")


def require_honest(rig, n):
    """Somebody else asks: exactly this reaches the target, and exactly its answer comes back."""
    path = HONEST + b"-%d" % n
    exchange = rig.ask(req(path))
    if exchange.target_bytes() != fwd(path):
        raise Failed(f"behind it the target got {show(exchange.target_bytes())}")
    if exchange.client != answer_to(rig.n_answers, read_request_head(fwd(path))):
        raise Failed(f"behind it somebody else got {show(exchange.client)}")


GOOD = req(b"/good")
FWD_GOOD = fwd(b"/good")
# How the bytes arrive: (name, what goes first, whether its answer is waited for, segments)
WAYS = [("at once", None, False, 1), ("in pieces", None, False, 20),
        ("behind a good request", GOOD, True, 1), ("pipelined", GOOD, False, 1)]


def try_request(rig, row, way):
    _, data, outcome = row
    _, first, waits, segments = way
    n_before = rig.n_answers
    if first and not waits:
        exchange = rig.ask(first + data)
    else:
        exchange = rig.ask(data, first=first, segments=segments)
    require_outcome(exchange, outcome, FWD_GOOD if first else None, n_before)
    require_honest(rig, n_before)


def try_all(kind, rows, ways, text, rig, attempt):
    """`attempt(rig, row, way)` each row in each way; returns the number of rows that failed."""
    names = collections.Counter(row[0] for row in rows)
    failed = [f"two rows are called {name!r}" for name, n in names.items() if n > 1]
    chosen = [row for row in rows if text in row[0]]
    try:
        for row in chosen:
            for way in ways:
                try:
                    attempt(rig, row, way)
                except (Failed, OSError) as e:
                    failed.append(f"{row[0]}, {way[0]}: {e}\n      by {show(row[-2], 300)}")
                    rig.recover()
                    break
    finally:
        problem = rig.close()
        if problem:
            failed.append(problem)
    for what in failed:
        print(f"FAILED {kind}: {what}")
    print(f"{kind}: {len(chosen)} shapes, each in {len(ways)} ways: {len(failed)} failed", flush=True)
    return len(failed)


def try_response(rig, row, way):
    _, method, data, outcome = row
    require_row(rig.reply(method, data, way[3]), method, outcome)


def run(text):
    return (try_all("requests", REQUESTS, WAYS, text, Rig(), try_request) +
            try_all("responses", RESPONSES, WAYS[:2], text, ResponseRig(), try_response))
