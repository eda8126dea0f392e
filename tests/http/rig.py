"""yoked between one client and one target that records every byte: one exchange at a time, driven by
one thread. Nothing is interpreted by the client; the target answers what strict.py takes for a
request, with a response that says which one it was.
"""
import os
import select
import socket

from harness import STEP_TIMEOUT, Failed, Yoke, consumed, sanitizer_complained, show
from strict import read_requests


class Exchange:
    """What was seen of one: the client's bytes and how its connection ended ("fin", "reset"), the
    target's bytes in the order in which they came, by connection."""

    def __init__(self):
        self.client, self.end = b"", None
        self.target = []  # [number of the connection, bytes]

    def target_bytes(self):
        return b"".join(data for _, data in self.target)


class TargetConnection:
    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.said = b""  # since the last request that was answered
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def answer_to(number, request):
    body = b"answer %d" % number
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head if request.method == b"HEAD" else head + body


def pieces(data, n):
    """At most n, as long as each other."""
    size = max(1, -(-len(data) // n))
    return [data[i:i + size] for i in range(0, len(data), size)]


class Rig:
    """`respond(connection, data)`: when set, it plays the target instead of answer_to."""

    def __init__(self, listener=None, pool=None):
        pid = os.getpid()
        self.address = f"127.{16 + (pid >> 8) % 200}.{pid & 255}.1"
        self.listening = socket.socket()
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen(64)
        self.target_port = self.listening.getsockname()[1]
        self.respond = None
        self.connections, self.n_connections, self.n_answers = {}, 0, 0
        self.poll = select.poll()
        self.poll.register(self.listening, select.POLLIN)
        self.yoke = Yoke({
            "workers": 1, "shutdown_timeout": "2s",
            "listeners": {"a": {"bind": f"{self.address}:10000", "pool": "a", **(listener or {})}},
            "pools": {"a": {"targets": [f"127.0.0.1:{self.target_port}"], "retries": 0,
                            **(pool or {})}}})
        try:
            self.yoke.wait_ready()
        except Failed:
            self.close()
            raise

    def close(self):
        """Returns what is wrong with how yoked ended, or None."""
        self.listening.close()
        for connection in self.connections.values():
            connection.sock.close()
        log = self.yoke.log()
        return self.yoke.stop() or (log if sanitizer_complained(log) else None)

    def connect(self):
        sock = socket.create_connection((self.address, 10000), STEP_TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    # the target

    def accept(self):
        sock = self.listening.accept()[0]
        self.n_connections += 1
        self.connections[sock.fileno()] = TargetConnection(sock, self.n_connections)
        self.poll.register(sock, select.POLLIN)

    def drop(self, connection):
        self.poll.unregister(connection.sock)
        del self.connections[connection.sock.fileno()]
        connection.sock.close()

    def answer(self, connection):
        """As a target does that reads strictly: one request after the other."""
        stream = read_requests(connection.said)
        for request in stream.messages:
            self.n_answers += 1
            connection.sock.sendall(answer_to(self.n_answers, request))
            connection.said = connection.said[request.size:]

    def target_readable(self, connection, exchange):
        try:
            data = connection.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.drop(connection)
            return
        connection.said += data
        exchange.target.append([connection.number, data])
        try:
            if self.respond:
                self.respond(connection, data)
            else:
                self.answer(connection)
        except OSError:
            pass  # yoke has closed it: the next read says so

    def turn(self, exchange, client=None, timeout=None):
        """Handles what is there; False if nothing was within `timeout` seconds."""
        timeout = STEP_TIMEOUT if timeout is None else timeout
        events = self.poll.poll(timeout * 1000)
        for fd, _ in events:
            if fd == self.listening.fileno():
                self.accept()
            elif fd in self.connections:
                self.target_readable(self.connections[fd], exchange)
            elif client and fd == client.fileno():
                self.client_readable(client, exchange)
        return bool(events)

    def recover(self):
        """After a failure: whatever goes on is broken off."""
        for connection in list(self.connections.values()):
            self.drop(connection)
        while self.turn(Exchange(), timeout=0.2):
            pass

    # the client

    def client_readable(self, client, exchange):
        try:
            data = client.recv(65536)
            exchange.end = exchange.end or (None if data else "fin")
        except ConnectionResetError:
            data, exchange.end = b"", "reset"
        exchange.client += data

    def send(self, client, segments):
        try:
            for segment in segments:
                client.sendall(segment)
                if len(segments) > 1 and not consumed(client):
                    return
        except OSError:
            pass  # closed early: what there is to read says why

    def wait(self, client, exchange, until):
        while not exchange.end and not until():
            if not self.turn(exchange, client):
                raise Failed(f"nothing happened in {STEP_TIMEOUT:g} s; the client got "
                             f"{show(exchange.client)}, the target {show(exchange.target_bytes())}")

    def ask(self, data, first=None, segments=1):
        """A client sends `data` in so many segments, then FIN, and reads to the end. `first` goes
        before it, and its answer is waited for. Nothing may have come meanwhile that belongs to an
        exchange before."""
        exchange = Exchange()
        self.turn(exchange, timeout=0)
        if exchange.target:
            raise Failed(f"behind the end the target got {show(exchange.target_bytes())}")
        for connection in self.connections.values():
            connection.said = b""
        client = self.connect()
        self.poll.register(client, select.POLLIN)
        try:
            if first:
                self.send(client, [first])
                self.wait(client, exchange, lambda: b"\r\n\r\nanswer" in exchange.client)
            self.send(client, pieces(data, segments))
            try:
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            self.wait(client, exchange, lambda: False)
        finally:
            self.poll.unregister(client)
            client.close()
        while self.turn(exchange, timeout=0):
            pass
        return exchange
