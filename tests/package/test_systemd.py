#!/usr/bin/python3
"""The packages on a machine that systemd runs: the unit starts, reloads, is watched, restarted,
upgraded and stopped; its sandbox allows what the three processes do, with a virtual address."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import machine
from machine import BUILD, PATIENCE, TOP, check, check_soon, section, status_of, wait_for

VIP, OWN, PEER, LINK = "192.0.2.10", "192.0.2.11", "192.0.2.12", "front0"
MINIMAL = {"listeners": {"web": {"bind": ["127.0.0.1:8080", "[::1]:8080"], "pool": "web"}},
           "pools": {"web": {"targets": ["127.0.0.1:9001"]}}}
PAIR = {"nodes": {"one": {"address": OWN, "priority": 200}, "two": {"address": PEER}},
        "virtual_routers": {
            "front": {"vrid": 51, "interface": LINK, "addresses": [f"{VIP}/24"]},
            "front6": {"vrid": 51, "interface": LINK, "addresses": ["fe80::10"],
                       "virtual_mac": True}},
        "listeners": {"web": {"bind": f"{VIP}:80", "pool": "web"}},
        "pools": MINIMAL["pools"],
        "sync": {"key_file": "/etc/yoke/sync.key"}}


# ---- the machine ----

def unit(vm, *properties):
    out = vm.run("systemctl", "show", "yoke", *(f"-p{p}" for p in properties))
    return dict(line.split("=", 1) for line in out.splitlines())


def journal(vm):
    return vm.run("journalctl", "-u", "yoke", "-o", "cat", "--no-pager")


def configure(vm, configuration):
    vm.path("/etc/yoke/yoke.json").write_text(json.dumps(configuration))


def fetch(vm, url):
    code, body = vm.run_ours("curl", "-sS", "--max-time", 2 * PATIENCE, url, check=False)
    return body if code == 0 else None


def has_vip(vm):
    return f" {VIP}/" in vm.run_ours("ip", "-4", "address", "show", "dev", LINK)


def serves(vm):
    return has_vip(vm) and fetch(vm, f"http://{VIP}/") == "backend"


def is_up(vm):
    state = vm.run("systemctl", "is-system-running", check=False)[1].strip()
    return state if state in ("running", "degraded") else None


# ---- what is shown ----

def installs_quietly(vm):
    section("install on a running system")
    for deb in machine.debs():
        vm.path(f"/root/{deb.name}").write_bytes(deb.read_bytes())
    vm.run("dpkg", "-i", *(f"/root/{deb.name}" for deb in machine.debs()))
    state = unit(vm, "ActiveState", "SubState", "Type", "UnitFileState", "StatusText")
    check(f"the unit runs: {state}", state["SubState"] == "running" and state["Type"] == "notify"
          and state["UnitFileState"] == "enabled" and state["StatusText"])
    listening = [line for table in ("tcp", "tcp6", "udp", "udp6")
                 for line in vm.run_ours("cat", f"/proc/self/net/{table}").splitlines()[1:]]
    check(f"but has no port {listening or ''}", not listening)
    check("and no yoke-vrrp, so no address", not vm.processes("yoke-vrrp"))
    check("yokectl status", "single node" in vm.run("yokectl", "status"))


def verifies(vm):
    section("systemd-analyze")
    # There is no man on the machine.
    said = vm.run("systemd-analyze", "verify", "--man=no", "yoke.service")
    check(f"verify says nothing {said}", not said)
    said = vm.run("systemd-analyze", "security", "--offline=true", "yoke.service")
    score = float(re.search(r"exposure level.*: ([\d.]+)", said)[1])
    check(f"exposure {score}, at most 2.8", score <= 2.8)


def reloads(vm):
    section("systemctl reload")
    vm.start_ours("/usr/bin/python3", TOP / "tests/package/backend.py", "127.0.0.1", 9001,
                  "backend")
    wait_for("the backend", lambda: fetch(vm, "http://127.0.0.1:9001/"))
    configure(vm, MINIMAL)
    vm.run("systemctl", "reload", "yoke")
    check("in force when it returns, IPv4 and IPv6",
          all(fetch(vm, f"http://{ip}:8080/") == "backend" for ip in ("127.0.0.1", "[::1]")))
    before = vm.processes("yoked", "yoke-proxy")
    configure(vm, dict(MINIMAL, listeners={"web": {"bind": "127.0.0.1:8080", "pool": "wbe"}}))
    code, _ = vm.run("systemctl", "reload", "yoke", check=False)
    check(f"a bad file: exit status {code}", code != 0)
    check_soon("the journal says why", lambda: 'did you mean "web"' in journal(vm))
    check("nothing changed", fetch(vm, "http://127.0.0.1:8080/") == "backend"
          and vm.processes("yoked", "yoke-proxy") == before
          and unit(vm, "ActiveState")["ActiveState"] == "active")


def logs(vm):
    section("an access log")
    log, old = vm.path("/var/log/yoke/access.log"), vm.path("/var/log/yoke/access.log.1")
    configure(vm, dict(MINIMAL, access_log={"file": "/var/log/yoke/access.log"}))
    vm.run("systemctl", "reload", "yoke")
    fetch(vm, "http://127.0.0.1:8080/first")
    # As logrotate does it: rename, then what the package's snippet runs.
    log.rename(old)
    rotation = vm.path("/etc/logrotate.d/yoke").read_text()
    vm.run("sh", "-c", re.search(r"postrotate\n(.*)\tendscript", rotation, re.S)[1])
    wait_for("a line in the new file", lambda: fetch(vm, "http://127.0.0.1:8080/second")
             and log.exists() and log.read_text().count("\n") > 0)
    first = json.loads(old.read_text().splitlines()[0])
    check(f"the old file has what came before: {first}", first["path"] == "/first")
    check("the unit may write to /var/log/yoke, others may not read it",
          log.stat().st_mode & 0o7 == 0)


def make_pair(vm):
    vm.run_ours("ip", "link", "add", LINK, "type", "veth", "peer", "name", "other0")
    vm.run_ours("ip", "address", "add", f"{OWN}/24", "dev", LINK)
    vm.run_ours("ip", "address", "add", "fe80::11/64", "dev", LINK, "nodad")
    for link in (LINK, "other0"):
        vm.run_ours("ip", "link", "set", link, "up")
    vm.run("sh", "-c", "umask 077; head -c 32 /dev/urandom | base64 >/etc/yoke/sync.key")
    configure(vm, PAIR)


def takes_vip(vm):
    section("a node of a pair, in the sandbox")
    make_pair(vm)
    vm.run("systemctl", "restart", "yoke")
    wait_for("the VIP serves", lambda: serves(vm))
    check("it holds the VIP and serves on it", True)
    check_soon("Active, says the unit's status",
               lambda: "front Active" in unit(vm, "StatusText")["StatusText"])
    sysctl = f"/proc/sys/net/ipv4/conf/{LINK}"
    check("strict ARP is set", vm.run_ours("cat", f"{sysctl}/arp_ignore", f"{sysctl}/arp_announce")
          .split() == ["1", "2"])

    vrrp, proxy, yoked = (vm.process(name) for name in ("yoke-vrrp", "yoke-proxy", "yoked"))
    check("yoke-vrrp is real-time", os.sched_getscheduler(vrrp) & ~os.SCHED_RESET_ON_FORK
          == os.SCHED_FIFO)
    status = status_of(vrrp)
    locked_kib = int(status["VmLck"].split()[0])
    check(f"its memory is locked: {locked_kib} KiB", locked_kib > 1000)
    check("it keeps NET_ADMIN and NET_RAW", int(status["CapPrm"], 16) == 1 << 12 | 1 << 13)
    check("yoke-proxy keeps nothing", int(status_of(proxy)["CapBnd"], 16) == 0)
    check("all under filters, none may gain privileges",
          all(status_of(pid)["Seccomp"] == "2" and status_of(pid)["NoNewPrivs"] == "1"
              for pid in (vrrp, proxy, yoked)))
    mounts = [line.split()[4:6] for line in
              pathlib.Path(f"/proc/{vrrp}/mountinfo").read_text().splitlines()]
    writable = {where for where, options in mounts if options.startswith("rw")}
    check("files and kernel settings are read-only but for what is needed",
          not writable & {"/", "/usr", "/etc", "/proc/sys", "/sys/fs/cgroup"}
          and {"/run/yoke", "/proc/sys/net/ipv4/conf"} <= writable)
    check("there is a virtual MAC", "yv6-51-" in vm.run_ours("ip", "-o", "link"))
    complaints = [line for line in journal(vm).splitlines()
                  if re.search("cannot|ermission|not permitted|stays lax|signal 31|NO VIRTUAL", line)
                  and "Connection timed out" not in line]  # of the other node, which does not exist
    check(f"nothing was refused {complaints or ''}", not complaints)


def outlives_deaths(vm):
    section("SIGKILL of yoke-proxy")
    restarts = unit(vm, "NRestarts")["NRestarts"]
    old = vm.process("yoke-proxy")
    os.kill(old, signal.SIGKILL)
    wait_for("another yoke-proxy serves", lambda: vm.process("yoke-proxy") not in (None, old)
             and serves(vm))
    check("yoked started another one, the unit did not notice",
          unit(vm, "NRestarts")["NRestarts"] == restarts)

    section("SIGSTOP of yoke-proxy")
    old = vm.process("yoke-proxy")
    os.kill(old, signal.SIGSTOP)
    wait_for("another yoke-proxy serves", lambda: vm.process("yoke-proxy") not in (None, old)
             and serves(vm), 15)
    check_soon("yoked, without all of root's rights, may kill it",
               lambda: "no heartbeat" in journal(vm))

    section("SIGKILL of yoked")
    old, marker = vm.process("yoked"), len(journal(vm))
    os.kill(old, signal.SIGKILL)
    wait_for("another yoked serves",
             lambda: vm.process("yoked") not in (None, old) and serves(vm), 15)
    said = journal(vm)[marker:]
    check("systemd started it again", int(unit(vm, "NRestarts")["NRestarts"]) == int(restarts) + 1)
    # Who is first, its resignation or systemd's SIGKILL, is open; the lease ends either way.
    resigned = re.search(r"vrrp front: Active -> .*yoked", said)
    print(f"    yoke-vrrp had {'' if resigned else 'not '}resigned before systemd killed it", flush=True)


def is_watched(vm):
    section("SIGSTOP of yoked: the watchdog")
    restarts, marker = int(unit(vm, "NRestarts")["NRestarts"]), len(journal(vm))
    old = vm.process("yoked")
    os.kill(old, signal.SIGSTOP)
    wait_for("systemd's watchdog", lambda: "atchdog timeout" in journal(vm)[marker:], 15)
    wait_for("another yoked serves",
             lambda: vm.process("yoked") not in (None, old) and serves(vm), 15)
    check("systemd killed it and started another one",
          int(unit(vm, "NRestarts")["NRestarts"]) == restarts + 1)


def newer(deb, directory):
    """The same package with a higher version."""
    tree = directory / deb.stem
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = (tree / "DEBIAN/control").read_text()
    (tree / "DEBIAN/control").write_text(re.sub(r"^(Version: .*)$", r"\1+1", control, flags=re.M))
    result = directory / f"newer-{deb.name}"
    subprocess.run(["dpkg-deb", "-b", tree, result], check=True, stdout=subprocess.DEVNULL)
    return result


def upgrades(vm):
    section("upgrade")
    configuration = vm.path("/etc/yoke/yoke.json").read_text()
    old = vm.process("yoked")
    directory = BUILD / "newer"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for deb in machine.debs():
        shutil.copy(newer(deb, directory), vm.path(f"/root/{deb.name}"))
    vm.run("dpkg", "-i", *(f"/root/{deb.name}" for deb in machine.debs()))
    check_soon("the unit was restarted", lambda: vm.process("yoked") not in (None, old))
    check("the configuration is as it was",
          vm.path("/etc/yoke/yoke.json").read_text() == configuration)
    wait_for("the VIP serves", lambda: serves(vm))
    check("and serves", True)


def stops(vm):
    section("systemctl stop, purge")
    vm.run("systemctl", "stop", "yoke")
    state = unit(vm, "ActiveState", "Result", "ExecMainStatus")
    check(f"a clean end: {state}", state == {"ActiveState": "inactive", "Result": "success",
                                             "ExecMainStatus": "0"})
    check("no process, no VIP, no run dir", not vm.processes("yoked", "yoke-proxy", "yoke-vrrp")
          and not has_vip(vm) and not vm.path("/run/yoke").exists())
    vm.run("systemctl", "start", "yoke")
    vm.path("/etc/yoke/sync.key").unlink()
    vm.run("dpkg", "--purge", "yoke", "yokectl")
    check("purged while it ran: no process, no VIP, no unit",
          not vm.processes("yoked", "yoke-proxy", "yoke-vrrp") and not has_vip(vm)
          and unit(vm, "LoadState")["LoadState"] == "not-found")
    check("no configuration", not vm.path("/etc/yoke").exists())
    check("no logs", not vm.path("/var/log/yoke").exists())


def test():
    with machine.Machine(machine.root(), ["/lib/systemd/systemd"]) as vm:
        section("boot")
        state = wait_for("systemd", lambda: is_up(vm), 30)
        check(f"systemd is {state}", state == "running")
        try:
            installs_quietly(vm)
            verifies(vm)
            reloads(vm)
            logs(vm)
            takes_vip(vm)
            outlives_deaths(vm)
            is_watched(vm)
            upgrades(vm)
            stops(vm)
        except BaseException:
            print(journal(vm)[-6000:])
            raise


machine.main(test)
