"""The foreign routers that yoke meets: keepalived and FRR's vrrpd, as Debian has them, on one of the two
hosts. Both have the same methods, so that a test can be told which one to take."""
import json
import os
import re
import shutil
import signal
import time
from dataclasses import dataclass

from lab import SLACK, VIP, address, other
from segment import LabError, alive, children_of, end_process, kill_quietly, wait_until

VRID = 51
COMPLAINT = re.compile(r"[Ii]nvalid|mismatch|[Bb]ad |[Ii]ncorrect|[Mm]alformed")


@dataclass
class Router:
    """The virtual router as its other member has it."""
    priority: int = 100
    preempt: bool = False
    version: int = 3
    interval_ms: int = 100
    addresses: tuple = (VIP,)
    unicast: bool = False
    virtual_mac: bool = False
    options: str = ""  # more lines of keepalived's vrrp_instance


def is_ipv6(addr):
    return ":" in addr


def virtual_mac(addr):
    """RFC 9568, section 7.3."""
    return f"00:00:5e:00:0{2 if is_ipv6(addr) else 1}:{VRID:02x}"


class Peer:
    """A daemon or two in a namespace. A subclass says how they are started."""

    def __init__(self, lab, role, router=None):
        self.lab, self.role, self.router = lab, role, router or Router()
        self.processes = []
        self.dir = os.path.join(lab.dir, f"{type(self).__name__.lower()}-{role}")
        os.makedirs(self.dir, exist_ok=True)

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="ascii") as file:
            file.write(text)

    def run_daemon(self, *words):
        with open(os.path.join(self.dir, "log"), "a", encoding="ascii") as log:
            self.processes.append(self.lab.start_in(self.role, *words, stdout=log, stderr=log))

    def log(self):
        try:
            with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def complaints(self):
        """What it has to say against packets that it heard."""
        return [line for line in self.log().splitlines() if COMPLAINT.search(line)]

    def pids(self):
        return [pid for process in self.processes for pid in children_of(process.pid)]

    def signal_all(self, number):
        """In one sweep: a child that outlives its parent for a moment says goodbye."""
        pids, moment = self.pids(), time.monotonic()
        for process in self.processes:
            os.killpg(process.pid, number)
        for pid in pids:
            kill_quietly(pid, number)
        return moment

    def terminate(self):
        """As its service manager does: it says goodbye. The moment."""
        self.processes[-1].terminate()
        return time.monotonic()

    def stop(self):
        if self.processes:
            self.terminate()
        for process in reversed(self.processes):
            end_process(process, 5)
        self.processes = []
        self.forget_vip()

    def kill(self):
        """SIGKILL of all of it; what the host still holds of the VIP goes with it, as if the host had died."""
        pids, moment = self.pids(), self.signal_all(signal.SIGKILL)
        for process in self.processes:
            process.wait()
        wait_until(lambda: not any(map(alive, pids)), 5, f"every process of {self.role} dead")
        self.processes = []
        self.forget_vip()
        return moment

    def wait_active(self, timeout=5):
        self.wait(lambda: self.state() == "active", timeout, "Active")
        return time.monotonic()

    def wait_backup(self, timeout=5):
        self.wait(lambda: self.state() == "backup", timeout, "Backup")

    def wait(self, condition, timeout, what):
        try:
            wait_until(condition, timeout * SLACK, f"{type(self).__name__} on {self.role}: {what}")
        except LabError as error:
            tail = "\n  ".join(self.log().splitlines()[-20:])
            raise LabError(f"{error}\nlog:\n  {tail}") from None


class Keepalived(Peer):
    def __init__(self, lab, role, router=None, globals_="", blocks=""):
        super().__init__(lab, role, router)
        self.globals, self.blocks, self.begun = globals_, blocks, 0

    def config(self):
        router = self.router
        lines = [f"state BACKUP\ninterface eth0\nvirtual_router_id {VRID}",
                 f"priority {router.priority}\nadvert_int {router.interval_ms / 1000:g}"]
        if not router.preempt:
            lines.append("nopreempt")
        if router.unicast:
            lines.append(f"unicast_src_ip {address(self.role)}\n"
                         f"unicast_peer {{\n{address(other(self.role))} min_ttl 255 max_ttl 255\n}}")
        if router.virtual_mac:
            lines.append("use_vmac vr51")
        lines.append(router.options)
        lines.append("virtual_ipaddress {\n" + "\n".join(router.addresses) + "\n}")
        return (f"global_defs {{\nvrrp_version {router.version}\n{self.globals}\n}}\n{self.blocks}\n"
                "vrrp_instance front {\n" + "\n".join(lines) + "\n}\n")

    def start(self):
        paths = {name: os.path.join(self.dir, name)
                 for name in ("conf", "pid", "vrrp.pid", "checkers.pid")}
        for name in ("pid", "vrrp.pid", "checkers.pid"):
            # "daemon is already running", it says of a dead one.
            if os.path.exists(paths[name]):
                os.unlink(paths[name])
        self.write("conf", self.config())
        self.begun = len(self.log())
        self.run_daemon("keepalived", "--dont-fork", "--log-console", "--vrrp", "-f", paths["conf"],
                        "-p", paths["pid"], "-r", paths["vrrp.pid"], "-c", paths["checkers.pid"])

    def state(self):
        """By its log of this start: the VIP can be there without it."""
        entered = [line for line in self.log()[self.begun:].splitlines() if "Entering " in line]
        if not entered:
            return None
        name = entered[-1].split("Entering ")[1].split()[0]
        return {"MASTER": "active", "BACKUP": "backup"}.get(name, name.lower())

    def mac(self):
        return virtual_mac(self.router.addresses[0]) if self.router.virtual_mac \
            else self.lab.mac(self.role)

    def forget_vip(self):
        self.lab.run_in(self.role, "ip", "link", "del", "vr51", check=False)
        for addr in self.router.addresses:
            self.lab.run_in(self.role, "ip", "addr", "del", f"{addr}/{128 if is_ipv6(addr) else 32}",
                            "dev", "eth0", check=False)


class Frr(Peer):
    """zebra and vrrpd. It wants an interface that has the virtual MAC and the addresses, and takes its
    carrier away (protodown) while it is Backup."""
    LINK = "vr51"
    DAEMONS = ("zebra", "vrrpd")

    def __init__(self, lab, role, router=None):
        super().__init__(lab, role, router)
        # Its daemons are user frr, and their sockets and pid files belong into this folder.
        os.chmod(lab.dir, 0o711)
        shutil.chown(self.dir, "frr", "frr")

    def config(self):
        router = self.router
        lines = [f"vrrp {VRID} version {router.version}",
                 f"vrrp {VRID} priority {router.priority}",
                 f"vrrp {VRID} advertisement-interval {router.interval_ms}",
                 ("" if router.preempt else "no ") + f"vrrp {VRID} preempt"]
        lines += [f"vrrp {VRID} {'ipv6' if is_ipv6(addr) else 'ip'} {addr}"
                  for addr in router.addresses]
        return "interface eth0\n" + "\n".join(" " + line for line in lines) + "\n"

    def start(self):
        self.forget_vip()
        self.write("zebra.conf", f"hostname {self.role}\n")
        self.write("vrrpd.conf", self.config())
        # A weak host answers on eth0 for what vr51 has.
        self.lab.sysctl(self.role, "net/ipv4/conf/eth0/arp_ignore", "1")
        self.add_link()
        for name in self.DAEMONS:
            # In this order: vrrpd tries only every ten seconds to reach zebra.
            self.run_daemon(f"/usr/lib/frr/{name}", "-u", "frr", "-g", "frr",
                            "-f", f"{self.dir}/{name}.conf", "-i", f"{self.dir}/{name}.pid",
                            "-z", f"{self.dir}/zserv.api", "--vty_socket", self.dir, "-P", "0",
                            "--log", "stdout")
            wait_until(lambda: os.path.exists(f"{self.dir}/{name}.vty"), 5 * SLACK, f"{name} is up")

    def add_link(self):
        lines = [f"addr add {addr}/{f'128 dev {self.LINK} nodad' if is_ipv6(addr) else f'32 dev {self.LINK}'}"
                 for addr in self.router.addresses]
        namespace = self.lab.name(self.role)
        self.lab.ip_batch(namespace, [f"link add {self.LINK} link eth0 type macvlan mode bridge",
                                      f"link set {self.LINK} address {self.mac()}"])
        if is_ipv6(self.router.addresses[0]):
            # Its addresses are usable as soon as it has a carrier.
            self.lab.sysctl(self.role, f"net/ipv6/conf/{self.LINK}/accept_dad", "0")
        self.lab.ip_batch(namespace, lines + [f"link set {self.LINK} up"])

    def status(self):
        text = self.lab.run_in(self.role, "vtysh", "--vty_socket", self.dir, "-c", "show vrrp json",
                               check=False)
        try:
            return json.loads(text)[0]
        except (ValueError, LookupError):
            return {}

    def state(self):
        family = "v6" if is_ipv6(self.router.addresses[0]) else "v4"
        name = self.status().get(family, {}).get("status")
        return {"Master": "active", "Backup": "backup"}.get(name, name)

    def forget_vip(self):
        self.lab.run_in(self.role, "ip", "link", "del", self.LINK, check=False)
        for name in self.DAEMONS:
            for suffix in ("vty", "pid"):
                path = os.path.join(self.dir, f"{name}.{suffix}")
                if os.path.exists(path):
                    os.unlink(path)

    def mac(self):
        return virtual_mac(self.router.addresses[0])
