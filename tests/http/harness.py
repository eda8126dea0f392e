"""Runs protocol cases through a real yoked: scripted clients on one side, scripted targets on the
other, both driven by one thread, step by step.

A case is data: a list of steps, each made by one of the verbs below. A step waits for
bytes, for a connection or for its end, at most STEP_TIMEOUT seconds. Each case
has a listener, a pool and target sockets of its own, so that cases do not meet; yoked runs one
worker, so that what is asked first is done first.
"""
import copy
import ctypes
import fcntl
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

STEP_TIMEOUT = float(os.environ.get("YOKE_STEP_TIMEOUT", "30"))
BIN_DIR = os.environ.get("YOKE_BIN_DIR", "build/release/bin")
# What yoke adds to requests.
XF = b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nVia: 1.1 yoke\r\n"


class Failed(Exception):
    """What a step found is not what the case says."""


# -- verbs ------------------------------------------------------------------------------------

def step(verb, **args):
    return verb, args


def send(data, c="c", source=None):
    """The client sends; its first step connects."""
    return step("send", data=data, c=c, source=source)


def turned_away(c="c"):
    """The client connects and is closed at once, however early."""
    return step("turned_away", c=c)


def drip(data, c="c"):
    """As send, each byte in a segment of its own, and each consumed before the next."""
    return step("drip", data=data, c=c)


def gets(data, c="c"):
    """The client receives exactly these bytes next."""
    return step("gets", data=data, c=c)


def gets_error(status, c="c", closed=True, body=True):
    """The client receives an answer of yoke's own, then (if so) the end of the connection."""
    return step("gets_error", status=status, c=c, closed=closed, body=body)


def gets_head(status, has=(), lacks=(), c="c", save=None):
    """The client receives a head with this status; fields are looked at one by one."""
    return step("gets_head", status=status, has=has, lacks=lacks, c=c, save=save)


def closed(c="c", reset=False):
    """The client sees the connection end (by RST if `reset` is True, either way if None)."""
    return step("closed", c=c, reset=reset)


def shut(c="c"):
    """The client sends FIN and stays."""
    return step("shut", c=c)


def leave(c="c", reset=False):
    """The client closes its connection."""
    return step("leave", c=c, reset=reset)


def sees(data, b="b", t=0):
    """Target `t` receives exactly these bytes next on its connection called `b`. A name that was
    not used before means a new connection, one that was used the same connection again."""
    return step("sees", data=data, b=b, t=t)


def answer(data, b="b"):
    return step("answer", data=data, b=b)


def answer_drip(data, b="b"):
    return step("answer_drip", data=data, b=b)


def hangup(b="b", reset=False):
    """The target closes the connection (with RST if `reset`)."""
    return step("hangup", b=b, reset=reset)


def half_close(b="b"):
    return step("half_close", b=b)


def released(b="b", reset=None):
    """The target sees yoke close the connection."""
    return step("released", b=b, reset=reset)


def untouched(t=0):
    """Nobody has connected to target `t` beyond the connections that have names."""
    return step("untouched", t=t)


def pause(seconds):
    """Lets time pass: only where time itself is what the case is about."""
    return step("pause", seconds=seconds)


def do(function):
    """Anything else: called with the running case."""
    return step("do", function=function)


class Case:
    """`targets`: how many; `dead`: indexes of those that refuse connections. `listener` and `pool`
    are merged into the configuration. With `routes`, each target is in a pool of its own, which the
    routes call "t0", "t1", ...; `default` is the listener's, or None."""
    run_class = None  # Run; of other transports, another one

    def __init__(self, name, *steps, targets=1, dead=(), listener=None, pool=None, target=None,
                 routes=None, default="t0"):
        self.name, self.steps = name, steps
        self.routes, self.default = routes, default
        self.n_targets, self.dead = targets, dead
        self.listener, self.pool, self.target = listener or {}, pool or {}, target or {}


def becomes(index, state):
    """Waits until the health checks say so."""
    return do(lambda run: run.yoke.wait_target(run.name(), index, state))


def reroute(routes, default="t0"):
    """A reload with other routes for this case."""
    def change(run):
        listener = run.yoke.config["listeners"][run.name()]
        listener.update(run.routing(routes, default))
        if default is None:
            listener.pop("pool", None)
        run.yoke.reload()
    return do(change)


def routed(name, requests):
    """`requests` (more) are counted for the route of that name or number since the last look."""
    def look(run):
        metric = f'yoke_route_requests_total{{listener="{run.name()}",route="{name}"}}'
        before = run.saved.get(metric, 0)
        run.saved[metric] = run.yoke.metric(metric)
        if run.saved[metric] != before + requests:
            raise Failed(f"{metric}: {run.saved[metric]:g}, not {before + requests:g}")
    return do(look)


def counted(name, more=1):
    """A counter of the whole process; `counted(name, None)` before is the first look."""
    def look(run):
        before, run.saved[name] = run.saved.get(name), run.yoke.metric(name)
        if more is not None and run.saved[name] != before + more:
            raise Failed(f"{name}: {run.saved[name]:g}, not {before + more:g}")
    return do(look)


def reload_with(change):
    """The configuration is changed by change(run, listeners, pools) and loaded."""
    def reload(run):
        run.yoke.reload(lambda config: change(run, config["listeners"], config["pools"]))
    return do(reload)


def rename(run, listeners, _):
    """For reload_with: the listener gets another name."""
    listeners[run.name() + "-renamed"] = listeners.pop(run.name())


def listen(index):
    return do(lambda run: run.targets[index].sock.listen(64))


def stop_listening(index):
    """The target's port refuses from now on; connections stay."""
    return do(lambda run: run.targets[index].stop_listening())


# -- sockets ----------------------------------------------------------------------------------

def wait_readable(sock, what):
    if not select.select([sock], [], [], STEP_TIMEOUT)[0]:
        raise Failed(f"nothing came in {STEP_TIMEOUT:g} s: {what}")


def consumed(sock):
    """Waits until the peer's kernel has acknowledged all that was sent; false if it never will."""
    deadline = time.monotonic() + STEP_TIMEOUT
    unsent = 1
    while unsent and time.monotonic() < deadline:
        if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 7:  # TCP_CLOSE: reset
            return False
        raw = fcntl.ioctl(sock, 0x5411, b"\0\0\0\0")  # SIOCOUTQ
        unsent = struct.unpack("i", raw)[0]
        os.sched_yield()
    return not unsent


def show(data, limit=700):
    if data is None:
        return "nothing"
    text = repr(data if len(data) <= limit else data[:limit])
    return text if len(data) <= limit else f"{text}... ({len(data)} bytes)"


class End:
    """One end of a TCP connection, and what came on it that no step has asked for yet."""

    def __init__(self, sock, what):
        self.sock, self.what = sock, what
        self.ahead = b""
        self.eof = None  # "fin" or "reset"
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self):
        """More bytes, or the end."""
        wait_readable(self.sock, f"{self.what} had {show(self.ahead)}")
        try:
            data = self.sock.recv(65536)
            if not data:
                self.eof = "fin"
        except ConnectionResetError:
            data, self.eof = b"", "reset"
        self.ahead += data

    def send(self, data):
        self.sock.settimeout(STEP_TIMEOUT)
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise Failed(f"{self.what} cannot send: {e}") from e

    def drip(self, data):
        for i in range(len(data)):
            self.send(data[i:i + 1])
            consumed(self.sock)

    def take(self, n):
        while len(self.ahead) < n and not self.eof:
            self.receive()
        taken, self.ahead = self.ahead[:n], self.ahead[n:]
        return taken

    def take_head(self):
        while b"\r\n\r\n" not in self.ahead:
            if self.eof:
                raise Failed(f"{self.what}: end ({self.eof}) instead of a head, after "
                             f"{show(self.ahead)}")
            self.receive()
        at = self.ahead.index(b"\r\n\r\n") + 4
        return self.take(at)

    def require(self, expected):
        got = self.take(len(expected))
        if got != expected:
            same = len(os.path.commonprefix([got, expected]))
            end = f" then {self.eof}" if self.eof else ""
            raise Failed(f"{self.what}: differs at byte {same}\n      expected {show(expected)}\n"
                         f"      got      {show(got + self.ahead)}{end}")

    def require_end(self, reset):
        while not self.eof:
            if self.ahead:
                raise Failed(f"{self.what}: bytes instead of the end: {show(self.ahead)}")
            self.receive()
        if self.ahead:
            raise Failed(f"{self.what}: bytes before the end: {show(self.ahead)}")
        if reset is not None and self.eof != ("reset" if reset else "fin"):
            raise Failed(f"{self.what}: ended by {self.eof}")

    def send_until_reset(self):
        """The other end is gone: the first bytes may still leave, then it shows."""
        deadline = time.monotonic() + STEP_TIMEOUT
        try:
            while time.monotonic() < deadline:
                self.sock.sendall(b"x")
                select.select([self.sock], [], [], 0.01)
        except OSError:
            self.eof = "reset"
            return
        raise Failed(f"{self.what} can still send")

    def said_nothing(self):
        """Waits for a byte or the end: was it the end?"""
        if not self.ahead and not self.eof:
            self.receive()
        return not self.ahead

    def pending(self):
        """Bytes that are there although no step asked for them."""
        if not self.eof and self.sock.fileno() >= 0 and select.select([self.sock], [], [], 0)[0]:
            try:
                self.ahead += self.sock.recv(65536)
            except OSError:
                pass
        return self.ahead

    def close(self, reset=False):
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Target:
    """The listening socket of a backend. A dead one is bound but does not listen: RST."""

    def __init__(self, dead):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        if not dead:
            self.sock.listen(64)

    def stop_listening(self):
        self.sock.close()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("127.0.0.1", self.port))

    def accept(self, what):
        wait_readable(self.sock, what)
        return self.sock.accept()[0]


# -- a running case ---------------------------------------------------------------------------

class Run:
    def __init__(self, case, address, port):
        self.case, self.address, self.port = case, address, port
        self.targets = self.make_targets()
        self.clients, self.backends, self.saved = {}, {}, {}
        self.yoke = None

    def make_targets(self):
        return [Target(i in self.case.dead) for i in range(self.case.n_targets)]

    def config(self):
        targets = [{"address": f"127.0.0.1:{t.port}", **self.case.target} for t in self.targets]
        listener = {"bind": f"{self.address}:{self.port}", "mode": "http", "pool": self.name()}
        if self.case.routes is None:
            return ({**listener, **self.case.listener},
                    {self.name(): {"targets": targets, **self.case.pool}})
        del listener["pool"]
        listener.update(self.routing(self.case.routes, self.case.default))
        pools = {self.pool_name(f"t{i}"): {"targets": [target], **self.case.pool}
                 for i, target in enumerate(targets)}
        return {**listener, **self.case.listener}, pools

    def pool_name(self, pool):
        return f"{self.name()}.{pool}"

    def routing(self, routes, default):
        """What a listener says of these routes."""
        routes = copy.deepcopy(routes)
        for route in routes:
            pool = route.get("pool")
            if isinstance(pool, dict):
                route["pool"] = {self.pool_name(name): n for name, n in pool.items()}
            elif pool:
                route["pool"] = self.pool_name(pool)
        return {"routes": routes, **({"pool": self.pool_name(default)} if default else {})}

    def name(self):
        return f"case-{self.port}"

    def client(self, c, source=None):
        if c not in self.clients:
            sock = socket.create_connection((self.address, self.port), STEP_TIMEOUT,
                                            (source, 0) if source else None)
            self.clients[c] = End(sock, f"client {c}")
        return self.clients[c]

    def backend(self, b, t=0):
        if b not in self.backends:
            what = f"target {t}: no new connection ({b})"
            for name, end in self.backends.items():
                if end.pending():
                    what += f"; connection {name} got {show(end.ahead)}"
            name = f"target {t} connection {b}"
            self.backends[b] = End(self.targets[t].accept(what), name)
            # A TCP health check connects, too, but never says anything.
            deadline = time.monotonic() + STEP_TIMEOUT
            while "health" in self.case.pool and self.backends[b].said_nothing():
                if time.monotonic() > deadline:
                    raise Failed(f"{what}: health checks only")
                self.backends[b].close()
                self.backends[b] = End(self.targets[t].accept(what), name)
        return self.backends[b]

    # one method a verb

    def do_send(self, data, c, source):
        self.client(c, source).send(data)

    def do_turned_away(self, c):
        try:
            self.client(c).require_end(None)
        except ConnectionResetError:
            pass

    def do_drip(self, data, c):
        self.client(c).drip(data)

    def do_gets(self, data, c):
        self.client(c).require(data)

    def do_gets_error(self, status, c, closed, body):
        end = self.client(c)
        head = end.take_head()
        if not head.startswith(b"HTTP/1.1 %d " % status):
            raise Failed(f"client {c}: expected {status}, got {show(head + end.ahead)}")
        fields = parse_fields(head)
        if body:
            length = int(fields.get(b"content-length", b"0"))
            if length == 0 or len(end.take(length)) != length:
                raise Failed(f"client {c}: no text with {status}: {show(head)}")
        if (fields.get(b"connection") == b"close") != closed:
            raise Failed(f"client {c}: Connection is wrong in {show(head)}")
        if closed:  # by FIN: a reset could overtake the answer
            end.require_end(False)

    def do_gets_head(self, status, has, lacks, c, save):
        head = self.client(c).take_head()
        lines = head.split(b"\r\n")
        fields = parse_fields(head)
        if not lines[0].startswith(b"HTTP/1.1 %d " % status):
            raise Failed(f"client {c}: expected {status}, got {show(head)}")
        for line in has:
            if line not in lines[1:]:
                raise Failed(f"client {c}: no {line!r} in {show(head)}")
        for name in lacks:
            if name.lower() in fields:
                raise Failed(f"client {c}: {name!r} in {show(head)}")
        if save:
            self.saved[save] = head

    def do_closed(self, c, reset):
        self.client(c).require_end(reset)

    def do_shut(self, c):
        self.client(c).sock.shutdown(socket.SHUT_WR)

    def do_leave(self, c, reset):
        self.client(c).close(reset)
        del self.clients[c]

    def do_sees(self, data, b, t):
        self.backend(b, t).require(data)

    def do_answer(self, data, b):
        self.backend(b).send(data)

    def do_answer_drip(self, data, b):
        self.backend(b).drip(data)

    def do_hangup(self, b, reset):
        self.backend(b).close(reset)
        del self.backends[b]

    def do_half_close(self, b):
        self.backend(b).sock.shutdown(socket.SHUT_WR)

    def do_released(self, b, reset):
        self.backend(b).require_end(reset)

    def do_untouched(self, t):
        if select.select([self.targets[t].sock], [], [], 0)[0]:
            end = End(self.targets[t].sock.accept()[0], f"target {t}")
            end.sock.settimeout(0.2)
            try:
                end.ahead = end.sock.recv(4096)
            except OSError:
                pass
            end.close()
            raise Failed(f"target {t} was connected to and got {show(end.ahead)}")

    def do_pause(self, seconds):
        time.sleep(seconds)

    def do_do(self, function):
        function(self)

    def run(self, yoke):
        self.yoke = yoke
        for n, (verb, args) in enumerate(self.case.steps, 1):
            try:
                getattr(self, "do_" + verb)(**args)
            except Failed as e:
                raise Failed(f"step {n} ({verb}): {e}") from e
            except OSError as e:
                raise Failed(f"step {n} ({verb}): {type(e).__name__}: {e}") from e
        for end in self.ends():
            if end.pending():
                raise Failed(f"at the end: {end.what} has more: {show(end.ahead)}")

    def ends(self):
        return [*self.clients.values(), *self.backends.values()]

    def close(self):
        for end in self.ends():
            end.close()

    def close_targets(self):
        for target in self.targets:
            target.sock.close()


def parse_fields(head):
    fields = {}
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        fields[name.lower()] = value.strip()
    return fields


# -- yoked ------------------------------------------------------------------------------------

def die_with_us(nofile=None):
    """In the child: yoked gets SIGTERM when this process is gone, however it ended. It may have so
    many descriptors."""
    if nofile:
        resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def scratch(kind):
    """A directory for files of this run. What runs left behind that were killed is removed."""
    for entry in os.scandir(tempfile.gettempdir()):
        match = re.fullmatch(r"yoke-[a-z]+-(\d+)-\w+", entry.name)
        if match and not os.path.exists(f"/proc/{match[1]}"):
            shutil.rmtree(entry.path, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"yoke-{kind}-{os.getpid()}-")


class Yoke:
    """yoked with a generated configuration, until `stop`."""

    def __init__(self, config, nofile=None):
        self.dir = scratch("http")
        self.run_dir = os.path.join(self.dir.name, "run")
        os.mkdir(self.run_dir)
        self.config, self.path = config, os.path.join(self.dir.name, "yoke.json")
        self.write_config()
        self.log_path = os.path.join(self.dir.name, "log")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify_path = os.path.join(self.dir.name, "notify")
        self.notify.bind(notify_path)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [os.path.join(BIN_DIR, "yoked"), "--config", self.path, "--run-dir", self.run_dir],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=lambda: die_with_us(nofile),
                env={**os.environ, "NOTIFY_SOCKET": notify_path})

    def write_config(self):
        """@DIR@ in it is a directory for files of the configuration."""
        text = json.dumps(self.config, indent=1).replace("@DIR@", self.dir.name)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def reload(self, change=None):
        """`change(config)`, then a reload that must succeed. Returns when every worker runs the new configuration."""
        before = self.metric("yoke_config_generation")
        if change:
            change(self.config)
        self.write_config()
        status, body = self.admin("/v1/reload", "POST")
        if status != 200:
            raise Failed(f"reload: {status} {body!r}")
        deadline = time.monotonic() + STEP_TIMEOUT
        while self.metric("yoke_config_generation") == before:
            if time.monotonic() > deadline:
                raise Failed("a reload was not put in force")
            select.select([], [], [], 0.01)

    def wait_ready(self):
        """READY=1, or the death of the process, whichever comes first."""
        deadline = time.monotonic() + 4 * STEP_TIMEOUT
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while time.monotonic() < deadline:
                ready = select.select([self.notify, pidfd], [], [], 1)[0]
                if pidfd in ready:
                    raise Failed(f"yoked ended at start\n{self.log()}")
                if self.notify in ready and b"READY=1" in self.notify.recv(4096):
                    return self.require_healthy()
        finally:
            os.close(pidfd)
        raise Failed(f"yoked is not ready after {4 * STEP_TIMEOUT:g} s\n{self.log()}")

    def require_healthy(self):
        status, body = self.admin("/healthz")
        if status != 200:
            raise Failed(f"GET /healthz: {status} {body!r}\n{self.log()}")

    def admin(self, path, method="GET", body=b""):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(STEP_TIMEOUT)
            sock.connect(os.path.join(self.run_dir, "admin.sock"))
            sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
                         "Connection: close\r\n\r\n".encode() + body)
            data = b""
            while chunk := sock.recv(65536):
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), body

    def wait_for(self, condition, problem):
        """Asks until it is so; `problem()` says what is the matter instead."""
        deadline = time.monotonic() + STEP_TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise Failed(problem())
            select.select([], [], [], 0.01)

    def target(self, pool, index):
        return json.loads(self.admin(f"/v1/pools/{pool}")[1])["targets"][index]

    def wait_target(self, pool, index, state):
        """Asks until the target's state is this."""
        self.wait_for(lambda: self.target(pool, index)["state"] == state, lambda:
                      f"{pool} target {index} is {self.target(pool, index)}, not {state}")

    def wait_metric(self, name, least):
        self.wait_for(lambda: self.metric(name) >= least,
                      lambda: f"{name} is {self.metric(name)}, not {least}")

    def metric(self, name):
        for line in self.admin("/metrics")[1].decode().splitlines():
            if line.rpartition(" ")[0] == name:
                return float(line.rpartition(" ")[2])
        raise Failed(f"no metric {name}")

    def proxy_pid(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = file.read().split()
        for child in children:
            with open(f"/proc/{child}/cmdline", "rb") as file:
                if b"yoke-proxy" in file.read():
                    return child
        raise Failed("yoke-proxy is not there")

    def log(self):
        with open(self.log_path, "rb") as log:
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join("      | " + line for line in lines[-40:])

    def stop(self):
        """SIGTERM must end it cleanly."""
        problem = None
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(2 * STEP_TIMEOUT)
            if code != 0:
                problem = f"yoked ended with {code}\n{self.log()}"
        except subprocess.TimeoutExpired:
            problem = f"yoked did not end in {2 * STEP_TIMEOUT:g} s after SIGTERM\n{self.log()}"
            self.process.kill()
            self.process.wait()
        self.notify.close()
        self.dir.cleanup()
        return problem


def sanitizer_complained(log):
    return any(word in log for word in ("Sanitizer", "runtime error:", "assertion"))


def run_group(name, cases, only=None, top_level=None, nofile=None):
    """Runs the cases (those whose name contains `only`), with more keys at the top level of the
    configuration, and yoked with so many descriptors; returns the number that failed."""
    pid = os.getpid()
    address = f"127.{16 + (pid >> 8) % 200}.{pid & 255}.1"
    chosen = [case for case in cases if not only or only in case.name]
    runs = [(case.run_class or Run)(case, address, 10000 + i) for i, case in enumerate(chosen)]
    config = {"workers": 1, "shutdown_timeout": "2s", "listeners": {}, "pools": {},
              **(top_level or {})}
    for run in runs:
        config["listeners"][run.name()], pools = run.config()
        config["pools"].update(pools)
    failed = 0
    yoke = Yoke(config, nofile)
    try:
        yoke.wait_ready()
        for run in runs:
            failed += not report(name, run, yoke)
        log = yoke.log()
    except Failed as e:
        print(f"FAILED http/{name}: {e}")
        return len(runs)
    finally:
        problem = yoke.stop()
        for run in runs:
            run.close_targets()
    if problem or sanitizer_complained(log):
        print(f"FAILED http/{name}: {problem or log}")
        failed += 1
    print(f"http/{name}: {len(runs) - failed} of {len(runs)} cases passed")
    return failed


def report(group, run, yoke):
    start = time.monotonic()
    try:
        run.run(yoke)
        print(f"ok     {group}: {run.case.name} ({(time.monotonic() - start) * 1000:.0f} ms)")
        return True
    except Failed as e:
        print(f"FAILED {group}: {run.case.name}\n      {e}")
        if yoke.process.poll() is not None:
            print(f"      yoked is dead ({yoke.process.returncode})\n{yoke.log()}")
        elif os.environ.get("YOKE_LOG"):
            print(yoke.log())
        return False
    finally:
        run.close()
        sys.stdout.flush()
