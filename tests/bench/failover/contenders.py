"""The pairs that are compared. Each is the same pair of hosts in the same lab, and offers the same ways
to be struck. `first` is the host that is Active, `second` the other, both by role."""
import contextlib
import os
import signal
import time

from freeze import Frozen, threads
from lab import (COOKIE_PORT, SLACK, VIP, WEB_PORT, WEBS, LabError, address, children_of, listening,
                 other, pair_config, wait_until)
from peers import Keepalived, Router

PRIORITY, LOWER_PRIORITY = 200, 150  # as in pair_config


class Pair(contextlib.ExitStack):
    """What the contenders share: struck hosts, by what they run. Leaving it mends what hinders cleaning
    up."""

    def __init__(self, lab, primary):
        super().__init__()
        self.lab, self.first, self.second = lab, primary, other(primary)

    def freeze_thread(self, pid, name):
        """One thread that serves stands still, everything else goes on."""
        moment = time.monotonic()
        self.enter_context(Frozen(threads(pid, name)[-1]))
        return moment

    def kill_all(self):
        return self.signal_all(signal.SIGKILL)

    def power_off(self):
        moment = time.monotonic()
        self.lab.link(self.first, up=False)
        self.kill_all()
        return moment


class Yoke(Pair):
    NAME = "yoke"

    def __init__(self, lab, primary, advertise):
        super().__init__(lab, primary)
        self.active, self.backup = lab.start_pair(primary, pair_config(primary, advertise))

    def signal_all(self, number):
        return self.active.signal_all(number)

    def kill_vrrp(self):
        return self.active.kill("yoke-vrrp")

    def kill_proxy(self):
        return self.active.kill("yoke-proxy")

    def hang_worker(self):
        return self.freeze_thread(self.active.pid_of("yoke-proxy"), "worker/")

    def terminate(self):
        return self.active.sigterm()

    def hand_over(self):
        moment = time.monotonic()
        self.active.ctl("failover")
        return moment

    def wait_second_active(self):
        self.backup.wait_state("active", 10)


class HaproxyHost:
    """haproxy and keepalived on one host. Ending haproxy writes the file that keepalived can track,
    as ExecStopPost= of a unit would."""

    def __init__(self, lab, role, priority, advertise, check):
        self.lab, self.role = lab, role
        self.dir = os.path.join(lab.dir, f"haproxy-{role}")
        os.makedirs(self.dir)
        self.flag = os.path.join(self.dir, "down")
        config = os.path.join(self.dir, "haproxy.cfg")
        with open(config, "w", encoding="ascii") as file:
            file.write(HAPROXY.format(vip=VIP, port=COOKIE_PORT, servers="\n  ".join(
                f"server {web} {address(web, WEB_PORT)} check cookie {web}" for web in WEBS)))
        # It binds to the VIP while the other has it.
        lab.sysctl(role, "net/ipv4/ip_nonlocal_bind", "1")
        self.write_flag(0)
        self.haproxy = lab.start_in(role, "sh", "-c", 'haproxy -db -f "$1"; echo 1 > "$2"', "-",
                                    config, self.flag)
        wait_until(lambda: self.haproxy_pid() and listening(self.haproxy_pid(), COOKIE_PORT),
                   5 * SLACK, "haproxy listens")
        self.keepalived = Keepalived(
            lab, role, Router(priority=priority, interval_ms=advertise, options=TRACK[check]),
            globals_=GLOBALS, blocks=BLOCKS[check].format(flag=self.flag))

    def write_flag(self, value):
        with open(self.flag, "w", encoding="ascii") as file:
            file.write(f"{value}\n")

    def haproxy_pid(self):
        children = children_of(self.haproxy.pid)
        return children[1] if len(children) > 1 else None

    def signal_all(self, number):
        moment = self.keepalived.signal_all(number)
        os.killpg(self.haproxy.pid, number)
        return moment


# Real-time scheduling, and nothing that keepalived would have to be forgiven for.
GLOBALS = "vrrp_rt_priority 50\nvrrp_no_swap\nscript_user root\nenable_script_security"
BLOCKS = {
    "script": """vrrp_script haproxy {{
        script "/usr/bin/curl -sf -m 0.9 -o /dev/null http://127.0.0.1:8404/health"
        interval 1\ntimeout 1\nfall 1\nrise 1
    }}""",
    "file": """track_file haproxy {{
        file "{flag}"
        weight 0
    }}"""}
TRACK = {"script": "track_script {\nhaproxy\n}", "file": "track_file {\nhaproxy\n}"}
HAPROXY = """
global
  nbthread 2
  maxconn 4000
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  default-server inter 200ms rise 2 fall 2
frontend health
  bind 127.0.0.1:8404
  monitor-uri /health
frontend web
  bind {vip}:{port}
  default_backend web
backend web
  option httpchk GET /healthz
  cookie SERVER insert indirect nocache
  {servers}
"""


class KeepalivedScript(Pair):
    """keepalived and haproxy, which is checked by a script that asks it by HTTP once a second."""
    NAME = "keepalived"
    CHECK = "script"

    def __init__(self, lab, primary, advertise):
        super().__init__(lab, primary)
        interval_ms = int(advertise.removesuffix("ms"))
        self.hosts = {role: HaproxyHost(lab, role, priority, interval_ms, self.CHECK)
                      for role, priority in ((self.first, PRIORITY), (self.second, LOWER_PRIORITY))}
        self.active, self.backup = self.hosts[self.first], self.hosts[self.second]
        self.active.keepalived.start()
        self.active.keepalived.wait_active(10)
        self.backup.keepalived.start()
        self.backup.keepalived.wait_backup(10)

    def signal_all(self, number):
        return self.active.signal_all(number)

    def kill_vrrp(self):
        """Both of its processes: the outer one would start the inner one again, with the VIP on."""
        return self.active.keepalived.signal_all(signal.SIGKILL)

    def kill_proxy(self):
        moment = time.monotonic()
        os.kill(self.active.haproxy_pid(), signal.SIGKILL)
        return moment

    def hang_worker(self):
        return self.freeze_thread(self.active.haproxy_pid(), "haproxy")

    def terminate(self):
        """keepalived; haproxy would be stopped when nobody comes any more."""
        moment = time.monotonic()
        self.active.keepalived.processes[0].terminate()
        return moment

    def hand_over(self):
        raise LabError("there is no order for it")

    def wait_second_active(self):
        self.backup.keepalived.wait_active(10)


class KeepalivedFile(KeepalivedScript):
    """The same, but the end of haproxy writes a file that keepalived watches."""
    NAME = "keepalived-file"
    CHECK = "file"

    def hand_over(self):
        moment = time.monotonic()
        self.active.write_flag(1)
        return moment


CONTENDERS = {cls.NAME: cls for cls in (Yoke, KeepalivedScript, KeepalivedFile)}
