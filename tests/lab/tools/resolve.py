#!/usr/bin/env python3
"""Asks a name server from each of several addresses, one after the other, as a resolver does: again
after SECONDS without an answer. resolve.py SERVER PORT NAME TRIES SECONDS SOURCE... prints
{source: address} as JSON, with null where no answer came."""
import json
import os
import socket
import struct
import sys


def question(name):
    labels = b"".join(bytes([len(x)]) + x for x in name.encode().split(b"."))
    return os.urandom(2) + struct.pack("!5H", 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def resolve(server, port, name, tries, timeout, source):
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.connect((server, port))
        sock.settimeout(timeout)
        for _ in range(tries):
            query = question(name)
            sock.send(query)
            try:
                response = sock.recv(512)
            except (TimeoutError, ConnectionRefusedError):
                continue
            if response[:2] == query[:2] and response[3] & 15 == 0:
                return socket.inet_ntoa(response[-4:])
    return None


how = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
print(json.dumps({source: resolve(*how, source) for source in sys.argv[6:]}))
