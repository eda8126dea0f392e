"""UDP cases: the verbs send, gets, sees, answer, leave and untouched mean single datagrams, and a
name of a connection means the address that yoke sends from: a new name must be a new one, a name
that was used the same one again."""
import select
import socket

from harness import Case, Failed, Run, do, show, step, wait_readable

ANY = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def bound(family=socket.AF_INET, host=None, port=0):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host or ANY[family], port))
    return sock


def free_port(family, host):
    with bound(family, host) as sock:
        return sock.getsockname()[1]


def url(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Socket:
    """A UDP socket, and the datagrams on it that no step has asked for yet."""

    def __init__(self, sock, what):
        self.sock, self.what, self.ahead = sock, what, []
        sock.setblocking(False)

    def take(self, expected):
        """The next datagram, which must be this one; the address that it came from."""
        if not self.ahead:
            wait_readable(self.sock, f"{self.what}: {show(expected)}")
            self.ahead.append(self.receive())
        data, peer = self.ahead.pop(0)
        if data != expected:
            raise Failed(f"{self.what}: expected {show(expected)}\n      got      {show(data)}")
        return peer

    def receive(self):
        try:
            return self.sock.recvfrom(1 << 16)
        except OSError as error:
            raise Failed(f"{self.what}: {error}") from error

    def pending(self):
        while self.sock.fileno() >= 0 and select.select([self.sock], [], [], 0)[0]:
            self.ahead.append(self.receive())
        return self.ahead

    def close(self):
        self.sock.close()


class DatagramTarget(Socket):
    """A backend. One that is dead has its port, but takes nothing: the kernel says so by ICMP. With
    `checked`, a health check by TCP finds it."""

    def __init__(self, number, family, dead, checked):
        self.family, self.peers = family, {}
        super().__init__(bound(family), f"target {number}")
        self.tcp = self.beside() if checked else None
        self.port = self.sock.getsockname()[1]
        if dead:
            self.stop_listening()

    def beside(self):
        """Listens for health checks at the same port, or, where somebody has it, at another one."""
        for _ in range(20):
            try:  # nobody accepts
                return socket.create_server(self.sock.getsockname()[:2], family=self.family,
                                            backlog=4096)
            except OSError:
                self.sock.close()
                self.sock = bound(self.family)
                self.sock.setblocking(False)
        raise Failed("no port that is free for UDP and TCP")

    def stop_listening(self):
        """A connected socket takes nothing of others."""
        self.sock.connect((ANY[self.family], 1))

    def listen(self):
        self.sock.close()
        self.sock = bound(self.family, None, self.port)
        self.sock.setblocking(False)

    def end_check(self):
        self.tcp.close()

    def close(self):
        super().close()
        if self.tcp:
            self.tcp.close()


class DatagramRun(Run):
    def make_targets(self):
        checked = "health" in self.case.pool
        return [DatagramTarget(i, self.case.target_family, i in self.case.dead, checked)
                for i in range(self.case.n_targets)]

    def config(self):
        listener, pools = super().config()
        host = self.case.host or self.address
        if self.case.host:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.port_there = free_port(family, host)
        else:
            self.port_there = self.port
        listener["bind"] = url(host, self.port_there)
        pools[self.name()]["targets"] = [
            {"address": url(ANY[t.family], t.port), **self.case.target} for t in self.targets]
        return listener, pools

    def client(self, c, source=None, to=None):
        if c not in self.clients:
            to = to or self.case.host or self.address
            sock = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET,
                                 socket.SOCK_DGRAM)
            if source:
                sock.bind((source, 0))
            # Connected: what comes from another address than the one asked is not seen.
            sock.connect((to, self.port_there))
            self.clients[c] = Socket(sock, f"client {c}")
        return self.clients[c]

    def do_send(self, data, c, source, to=None):
        self.client(c, source, to).sock.send(data)

    def do_gets(self, data, c):
        self.client(c).take(data)

    def do_sees(self, data, b, t):
        target = self.targets[t]
        peer = target.take(data)
        if b not in self.backends:
            if peer in target.peers:
                raise Failed(f"target {t}: {b} is not new: it comes from where "
                             f"{target.peers[peer]} came from")
            self.backends[b], target.peers[peer] = (target, peer), b
        elif self.backends[b] != (target, peer):
            raise Failed(f"target {t}: it comes from {peer}, not from {b}")

    def do_answer(self, data, b):
        target, peer = self.backends[b]
        target.sock.sendto(data, peer)

    def do_leave(self, c, reset):
        self.clients.pop(c).close()

    def do_untouched(self, t):
        if self.targets[t].pending():
            raise Failed(f"target {t} got {show(self.targets[t].ahead[0][0])}")

    def ends(self):
        return [*self.clients.values(), *self.targets]

    def close(self):
        for end in self.clients.values():
            end.close()

    def close_targets(self):
        for target in self.targets:
            target.close()


class UdpCase(Case):
    """`host`: where the listener binds, instead of an address of the group's own."""
    run_class = DatagramRun

    def __init__(self, name, *steps, host=None, target_family=socket.AF_INET, listener=None, **kw):
        super().__init__(name, *steps, listener={"mode": "udp", **(listener or {})}, **kw)
        self.host, self.target_family = host, target_family


def send_to(to, data, c="c"):
    return step("send", data=data, c=c, source=None, to=to)


def burst(n, c="c", size=100):
    """The client sends `n` numbered datagrams at once."""
    return do(lambda run: [run.client(c).sock.send(b"%d" % i + b"." * size) for i in range(n)])


def sees_burst(n, b="b", t=0, size=100):
    return [step("sees", data=b"%d" % i + b"." * size, b=b, t=t) for i in range(n)]


def remember(metric):
    def look(run):
        run.saved[metric] = run.yoke.metric(metric)
    return do(look)


def grew(metric, by=1):
    """Waits until the metric is `by` more than remembered."""
    return do(lambda run: run.yoke.wait_metric(metric, run.saved[metric] + by))


def connections(index, n):
    """Waits until the Admin API shows so many sessions of a target."""
    def look(run):
        def read():
            return run.yoke.target(run.name(), index)["connections"]
        run.yoke.wait_for(lambda: read() == n, lambda: f"target {index} has {read()}, not {n}")
    return do(look)


def stranger_sends(data, b):
    """Somebody else than the target sends to where yoke waits for its answers."""
    def send(run):
        target, peer = run.backends[b]
        with bound(target.family) as sock:
            sock.sendto(data, peer)
    return do(send)
