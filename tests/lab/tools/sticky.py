#!/usr/bin/env python3
"""Many clients with a memory. `learn FILE` gives each its first request and writes which backend it
got; `check FILE` lets each come again and prints {"cookie": {"clients", "kept", "failed", "moved"}, "source": ...}.
Cookie clients show their cookie, and remember a new one; source clients come from an address of
their own."""
import argparse
import json
import socket
import sys
import time


def request(target, source=None, cookie=None, timeout=1.0):
    """(status, body, cookie set or None); OSError when there was no answer."""
    text = f"GET /sticky HTTP/1.1\r\nHost: {target[0]}\r\nConnection: close\r\n"
    if cookie:
        text += f"Cookie: {cookie}\r\n"
    with socket.create_connection(target, timeout, (source, 0) if source else None) as sock:
        sock.sendall((text + "\r\n").encode())
        got = b""
        while True:
            data = sock.recv(65536)
            if not data:
                break
            got += data
    head, _, body = got.decode("latin-1").partition("\r\n\r\n")
    lines = head.split("\r\n")
    if len(lines[0].split(" ")) < 2:
        raise ConnectionError("closed without a response")
    given = None
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "set-cookie":
            given = value.strip().split(";")[0]
    return int(lines[0].split(" ")[1]), body.strip(), given


def patient_request(deadline, *args, **options):
    """As a person does: again until it works."""
    while True:
        try:
            status, body, given = request(*args, **options)
            if status == 200:
                return body, given
        except OSError:
            pass
        if time.monotonic() > deadline:
            return None, None
        time.sleep(0.02)


def learn(args):
    clients = {"cookie": [], "source": []}
    deadline = time.monotonic() + args.patience
    for _ in range(args.cookies):
        body, given = patient_request(deadline, (args.host, args.cookie_port))
        clients["cookie"].append({"backend": body, "cookie": given})
    for address in args.sources:
        body, _ = patient_request(deadline, (args.host, args.source_port), source=address)
        clients["source"].append({"backend": body, "address": address})
    with open(args.file, "w", encoding="ascii") as file:
        json.dump(clients, file)
    return {kind: {"clients": len(rows), "failed": sum(not r["backend"] for r in rows),
                   "without_cookie": sum(kind == "cookie" and not r["cookie"] for r in rows),
                   "backends": sorted({r["backend"] or "" for r in rows})}
            for kind, rows in clients.items()}


def check(args):
    with open(args.file, encoding="ascii") as file:
        clients = json.load(file)
    deadline = time.monotonic() + args.patience
    out = {}
    for kind, rows in clients.items():
        count = {"clients": len(rows), "kept": 0, "moved": 0, "failed": 0, "new_cookie": 0}
        for row in rows:
            if kind == "cookie":
                body, given = patient_request(deadline, (args.host, args.cookie_port),
                                              cookie=row["cookie"])
                count["new_cookie"] += bool(given)
                row["cookie"] = given or row["cookie"]
            else:
                body, _ = patient_request(deadline, (args.host, args.source_port),
                                          source=row["address"])
            count["failed" if not body else "kept" if body == row["backend"] else "moved"] += 1
        out[kind] = count
    with open(args.file, "w", encoding="ascii") as file:
        json.dump(clients, file)
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["learn", "check"])
    parser.add_argument("file")
    parser.add_argument("host")
    parser.add_argument("--cookie-port", type=int, default=80)
    parser.add_argument("--source-port", type=int, default=81)
    parser.add_argument("--cookies", type=int, default=100)
    parser.add_argument("--sources", nargs="*", default=[])
    parser.add_argument("--patience", type=float, default=10)
    args = parser.parse_args()
    print(json.dumps((learn if args.verb == "learn" else check)(args)))


if __name__ == "__main__":
    sys.exit(main())
