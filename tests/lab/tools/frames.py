#!/usr/bin/env python3
"""Sends frames as they are: INTERFACE HEX..."""
import socket
import sys

with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
    sock.bind((sys.argv[1], 0))
    for text in sys.argv[2:]:
        sock.send(bytes.fromhex(text))
