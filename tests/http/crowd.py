"""A crowd of connections that ask for nothing, and a fast client beside it."""
import fcntl
import resource
import socket
import time

from harness import End, Failed

SELECT_MAX = 1024  # select() takes smaller descriptors only: those are for who is waited for
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def allow_descriptors(n):
    """For this process, which holds the other ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < n:
        raise Failed(f"this test needs {n} descriptors, and may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, n), hard))


class Crowd:
    def __init__(self, address, port):
        self.to, self.socks = (address, port), []

    def grow(self, n, say=b""):
        for _ in range(n):
            with socket.create_connection(self.to, 20) as low:
                sock = socket.socket(fileno=fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, SELECT_MAX))
            if say:
                sock.sendall(say)
            sock.setblocking(False)
            self.socks.append(sock)

    def still_there(self):
        """How many have not been closed or reset; what they were told is thrown away."""
        n = 0
        for sock in self.socks:
            try:
                while data := sock.recv(65536):
                    pass
                n += data is None
            except BlockingIOError:
                n += 1
            except OSError:
                pass
        return n

    def leave(self):
        for sock in self.socks:
            sock.close()
        self.socks = []


class FastClient:
    """Requests on one connection, and each on a connection of its own; all must be answered."""

    def __init__(self, address, port, request):
        self.to, self.request = (address, port), request
        self.kept, self.served, self.times_s = self.connect(), 0, []

    def connect(self):
        return End(socket.create_connection(self.to, 20), "the fast client")

    def ask(self, end):
        began = time.monotonic()
        end.send(self.request)
        end.require(ANSWER)
        self.times_s.append(time.monotonic() - began)
        self.served += 1

    def ask_both(self):
        self.ask(self.kept)
        end = self.connect()
        self.ask(end)
        end.close()

    def close(self):
        self.kept.close()
