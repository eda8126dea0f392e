#!/usr/bin/env python3
"""deafen.py PID PORT: no loop of the process hears any more of connections to its listening sockets
of that TCP port, as if it had lost them: the kernel takes connections in, nobody accepts them, and
everything else goes on. Prints how many watches were taken away."""
import ctypes
import fcntl
import os
import select
import sys

PIDFD_OPEN, PIDFD_GETFD = 434, 438
libc = ctypes.CDLL(None, use_errno=True)


def call(*words):
    got = libc.syscall(*words)
    if got < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return got


def listening_inodes(pid, port):
    found = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            for row in list(file)[1:]:
                words = row.split()
                if words[3] == "0A" and int(words[1].rsplit(":", 1)[1], 16) == port:
                    found.add(f"socket:[{words[9]}]")
    return found


def descriptors(pid):
    """{descriptor: what it is}"""
    return {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}


def watched(pid, epoll):
    with open(f"/proc/{pid}/fdinfo/{epoll}", encoding="ascii") as file:
        return {int(line.split()[1]) for line in file if line.startswith("tfd:")}


def main(pid, port):
    sockets, taken = listening_inodes(pid, port), 0
    fds = descriptors(pid)
    pidfd = call(PIDFD_OPEN, pid, 0)
    for epoll in [fd for fd, what in fds.items() if what == "anon_inode:[eventpoll]"]:
        # Our copies: the loop's far above, the socket's by the number under which it is watched.
        loop = fcntl.fcntl(call(PIDFD_GETFD, pidfd, epoll, 0), fcntl.F_DUPFD, 10000)
        for fd in [fd for fd in watched(pid, epoll) if fds.get(fd) in sockets]:
            copy = call(PIDFD_GETFD, pidfd, fd, 0)
            if copy != fd:
                os.dup2(copy, fd)
            select.epoll.fromfd(loop).unregister(fd)
            taken += 1
    print(taken)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
