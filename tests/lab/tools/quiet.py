#!/usr/bin/env python3
"""Connections that say nothing for long: opens one for each PORT, uses it once (`http:HOST:PORT`, or `echo:...`) and
prints {"ready": N}. For each line of standard input it uses all of them again, and prints a line of what
became of each: {"asked": K, "became": ["ok" or why not, ...], "ms": the slowest}. Ends with its input."""
import argparse
import json
import socket
import sys
import time

from hold import echo_exchange, http_exchange

EXCHANGES = {"http": http_exchange, "echo": echo_exchange}


def use(kind, sock, host):
    begun = time.monotonic()
    try:
        EXCHANGES[kind](sock, host)
        became = "ok"
    except ConnectionResetError:
        became = "reset"
    except OSError as error:
        became = str(error)
    return became, 1000 * (time.monotonic() - begun)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("where", nargs="+")
    parser.add_argument("--timeout", type=float, default=5)
    args = parser.parse_args()
    socks = []
    for where in args.where:
        kind, host, port = where.split(":")
        sock = socket.create_connection((host, int(port)), args.timeout)
        sock.settimeout(args.timeout)
        EXCHANGES[kind](sock, host)
        socks.append((kind, sock, host))
    print(json.dumps({"ready": len(socks)}), flush=True)
    for asked, _ in enumerate(sys.stdin, 1):
        became = [use(*one) for one in socks]
        print(json.dumps({"asked": asked, "became": [word for word, _ in became],
                          "ms": max(ms for _, ms in became)}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
