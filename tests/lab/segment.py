"""The segment: network namespaces around a bridge, all of this process' own, gone when it ends.

Names are PREFIX + pid + "-" + role, so that a later run finds what a killed one left behind."""
import atexit
import ctypes
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

PREFIX = "yoke"
NETWORK = "192.0.2"
NETWORK6 = "2001:db8:"
HOSTS = {"client": 100, "observer": 9, "node1": 11, "node2": 12, "web1": 21, "web2": 22, "web3": 23}
NETNS_DIR = "/run/netns"
SCRATCH = "/tmp"
# A wait ends with what it waits for. How long that may take matters for failures alone: so many times
# what a quiet machine never needs.
PATIENCE = 6
NAME = re.compile(rf"{PREFIX}(\d+)-\w+")


class LabError(Exception):
    """Something in the lab did not happen; the text says what."""


def run(*words, check=True, **options):
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False, **options)
    if check and done.returncode:
        raise LabError(f"{' '.join(words)}: {done.stdout.strip() or done.returncode}")
    return done.stdout


def wait_until(condition, timeout, what, pause=0.01):
    """The first true value of condition(); LabError after `timeout` seconds of a quiet machine."""
    timeout *= PATIENCE
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"not within {timeout:g} s: {what}")
        time.sleep(pause)


def alive(pid):
    """A zombie is dead."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def children_of(pid):
    """pid and all its descendants, parents first."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    ppid = int(file.read().rsplit(")", 1)[1].split()[1])
                parents.setdefault(ppid, []).append(int(name))
            except OSError:
                continue
    found, todo = [], [pid]
    while todo:
        current = todo.pop(0)
        found.append(current)
        todo += parents.get(current, [])
    return [p for p in found if alive(p)]


def end_process(process, patience=3):
    """SIGTERM, and SIGKILL to the whole tree of what does not go."""
    if process.poll() is not None:
        return
    tree = children_of(process.pid)
    process.terminate()
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        pass
    for pid in tree:
        if alive(pid) and pid != os.getpid():
            kill_quietly(pid, signal.SIGKILL)
    process.wait()


def kill_quietly(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def die_with_parent():
    """In the child, where no namespace tells the next run whose it was."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def namespaces():
    return os.listdir(NETNS_DIR) if os.path.isdir(NETNS_DIR) else []


def namespace_pids(name):
    """Processes in a named namespace that we or a dead run started: only ours have such names."""
    out = subprocess.run(["ip", "netns", "pids", name], text=True, capture_output=True, check=False)
    return [int(word) for word in out.stdout.split() if int(word) != os.getpid()]


def remove_namespaces(prefix):
    mine = [name for name in namespaces() if name.startswith(prefix)]
    for name in mine:
        for pid in namespace_pids(name):
            kill_quietly(pid, signal.SIGKILL)
    for name in mine:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)


def sweep(include=None):
    """Removes what runs left behind whose process is dead (or `include`, a pid, even if it kept
    its lab on purpose). A lab that was kept has a file that says so."""
    for name in namespaces():
        match = NAME.fullmatch(name)
        if not match:
            continue
        pid = int(match.group(1))
        kept = os.path.exists(f"/run/{PREFIX}{pid}-kept")
        if pid == include or not (kept or alive(pid)):
            remove_namespaces(f"{PREFIX}{pid}-")
    for path in [*glob.glob(f"/run/{PREFIX}*"), *glob.glob(f"{SCRATCH}/{PREFIX}*")]:
        match = NAME.fullmatch(os.path.basename(path))
        pid = match and int(match.group(1))
        if match and (pid == include
                      or not (alive(pid) or os.path.exists(f"/run/{PREFIX}{pid}-kept"))):
            remove(path)


def remove(path):
    """A file or directory, if it is there: others may sweep at the same time."""
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.exists(path):
        os.unlink(path)


class Segment:
    """The namespaces and everything started in them. Use it as a context manager. `ipv6`: every
    host has an address of both families; else none speaks IPv6, whose chatter costs time."""

    def __init__(self, ipv6=False):
        self.ipv6 = ipv6
        self.prefix = f"{PREFIX}{os.getpid()}-"
        self.dir = f"/run/{self.prefix}lab"
        self.processes = []
        self.closed = False
        self.kept = False

    def __enter__(self):
        atexit.register(self.close)
        # An exception unwinds through every `finally`; a signal's default action would not.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupted)
        sweep()
        try:
            os.mkdir(self.dir, 0o700)
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def name(self, role):
        return self.prefix + role

    def scratch(self, name):
        """The path of a file or directory for those who may not look into self.dir; goes with the lab."""
        return f"{SCRATCH}/{self.prefix}{name}"

    def build(self):
        for role in ["switch", *HOSTS]:
            run("ip", "netns", "add", self.name(role))
        switch = self.name("switch")
        batch = ["link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                 "link set br0 up", "link set lo up"]
        for role in HOSTS:
            batch.append(f"link add {role} type veth peer name eth0 netns {self.name(role)}")
            batch.append(f"link set {role} master br0 up")
        self.ip_batch(switch, batch)
        for role, number in HOSTS.items():
            if self.ipv6:
                # A link-local address is usable at once, and there is no router to ask for.
                for name, value in (("accept_dad", "0"), ("accept_ra", "0")):
                    self.sysctl(role, f"net/ipv6/conf/eth0/{name}", value)
            lines = ["link set lo up", f"addr add {NETWORK}.{number}/24 dev eth0",
                     "link set eth0 up"]
            if self.ipv6:
                lines.append(f"addr add {NETWORK6}:{number}/64 dev eth0 nodad")
            self.ip_batch(self.name(role), lines)
            if not self.ipv6:
                self.sysctl(role, "net/ipv6/conf/all/disable_ipv6", "1")
        self.sysctl("client", "net/ipv4/ip_local_port_range", "10000 65000")

    @staticmethod
    def ip_batch(namespace, lines):
        done = subprocess.run(["ip", "-n", namespace, "-batch", "-"], input="\n".join(lines) + "\n",
                              text=True, capture_output=True, check=False)
        if done.returncode:
            raise LabError(f"ip -batch in {namespace}: {done.stderr.strip()}")

    def sysctl(self, role, path, value):
        self.run_in(role, "sh", "-c", f"echo '{value}' > /proc/sys/{path}")

    def command(self, role, *words):
        """nsenter becomes the program: its process id is the program's."""
        return ["nsenter", f"--net={NETNS_DIR}/{self.name(role)}", *map(str, words)]

    def run_in(self, role, *words, **options):
        return run(*self.command(role, *words), **options)

    def start_in(self, role, *words, **options):
        """A process that ends with the lab at the latest. Leads its own process group. It says
        what it has to say to a file, not to our output, which a lab that is kept would hold open."""
        options.setdefault("stdin", subprocess.DEVNULL)
        with open(os.path.join(self.dir, "processes.log"), "a", encoding="ascii") as log:
            options.setdefault("stdout", log)
            options.setdefault("stderr", log)
            process = subprocess.Popen(self.command(role, *words), start_new_session=True,
                                       **options)
        self.processes.append(process)
        return process

    def link(self, role, up):
        """Plugs a host in or pulls its cable, at the switch."""
        run("ip", "-n", self.name("switch"), "link", "set", role, "up" if up else "down")

    def isolate(self, role, isolated):
        """The switch drops what comes from or goes to that host, which notices nothing. Unlike
        link(): the kernel may take a second to report that a carrier is back."""
        run("bridge", "-n", self.name("switch"), "link", "set", "dev", role, "state",
            "0" if isolated else "3")

    def drop(self, role, match):
        """The switch drops what comes from that host and matches, a condition of nftables."""
        self.run_in("switch", "nft", f"""
            add table netdev drops
            add chain netdev drops {role} {{ type filter hook ingress device {role} priority 0; }}
            add rule netdev drops {role} {match} drop""")

    def redrop(self, match):
        """Of all that drop() said only this is left, in one step and for the same hosts."""
        rules = self.run_in("switch", "nft", "list table netdev drops")
        roles = re.findall(r"chain (\w+)", rules)
        self.run_in("switch", "nft", "flush table netdev drops; " + " ".join(
            f"add rule netdev drops {role} {match} drop;" for role in roles))

    def undrop(self):
        """The end of every drop()."""
        self.run_in("switch", "nft", "delete table netdev drops")

    def addresses(self, role):
        """The addresses that a host holds now, without prefix length."""
        text = run("ip", "-n", self.name(role), "-o", "addr", "show")
        return {line.split()[3].split("/")[0] for line in text.splitlines()}

    def link_local(self, role, device="eth0"):
        """The address that the kernel gave to it."""
        text = run("ip", "-n", self.name(role), "-6", "-o", "addr", "show", "dev", device,
                   "scope", "link", "-deprecated")
        return re.search(r"inet6 (\S+)/", text).group(1)

    def mac(self, role):
        text = run("ip", "-n", self.name(role), "-o", "link", "show", "eth0")
        return re.search(r"link/ether (\S+)", text).group(1)

    def port_of(self, mac):
        """The host behind whose port the switch saw that MAC last, or None."""
        text = run("bridge", "-n", self.name("switch"), "fdb", "get", mac, "br", "br0", check=False)
        found = re.search(r" dev (\w+) ", text)
        return found and found.group(1)

    def flush_arp(self, role="client", address=None):
        """Forgets who has `address` (or any address)."""
        target = ["to", address] if address else ["all"]
        run("ip", "-n", self.name(role), "neigh", "flush", *target, "nud", "all", check=False)

    def keep(self):
        """The lab stays when this process ends; `sweep(pid)` removes it."""
        with open(f"/run/{self.prefix}kept", "w", encoding="ascii"):
            self.kept = True

    def close(self):
        if self.closed or self.kept:
            return
        self.closed = True
        # Not to be cut short by an impatient second ^C.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(self.processes):
            if process.poll() is None:
                for pid in children_of(process.pid):
                    kill_quietly(pid, signal.SIGKILL)
                process.wait()
        remove_namespaces(self.prefix)
        for path in [self.dir, *glob.glob(self.scratch("*"))]:
            remove(path)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)


def interrupted(number, _frame):
    # Once: what follows is cleaning up.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
