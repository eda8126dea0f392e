#!/usr/bin/env python3
"""storm.py HOST PORT SECONDS: connections as fast as they are accepted, each with one request, for a
limited time. Prints how many were answered."""
import os
import select
import socket
import struct
import sys
import time

AT_ONCE = 64
REQUEST = b"GET / HTTP/1.1\r\nHost: storm\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


def begin(epoll, host, port):
    sock = socket.socket()
    sock.setblocking(False)
    # No port is left in TIME_WAIT.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.connect_ex((host, port))
    epoll.register(sock, select.EPOLLOUT)
    return sock


def blow(host, port, seconds):
    end, answered = time.monotonic() + seconds, 0
    epoll, socks = select.epoll(), {}
    for _ in range(AT_ONCE):
        sock = begin(epoll, host, port)
        socks[sock.fileno()] = sock
    while time.monotonic() < end:
        for fd, events in epoll.poll(0.1):
            try:
                if events == select.EPOLLOUT:
                    socks[fd].send(REQUEST)
                    epoll.modify(fd, select.EPOLLIN)
                    continue
                answered += socks[fd].recv(4096).startswith(b"HTTP/1.1 200 ")
            except OSError:
                pass
            socks.pop(fd).close()
            sock = begin(epoll, host, port)
            socks[sock.fileno()] = sock
    return answered


def main(host, port, seconds):
    ends = []
    for _ in range(os.cpu_count() or 1):
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, b"%d" % blow(host, port, seconds))
            os._exit(0)
        os.close(writer)
        ends.append(reader)
    print(sum(int(os.read(end, 20) or 0) for end in ends))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
