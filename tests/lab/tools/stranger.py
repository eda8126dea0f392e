#!/usr/bin/env python3
"""Connections to a port that is not for us, in turn of every kind: silent, garbage, half of a TLS
hello, a whole one, and closed at once. At most --rate a second, --open at a time and --count in all,
until stdin is closed. Prints, now and then and at the end, {"begun", "ended", "answers": {hex: times}}:
what was said to us before the end."""
import argparse
import json
import os
import select
import socket
import ssl
import sys
import time


def hello():
    """What a client of TLS 1.3 says first."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


class Stranger:
    def __init__(self, target, words):
        self.heard, self.words, self.since = b"", words, time.monotonic()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex(target)

    def speak(self):
        """Once, when connected. False: that was all."""
        if self.words is None:
            return False
        self.sock.send(self.words)
        self.words = b""
        return True

    def listen(self):
        """False: it has ended."""
        data = self.sock.recv(65536)
        self.heard += data
        return bool(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--rate", type=float, default=200)
    parser.add_argument("--open", type=int, default=50)
    parser.add_argument("--count", type=int, default=4000)
    args = parser.parse_args()
    kinds = [b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(300), hello()[:100], hello(), None]
    strangers, answers, begun, ended = {}, {}, 0, 0
    begin = told = time.monotonic()
    poll = select.poll()
    poll.register(0, select.POLLIN)

    def tell():
        print(json.dumps({"begun": begun, "ended": ended, "answers": answers}), flush=True)

    def end(fd):
        nonlocal ended
        poll.unregister(fd)
        stranger = strangers.pop(fd)
        stranger.sock.close()
        heard = stranger.heard.hex()
        answers[heard] = answers.get(heard, 0) + 1
        ended += 1

    while True:
        now = time.monotonic()
        if len(strangers) < args.open and begun < args.count and begun < (now - begin) * args.rate:
            stranger = Stranger((args.host, args.port), kinds[begun % len(kinds)])
            strangers[stranger.sock.fileno()] = stranger
            poll.register(stranger.sock, select.POLLOUT)
            begun += 1
        for fd, events in poll.poll(1000 / args.rate):
            if fd == 0:
                tell()
                return
            try:
                if events & select.POLLOUT:
                    poll.modify(fd, select.POLLIN)
                    goes_on = strangers[fd].speak()
                else:
                    goes_on = strangers[fd].listen()
            except OSError:
                goes_on = False
            if not goes_on:
                end(fd)
        for fd in [fd for fd, stranger in strangers.items() if now - stranger.since > 5]:
            end(fd)
        if now - told > 0.1:
            told = now
            tell()


if __name__ == "__main__":
    sys.exit(main())
