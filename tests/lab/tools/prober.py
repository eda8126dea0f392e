#!/usr/bin/env python3
"""A client that never stops: a new connection and one request every few milliseconds, whatever
becomes of the earlier ones. Runs until its standard input ends, then writes one JSON line:
{"requests": [[start, end, status or null, backend, error], ...]}, times of CLOCK_MONOTONIC.
Before that, a line {"ok": n, "failed": n} every 200 ms."""
import argparse
import errno
import json
import os
import selectors
import socket
import sys
import time


class Request:
    """One connection, one request, one verdict."""

    def __init__(self, target, text, now):
        self.start, self.end, self.status, self.error = now, None, None, ""
        self.text, self.got, self.sent = text, b"", False
        self.sock = socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET)
        self.sock.setblocking(False)
        code = self.sock.connect_ex(target)
        if code not in (0, errno.EINPROGRESS):
            self.finish(now, os.strerror(code))

    def finish(self, now, error=""):
        self.end, self.error = now, error
        self.sock.close()

    def events(self):
        return selectors.EVENT_READ if self.sent else selectors.EVENT_WRITE

    def turn(self, now):
        """The socket is ready: true when there is more to do."""
        try:
            if not self.sent:
                code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code:
                    raise OSError(code, os.strerror(code))
                self.sock.send(self.text)
                self.sent = True
                return True
            data = self.sock.recv(65536)
        except BlockingIOError:
            return True
        except OSError as error:
            self.finish(now, error.strerror or str(error))
            return False
        self.got += data
        if data and not complete(self.got):
            return True
        self.judge(now)
        return False

    def judge(self, now):
        if not complete(self.got):
            self.finish(now, "closed before the response was complete")
            return
        self.status = int(self.got.split(b" ", 2)[1])
        self.finish(now, "" if self.status == 200 else f"status {self.status}")

    def row(self):
        body = self.got.partition(b"\r\n\r\n")[2].decode("latin-1").strip()
        backend = body if not self.error else ""
        return [self.start, self.end, self.status, backend, self.error]


def complete(got):
    head, end, body = got.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.lower().split(b"\r\n")[1:]:
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--interval-ms", type=float, default=4)
    # Below one second, so that a connection request that was lost is not mended by TCP's first
    # retransmission and hidden.
    parser.add_argument("--deadline-ms", type=float, default=900)
    args = parser.parse_args()
    host = f"[{args.host}]" if ":" in args.host else args.host
    text = f"GET /probe HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ, None)
    pending, rows, ok = [], [], 0
    next_start = next_report = time.monotonic()
    more = True
    while more or pending:
        now = time.monotonic()
        if more and now >= next_start:
            request = Request((args.host, args.port), text, now)
            # What could not be started in time is not made up for.
            next_start = max(next_start + args.interval_ms / 1000, now)
            pending.append(request)
            if request.end is None:
                selector.register(request.sock, request.events(), request)
        wait = max(0, next_start - time.monotonic()) if more else 0.01
        for key, _ in selector.select(wait):
            if key.data is None:
                if not os.read(0, 4096):
                    more = False
                    selector.unregister(0)
                continue
            request = key.data
            sock, was = request.sock, request.sent
            file = key.fd
            if request.turn(time.monotonic()):
                if request.sent != was:
                    selector.modify(sock, request.events(), request)
            else:
                forget(selector, file)
        now = time.monotonic()
        still = []
        for request in pending:
            if request.end is None and now - request.start > args.deadline_ms / 1000:
                selector.unregister(request.sock)
                request.finish(now, "no answer in time")
            if request.end is None:
                still.append(request)
            else:
                rows.append(request.row())
                ok += not request.error
        pending = still
        if now >= next_report:
            next_report = now + 0.2
            print(json.dumps({"ok": ok, "failed": len(rows) - ok}), flush=True)
    rows.sort()
    print(json.dumps({"requests": rows}), flush=True)


def forget(selector, file):
    """Unregister a socket that is closed already, by its number."""
    try:
        selector.unregister(file)
    except (KeyError, ValueError, OSError):
        pass


if __name__ == "__main__":
    sys.exit(main())
