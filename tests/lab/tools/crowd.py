#!/usr/bin/env python3
"""Clients of each kind of stickiness, with a memory: what names them, and which web server they met.

    learn FILE HOST KIND=PORT...   --clients N new ones of each kind, written to FILE
    check FILE HOST KIND=PORT...   they come again: {kind: {"clients", "kept", "moved", "failed"}}
    ask FILE HOST KIND=PORT        the same as a list of whom they met now
    logins - HOST KIND=PORT        new ones, --rate a second, for ever: a line for each answer

A cookie of yoke's is "cookie"; "app_cookie" and "token" get their names from the web server's /login;
"header" brings one of its own, and "source" comes from an address of its own."""
import argparse
import json
import os
import socket
import sys
import threading
import time

THREADS = 16
FIRST_SOURCE = (10 << 24) + (9 << 16)
LEARNED = {"cookie": ("set-cookie", "YOKE=", "Cookie: "), "app_cookie": ("set-cookie", "SID=", "Cookie: "),
           "token": ("x-new-token", "", "X-Token: ")}


def address(number):
    return socket.inet_ntoa(int.to_bytes(FIRST_SOURCE + number, 4, "big"))


def newcomer(kind, number):
    """What a client of this kind is before its first request."""
    if kind == "source":
        return {"address": address(number)}
    return {"field": f"X-User: user {number}"} if kind == "header" else {}


def request(target, row, path, timeout=1.0):
    """(head's lines, body); OSError when there was no answer."""
    text = f"GET {path} HTTP/1.1\r\nHost: {target[0]}\r\nConnection: close\r\n"
    if row.get("field"):
        text += row["field"] + "\r\n"
    source = (row["address"], 0) if row.get("address") else None
    with socket.create_connection(target, timeout, source) as sock:
        sock.sendall((text + "\r\n").encode())
        got = b""
        while data := sock.recv(65536):
            got += data
    head, _, body = got.decode("latin-1").partition("\r\n\r\n")
    lines = head.split("\r\n")
    if lines[0].split(" ")[1:2] != ["200"]:
        raise ConnectionError(lines[0])
    return lines[1:], body.strip()


def learned_field(kind, lines):
    """What the client brings from now on, if this response tells it."""
    name, begin, wanted = LEARNED[kind]
    for line in lines:
        key, _, value = line.partition(":")
        if key.lower() == name and value.strip().startswith(begin):
            return wanted + value.strip().split(";")[0]
    return None


def visit(deadline, host, kind, port, row, path="/sticky"):
    """The client's request, as a person makes it: again until it works. Whom it met, or None."""
    while True:
        try:
            lines, body = request((host, port), row, path)
            if kind in LEARNED:
                row["field"] = learned_field(kind, lines) or row.get("field")
            return body
        except OSError:
            if time.monotonic() > deadline:
                return None
            time.sleep(0.02)


def begin(deadline, host, kind, port, number):
    row = newcomer(kind, number)
    path = "/login" if kind in ("app_cookie", "token") else "/sticky"
    row["met"] = visit(deadline, host, kind, port, row, path)
    return row


def write(path, clients):
    with open(path, "w", encoding="ascii") as file:
        json.dump(clients, file)


def read(path):
    with open(path, encoding="ascii") as file:
        return json.load(file)


def learn(args, deadline):
    clients = {kind: [begin(deadline, args.host, kind, port, args.first + n)
                      for n in range(args.clients)] for kind, port in args.kinds}
    write(args.file, clients)
    met = {kind: [row["met"] for row in rows] for kind, rows in clients.items()}
    return {kind: {name or "nobody": names.count(name) for name in sorted(set(names), key=str)}
            for kind, names in met.items()}


def check(args, deadline):
    clients, out = read(args.file), {}
    for kind, port in args.kinds:
        count = out[kind] = {"clients": len(clients[kind]), "kept": 0, "moved": 0, "failed": 0}
        for row in clients[kind]:
            met = visit(deadline, args.host, kind, port, row)
            count["failed" if not met else "kept" if met == row["met"] else "moved"] += 1
            row["met"] = met or row["met"]
    write(args.file, clients)
    return out


def ask(args, deadline):
    [(kind, port)] = args.kinds
    return [visit(deadline, args.host, kind, port, row) for row in read(args.file)[kind]]


def log_in(args, number, step):
    """Every `step`th of the logins, so that they do not wait for each other."""
    [(kind, port)] = args.kinds
    due = time.monotonic() + number / args.rate
    while True:
        time.sleep(max(0, due - time.monotonic()))
        begun = time.monotonic()
        row = begin(begun + 0.5, args.host, kind, port, number)
        now = time.monotonic()
        if row["met"]:
            # One call: lines of several threads do not mix.
            os.write(1, f"{now} {now - begun} {number} {row['met']} {row['field']}\n".encode())
        number += step
        due = max(due + step / args.rate, now)


def logins(args):
    threads = [threading.Thread(target=log_in, args=(args, n, THREADS)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    threads[0].join()


def kind_and_port(text):
    kind, _, port = text.partition("=")
    return kind, int(port)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["learn", "check", "ask", "logins"])
    parser.add_argument("file")
    parser.add_argument("host")
    parser.add_argument("kinds", nargs="+", type=kind_and_port)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="number of the first one: others are others")
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--patience", type=float, default=10)
    args = parser.parse_args()
    if args.verb == "logins":
        logins(args)
    verb = {"learn": learn, "check": check, "ask": ask}[args.verb]
    print(json.dumps(verb(args, time.monotonic() + args.patience)))


if __name__ == "__main__":
    sys.exit(main())
