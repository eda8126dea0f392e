#!/usr/bin/env python3
"""HOST PORT SOURCE...: at a line of standard input a connection from each source with a request. Prints {"waits": 0},
then {"ready": how many are connected}, and at the end of its input {"answered": how many were}."""
import json
import select
import socket
import sys

REQUEST = b"GET / HTTP/1.1\r\nHost: late\r\n\r\n"


def is_answered(sock):
    try:
        return sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def main(host, port, *sources):
    socks, ready = [], 0
    print(json.dumps({"waits": 0}), flush=True)
    sys.stdin.readline()
    for source in sources:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)
        sock.bind((source, 0))
        sock.connect_ex((host, int(port)))
        socks.append(sock)
    for sock in socks:
        if select.select([], [sock], [], 0.1)[1] and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            sock.send(REQUEST)
            ready += 1
    print(json.dumps({"ready": ready}), flush=True)
    sys.stdin.read()
    print(json.dumps({"answered": sum(map(is_answered, socks))}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
