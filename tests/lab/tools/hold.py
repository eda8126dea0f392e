#!/usr/bin/env python3
"""Connections that stay: opens N at once and uses each every few milliseconds until its standard
input ends. A connection that breaks is not opened again. Prints {"ready": N} when all are open and
used once, and at the end {"exchanges", "broken": [[time, connection, why], ...]}."""
import argparse
import json
import select
import socket
import sys
import time


def http_exchange(sock, host):
    sock.sendall(f"GET /hold HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    got = b""
    while True:
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("closed by the other side")
        got += data
        head, end, body = got.partition(b"\r\n\r\n")
        if not end:
            continue
        lines = head.lower().split(b"\r\n")
        length = next((int(l.split(b":")[1]) for l in lines if l.startswith(b"content-length:")), 0)
        if len(body) < length:
            continue
        if lines[0].split()[1] != b"200":
            raise ConnectionError("status " + lines[0].split()[1].decode())
        if b"connection: close" in lines:
            raise ConnectionError("the response says Connection: close")
        return


def echo_exchange(sock, _host):
    want = b"%d\n" % time.monotonic_ns()
    sock.sendall(want)
    got = b""
    # The echo server greets with a line of its own.
    while not got.endswith(want):
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("closed by the other side")
        got += data


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["http", "echo"])
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--interval-ms", type=float, default=10)
    args = parser.parse_args()
    exchange = http_exchange if args.kind == "http" else echo_exchange
    socks = {}
    for i in range(args.connections):
        socks[i] = socket.create_connection((args.host, args.port), 2)
        socks[i].settimeout(2)
    exchanges, broken, ready, more = 0, [], False, True
    while more:
        for i, sock in list(socks.items()):
            try:
                exchange(sock, args.host)
                exchanges += 1
            except OSError as error:
                broken.append([time.monotonic(), i, str(error)])
                sock.close()
                del socks[i]
        if not ready:
            ready = True
            print(json.dumps({"ready": len(socks)}), flush=True)
        if select.select([sys.stdin], [], [], args.interval_ms / 1000)[0]:
            more = False
    print(json.dumps({"exchanges": exchanges, "broken": broken}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
