"""The lab: a segment with a client, an observer, two nodes and three web servers; the real programs
in it, and what tests do to them and measure. See README.md for the picture."""
import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

import forge
from segment import (HOSTS, NETWORK, NETWORK6, LabError, Segment, alive, children_of, end_process,
                     kill_quietly, run, wait_until)

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PYTHON = "/usr/bin/python3"
VIP = f"{NETWORK}.10"
VIP6, LINK_LOCAL6 = f"{NETWORK6}:10", "fe80::10"
NODES = ("node1", "node2")
WEBS = ("web1", "web2", "web3")
WEB_PORT, SQL_PORT = 8080, 5432
COOKIE_PORT, SOURCE_PORT = 80, 81
COOKIE_CLIENTS, SOURCE_CLIENTS = 120, 120
SOURCES = [f"{NETWORK}.{n}" for n in range(101, 101 + SOURCE_CLIENTS)]
# Sanitizers make everything slower; tests multiply their patience by it.
SLACK = float(os.environ.get("YOKE_LAB_SLACK", "1"))
SANITIZER = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:"
                       r"|[Aa]ssertion .* failed|Bad system call")
UNEXPLAINED = re.compile(r"vrrp \w+: \w+ -> \w+: *(\[|$)")


def bin_dir():
    return os.environ.get("YOKE_BIN_DIR", os.path.join(ROOT, "build", "release", "bin"))


def program(name, directory=None):
    return os.path.join(directory or bin_dir(), name)


def tool(name):
    """A program that is built with the tests."""
    path = os.path.join(os.path.dirname(bin_dir()), "tests", name)
    if not os.path.exists(path):
        raise LabError(f"{path} is missing: build first ({ROOT})")
    return path


def other(node):
    return NODES[1 - NODES.index(node)]


def address(role, port=None):
    return f"{NETWORK}.{HOSTS[role]}" + (f":{port}" if port else "")


def pair_config(primary="node1", advertise="100ms"):
    """Like examples/pair.json, with one more listener whose clients are known by their address, and
    quicker checks. A fresh dictionary: change it as you like. `primary` has the higher priority."""
    health = {"http": {"path": "/healthz"}, "interval": "200ms", "timeout": "200ms",
              "rise": 2, "fall": 2}
    webs = [address(web, WEB_PORT) for web in WEBS]
    return {
        "cluster": "lab",
        "nodes": {node: {"address": address(node), "priority": 200 if node == primary else 150}
                  for node in NODES},
        "virtual_routers": {"front": {
            "vrid": 51, "interface": "eth0", "addresses": [f"{VIP}/24"], "advertise": advertise,
            "failback": "manual"}},
        "listeners": {
            "web": {"bind": f"{VIP}:{COOKIE_PORT}", "mode": "http", "pool": "web"},
            "known": {"bind": f"{VIP}:{SOURCE_PORT}", "mode": "http", "pool": "known"},
            "sql": {"bind": f"{VIP}:{SQL_PORT}", "mode": "tcp", "pool": "sql"}},
        "pools": {
            "web": {"targets": list(webs), "health": dict(health),
                    "sticky": {"cookie": {"name": "YOKE"}, "ttl": "1h"}},
            "known": {"targets": list(webs), "health": dict(health),
                      "sticky": {"source": {"prefix4": 32}, "ttl": "1h"}},
            "sql": {"balance": "source_hash",
                    "targets": [address(web, SQL_PORT) for web in WEBS[:2]],
                    "health": {"tcp": {}, "interval": "200ms"}}},
        "sync": {"port": 5405, "sessions": "acked"},
    }


def add_ipv6(config):
    """A second virtual router with the same VRID for the other family, and its listener."""
    config["virtual_routers"]["front6"] = dict(
        config["virtual_routers"]["front"], addresses=[f"{LINK_LOCAL6}/64", f"{VIP6}/64"])
    config["listeners"]["web"]["bind"] = [f"{VIP}:{COOKIE_PORT}", f"[{VIP6}]:{COOKIE_PORT}"]
    return config


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    """The Admin API on a unix socket."""

    def __init__(self, path):
        self.path = path

    def request(self, method, path, body=None, timeout=5):
        """(status, decoded JSON or text); OSError when nobody answers."""
        connection = UnixConnection(self.path, timeout)
        try:
            data = json.dumps(body).encode() if body is not None else None
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="backslashreplace")
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def get(self, path):
        """The answer, or None while there is none (for waiting)."""
        try:
            status, body = self.request("GET", path)
        except OSError:
            return None
        if isinstance(body, str):
            raise LabError(f"GET {path}: the answer is not JSON: {body!r}")
        return body if status == 200 else None


class Tool:
    """One of tools/* in a namespace, a script or (`built`) one of ours: runs until stop(), which
    returns its last line of JSON."""

    def __init__(self, lab, role, name, *words, built=False):
        self.name = name
        self.path = os.path.join(lab.dir, f"{name}-{len(lab.processes)}.out")
        command = ([os.path.join(bin_dir(), "..", "tests", name)] if built
                   else [PYTHON, os.path.join(HERE, "tools", f"{name}.py")])
        with open(self.path, "w", encoding="ascii") as out:
            self.process = lab.start_in(role, *command, *words, stdin=subprocess.PIPE, stdout=out)

    def lines(self):
        with open(self.path, encoding="ascii") as file:
            whole = file.read().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def latest(self):
        if self.process.poll():
            raise LabError(f"{self.name} ended with status {self.process.returncode}")
        lines = self.lines()
        return lines[-1] if lines else {}

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            end_process(self.process)
            raise LabError(f"{self.name} did not end") from None
        return self.latest()


class Prober(Tool):
    """Requests without a pause; stop() returns Traffic."""

    def __init__(self, lab, port=COOKIE_PORT, interval_ms=4, deadline_ms=900, host=VIP):
        super().__init__(lab, "client", "prober", host, port, "--interval-ms", interval_ms,
                         "--deadline-ms", deadline_ms)

    def wait_ok(self, more=50, timeout=10):
        """Until `more` requests were answered from now on."""
        target = self.latest().get("ok", 0) + more
        wait_until(lambda: self.latest().get("ok", 0) >= target, timeout * SLACK,
                   f"{more} answered requests")

    def stop(self):
        return Traffic(super().stop()["requests"])


class Traffic:
    """What a prober saw. Times are of CLOCK_MONOTONIC, in seconds."""

    def __init__(self, rows):
        self.rows = rows

    def good(self):
        return [row for row in self.rows if not row[4]]

    def failed(self, after=0.0):
        return [row for row in self.rows if row[4] and row[0] >= after]

    def until(self, moment):
        return Traffic([row for row in self.rows if row[0] < moment])

    def failures_text(self):
        counts = {}
        for row in self.failed():
            counts[row[4]] = counts.get(row[4], 0) + 1
        return ", ".join(f"{n} x {text}" for text, n in sorted(counts.items())) or "none"

    def outage(self, after=0.0):
        """The longest time without service, in seconds, and where it began: the longest gap
        between the starts of answered requests, or between the answers if that is longer (a
        request that waited out the outage and was then served shows there). Answers that come
        after the last request was started are stragglers: nobody asked in between."""
        longest = (0.0, 0.0)
        last_start = max((row[0] for row in self.rows), default=0.0)
        for column in (0, 1):
            times = sorted(row[column] for row in self.good() if row[column] <= last_start)
            for before, here in zip(times, times[1:]):
                if here >= after and here - before > longest[0]:
                    longest = (here - before, before)
        return longest

    def first_after(self, moment):
        """When the first request that was started after `moment` was answered."""
        return min((row[1] for row in self.good() if row[0] >= moment), default=None)

    def slowest(self):
        return max((row[1] - row[0] for row in self.good()), default=0.0)


class ArpWatch(Tool):
    """Asks in the observer's namespace who has the VIP, by ARP or (IPv6) neighbour discovery; stop()
    fills asked and announced."""

    def __init__(self, lab, vip=VIP):
        super().__init__(lab, "observer", "arp", vip)
        self.asked, self.announced = [], []

    def wait_asked(self, more, timeout=10):
        """Until `more` questions were asked from now on."""
        target = self.latest().get("questions", 0) + more
        wait_until(lambda: self.latest().get("questions", 0) >= target, timeout * SLACK,
                   f"{more} questions for the VIP")

    def stop(self):
        data = super().stop()
        self.asked, self.announced = data["asked"], data["announced"]
        return self

    def answers(self, begin, end):
        """[(time, set of MACs)] of the requests asked in that time."""
        return [(t, set(macs)) for t, macs in self.asked if begin <= t < end]

    def last_double(self, after):
        """Seconds from `after` to the last request that two nodes answered; 0 if none was."""
        return max([t - after for t, macs in self.asked if t >= after and len(set(macs)) > 1],
                   default=0.0)


class Web:
    """One nginx that answers its name, and an echo server that stands for a database."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.dir = os.path.join(lab.dir, name)
        os.makedirs(self.dir)
        self.log = os.path.join(self.dir, "access.log")
        self.process = None
        self.start()
        self.echo = lab.start_in(name, PYTHON, os.path.join(HERE, "tools", "echo.py"), name,
                                 "0.0.0.0", SQL_PORT)

    def config(self):
        return f"""
            user root; daemon off; worker_processes 1; pid {self.dir}/nginx.pid;
            error_log {self.dir}/error.log; worker_rlimit_nofile 4096;
            events {{ worker_connections 4000; }}
            http {{
                log_format lab '$msec $remote_addr $request_uri';
                access_log {self.log} lab;
                client_body_temp_path {self.dir}; proxy_temp_path {self.dir};
                fastcgi_temp_path {self.dir}; uwsgi_temp_path {self.dir}; scgi_temp_path {self.dir};
                keepalive_requests 1000000; default_type text/plain; server_tokens off;
                server {{
                    listen {WEB_PORT} backlog=1024;
                    location = /healthz {{ if (-e {self.dir}/down) {{ return 503; }} return 200 "ok\\n"; }}
                    location = /login {{
                        add_header Set-Cookie "SID=$request_id; Path=/; HttpOnly";
                        add_header X-New-Token $request_id;
                        return 200 "{self.name}\\n";
                    }}
                    location / {{ if (-e {self.dir}/failing) {{ return 503; }}
                        return 200 "{self.name}\\n"; }}
                }}
            }}"""

    def start(self):
        path = os.path.join(self.dir, "nginx.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(self.config())
        self.process = self.lab.start_in(self.name, "/usr/sbin/nginx", "-p", self.dir, "-c", path,
                                         "-e", f"{self.dir}/error.log")

    def stop(self):
        end_process(self.process)

    def ready(self):
        return all(listening(process.pid, port) for process, port
                   in ((self.process, WEB_PORT), (self.echo, SQL_PORT)))

    def set_healthy(self, healthy):
        self.set_flag("down", not healthy)

    def set_failing(self, failing):
        """Whether it answers 503 to all but health checks."""
        self.set_flag("failing", failing)

    def set_flag(self, name, there):
        flag = os.path.join(self.dir, name)
        if not there:
            if os.path.exists(flag):
                os.unlink(flag)
        else:
            with open(flag, "w", encoding="ascii"):
                pass

    def requests(self, after_wall=0.0, source=None, checks=False):
        """Requests for content (or the health checks) that came, as [(wall time, from)]."""
        out = []
        with open(self.log, encoding="ascii", errors="replace") as file:
            for line in file:
                when, sender, uri = line.split(" ", 2)
                if (uri.strip() == "/healthz") == checks and float(when) >= after_wall \
                        and source in (None, sender):
                    out.append((float(when), sender))
        return out


def listening(pid, port, protocol="tcp"):
    """Does somebody listen on that TCP port in the network namespace of `pid`?"""
    wanted = f":{port:04X}"
    try:
        with open(f"/proc/{pid}/net/{protocol}", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
    except OSError:
        return False
    return any(row[1].endswith(wanted) and row[3] == "0A" for row in rows)


class Node:
    """yoke on one of the two hosts; with a `place` of its own another one on the same host."""

    def __init__(self, lab, name, place=None):
        self.lab, self.name = lab, name
        self.dir = os.path.join(lab.dir, place or name)
        os.makedirs(self.dir)
        self.run_dir = os.path.join(self.dir, "run")
        self.config_path = os.path.join(self.dir, "yoke.json")
        self.log_path = os.path.join(self.dir, "log")
        self.api = Api(os.path.join(self.run_dir, "admin.sock"))
        self.process = None
        self.wrapper = []  # words before the program that become it
        self.bin_dir = None  # of another version

    # Life

    def write_config(self, config):
        """As an editor does: the file is replaced whole."""
        with open(self.config_path + ".new", "w", encoding="utf-8") as file:
            json.dump(config, file, indent=2)
        os.replace(self.config_path + ".new", self.config_path)

    def start(self):
        os.makedirs(self.run_dir, exist_ok=True)
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = self.lab.start_in(
                self.name, *self.wrapper, program("yoked", self.bin_dir), "--config",
                self.config_path, "--run-dir", self.run_dir, stdout=log, stderr=log)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def processes(self):
        """{pid: program}, the supervisor first."""
        out = {}
        for pid in children_of(self.process.pid):
            try:
                out[pid] = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
        return out

    def pid_of(self, name):
        found = [pid for pid, exe in self.processes().items() if exe == name]
        if len(found) != 1:
            raise LabError(f"{self.name}: {len(found)} processes are {name}: {self.processes()}")
        return found[0]

    def kill(self, name, number=signal.SIGKILL):
        """Signals one program of this node; the moment."""
        pid = self.pid_of(name)
        os.kill(pid, number)
        return time.monotonic()

    def signal_all(self, number):
        """Every process of this node in one sweep; the moment. They share a process group, so
        that the kernel does it in one system call: nobody has time for a last word."""
        pids = list(self.processes())
        moment = time.monotonic()
        os.killpg(self.process.pid, number)
        for pid in pids:
            kill_quietly(pid, number)
        return moment

    def kill_all(self):
        pids = list(self.processes())
        moment = self.signal_all(signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not any(map(alive, pids)), 5, f"{self.name}: every process dead")
        return moment

    def power_off(self):
        """The cable is cut, then everything dies."""
        moment = time.monotonic()
        self.lab.link(self.name, up=False)
        self.signal_all(signal.SIGKILL)
        self.process.wait()
        return moment

    def power_on(self):
        """After power_off: a host that has just booted knows nothing of the VIP."""
        run("ip", "-n", self.lab.name(self.name), "addr", "flush", "dev", "eth0")
        run("ip", "-n", self.lab.name(self.name), "addr", "add", address(self.name) + "/24",
            "dev", "eth0")
        self.lab.link(self.name, up=True)
        self.start()

    def sigterm(self):
        os.kill(self.process.pid, signal.SIGTERM)
        return time.monotonic()

    def wait_exit(self, timeout=15):
        try:
            return self.process.wait(timeout * SLACK)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name}: yoked did not end in {timeout} s") from None

    def stop(self):
        if self.process:
            end_process(self.process, 15 * SLACK)

    # State

    def status(self):
        return self.api.get("/v1/status")

    def state(self, router="front"):
        """"active", "backup", ..., or None while the node does not answer."""
        status = self.status()
        return status and status["virtual_routers"].get(router, {}).get("state")

    def pools(self):
        """{pool: {address: state}} or None."""
        pools = self.api.get("/v1/pools")
        if pools is None:
            return None
        pools = pools.get("pools", pools)
        return {name: {t["address"]: t["state"] for t in pool["targets"]}
                for name, pool in pools.items()}

    def events(self, what=""):
        """Events of this node about objects that begin with `what`, oldest first."""
        found = self.api.get("/v1/events?local=1")
        if found is None:
            return []
        found = found["events"] if isinstance(found, dict) else found
        return [event for event in found if event["object"].startswith(what)]

    def overslept(self):
        """Its yoke-vrrp has once been later than the lease bears. Of an Active the kernel closes the VIP
        for such a moment, as it must: whoever asks then is not answered."""
        routers = (self.status() or {}).get("virtual_routers", {}).values()
        lateness = [router["lateness"] for router in routers if router.get("lateness")]
        return any(late["max_us"] > late["tolerance_us"] for late in lateness)

    def transitions(self):
        """Changes of state; there are other events of a virtual router, too."""
        return [event for event in self.events("virtual_router ") if event["from"] != event["to"]]

    def remarks(self):
        return [event["reason"] for event in self.events("virtual_router ")
                if event["from"] == event["to"]]

    def wait(self, condition, timeout, what):
        """condition() of this node, with its log in the error if it does not come true."""
        try:
            return wait_until(condition, timeout * SLACK, f"{self.name}: {what}")
        except LabError as error:
            tail = "\n  ".join(self.log().splitlines()[-15:])
            raise LabError(f"{error}\nstatus: {json.dumps(self.status())}\nlog:\n  {tail}") from None

    def wait_state(self, state, timeout=5):
        self.wait(lambda: self.state() == state, timeout, f"state {state}")
        return time.monotonic()

    def wait_in_sync(self, timeout=10):
        self.wait(lambda: ((self.status() or {}).get("sync") or {}).get("state") == "in_sync",
                  timeout, "in sync with the peer")

    def wait_pools(self, state="up", timeout=5):
        def all_so():
            pools = self.pools()
            return pools and all(s == state for targets in pools.values() for s in targets.values())
        self.wait(all_so, timeout, f"every target {state}")

    def ctl(self, *words, check=True):
        """yokectl; its output. LabError when it fails."""
        return run(program("yokectl", self.bin_dir), "--run-dir", self.run_dir, *words, check=check)

    def complaints(self):
        """Lines that no log may have: reports of sanitizers, failed assertions, a change without a
        reason."""
        return [line for line in self.log().splitlines()
                if SANITIZER.search(line) or UNEXPLAINED.search(line)]


class Lab(Segment):
    """The segment with its web servers and two nodes, which are not started."""

    def __init__(self, ipv6=False):
        super().__init__(ipv6)
        self.webs, self.nodes = {}, {}

    def build(self):
        super().build()
        self.webs = {name: Web(self, name) for name in WEBS}
        self.nodes = {name: Node(self, name) for name in NODES}
        self.ip_batch(self.name("client"), [f"addr add {a}/24 dev eth0" for a in SOURCES])
        self.write_keys(os.urandom(32))
        wait_until(lambda: all(web.ready() for web in self.webs.values()), 10 * SLACK,
                   "the web servers listen")

    def write_keys(self, *keys):
        """sync.key of both nodes, which they read when they start or reload."""
        path = os.path.join(self.dir, "sync.key")
        with open(os.open(path + ".new", os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
        os.replace(path + ".new", path)

    def write_config(self, config):
        config["sync"]["key_file"] = os.path.join(self.dir, "sync.key")
        for node in self.nodes.values():
            node.write_config(config)

    def start_pair(self, primary="node1", config=None, write=True):
        """Starts both with one configuration, or what they have; waits until all is settled: (primary,
        standby)."""
        if write:
            self.write_config(config or pair_config(primary))
        first, second = self.nodes[primary], self.nodes[other(primary)]
        first.start()
        first.wait_state("active", 10)
        second.start()
        second.wait_state("backup", 10)
        for node in (first, second):
            node.wait_pools("up", 10)
            node.wait_in_sync()
        return first, second

    def sticky(self, verb, patience=10, clients="sticky.json"):
        """`clients`: the file, in the lab's directory, of who they are and what they have seen."""
        out = self.run_in("client", PYTHON, os.path.join(HERE, "tools", "sticky.py"), verb,
                          os.path.join(self.dir, clients), VIP,
                          "--cookie-port", COOKIE_PORT, "--source-port", SOURCE_PORT,
                          "--cookies", COOKIE_CLIENTS, "--patience", patience * SLACK,
                          "--sources", *SOURCES)
        return json.loads(out)

    def fetch_status(self):
        """The status of a request to the VIP, "000" if there is none."""
        return self.run_in("client", "curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}",
                           f"http://{VIP}:{COOKIE_PORT}/", check=False)

    def owner_mac(self, node):
        return self.mac(node.name if isinstance(node, Node) else node)

    def capture(self, name="capture.pcapng", role="switch", interface="br0", only=""):
        """`only`: what is captured, in the language of pcap-filter(7)."""
        return Capture(self, os.path.join(self.dir, name), role, interface, only)

    def close(self):
        if not self.closed and not self.kept:
            for node in self.nodes.values():
                if node.process and node.process.poll() is None:
                    node.stop()
        super().close()


class Capture:
    """dumpcap on the switch."""

    def __init__(self, lab, path, role, interface, only):
        self.lab, self.path = lab, path
        self.place = None if only else (role, interface)
        self.errors = path + ".log"
        with open(self.errors, "w", encoding="ascii") as log:
            self.process = lab.start_in(role, "dumpcap", "-q", "-i", interface, "-w", path, "-f", only,
                                        stdout=log, stderr=log)
        wait_until(lambda: "File: " in self.text(), 10, "dumpcap captures")

    def text(self):
        with open(self.errors, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """Ends when what was sent before is in the file, as far as it can be made to."""
        if self.place and self.process.poll() is None:
            forge.send(self.lab, *self.place, forge.MARK)
            wait_until(self.has_mark, 10, "dumpcap has written what was sent")
        end_process(self.process, 5)

    def has_mark(self):
        with open(self.path, "rb") as file:
            return forge.MARK in file.read()

    def fields(self, display_filter, *fields, options=()):
        """Rows of tshark's fields of the packets that match."""
        words = ["tshark", "-n", "-r", self.path, *options, "-Y", display_filter, "-T", "fields"]
        for field in fields:
            words += ["-e", field]
        done = subprocess.run(words, text=True, capture_output=True, check=True,
                              env=dict(os.environ, HOME=self.lab.dir))
        return [line.split("\t") for line in done.stdout.splitlines()]
