#!/usr/bin/python3
"""Both packages on a Debian root without a running systemd: what installing does and does not do,
that the installed programs work, and that purging leaves nothing."""
import json
import os
import signal

import machine
from machine import BUILD, PATIENCE, TOP, check, section, status_of, wait_for

PROGRAMS = ("yoked", "yoke-proxy", "yoke-vrrp", "yokectl")
# What Debian's own tools keep behind every package.
ALLOWED = ("/var/lib/dpkg/", "/var/log/", "/var/cache/", "/var/lib/systemd/deb-systemd-helper",
           "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/.pwd.lock")


def files(vm):
    out = vm.run("find", "/", "-xdev", "-not", "-path", "/tmp/*")
    return {line for line in out.splitlines() if not line.startswith(ALLOWED)}


def install(vm):
    section("install")
    check("no user yoke before", "yoke" not in vm.run("getent", "passwd"))
    version = machine.deb_field(machine.debs()[0], "Version")
    for deb in machine.debs():
        vm.path(f"/tmp/{deb.name}").write_bytes(deb.read_bytes())
    vm.run("dpkg", "-i", *(f"/tmp/{deb.name}" for deb in machine.debs()))
    user = vm.run("getent", "passwd", "yoke").strip().split(":")
    check("user yoke, a system user without a shell", 0 < int(user[2]) < 1000
          and user[6] == "/usr/sbin/nologin")
    check("nothing runs", not vm.processes(*PROGRAMS))
    check(f"yoked is {version}", vm.run("yoked", "--version") == f"yoked {version}\n")
    check(f"yokectl is {version}", vm.run("yokectl", "--version") == f"yokectl {version}\n")
    for page in ("yoked.8", "yoke-vrrp.8", "yoke-proxy.8", "yokectl.1", "yoke.json.5"):
        path = f"/usr/share/man/man{page[-1]}/{page}.gz"
        check(path, vm.path(path).stat().st_size > 100)
    json.loads(vm.path("/usr/share/yoke/yoke.schema.json").read_text())
    check("the table of metrics", vm.path("/usr/share/doc/yoke/METRICS.md.gz").stat().st_size > 1000)
    for name in ("/etc/yoke/yoke.json", "/usr/share/doc/yoke/examples/minimal.json",
                 "/usr/share/doc/yoke/examples/pair.json"):
        check(f"yoked --check {name}",
              vm.run("yoked", "--check", "--config", name) == f"{name}: ok\n")
    conffiles = vm.run("dpkg-query", "-W", "-f", "${Conffiles}", "yoke").split()
    check("conffiles: yoke.json, and how its log rotates",
          sorted(conffiles[::2]) == ["/etc/logrotate.d/yoke", "/etc/yoke/yoke.json"])


def fetch(vm, url):
    code, body = vm.run_ours("curl", "-sS", "--fail", "--max-time", 5 * PATIENCE, url, check=False)
    return body if code == 0 else None


def proxy(vm):
    section("the minimal example proxies")
    example = vm.path("/usr/share/doc/yoke/examples/minimal.json").read_text()
    vm.path("/etc/yoke/yoke.json").write_text(example)
    for port in (9001, 9002):
        vm.start_ours("/usr/bin/python3", TOP / "tests/package/backend.py", "127.0.0.1", port,
                      f"backend {port}")
        wait_for("the backend", lambda: fetch(vm, f"http://127.0.0.1:{port}/"))
    log = open(BUILD / "install.log", "w")
    yoked = vm.start("yoked", stdout=log, stderr=log)
    wait_for("an answer", lambda: fetch(vm, "http://127.0.0.1:8080/"))
    bodies = {fetch(vm, "http://127.0.0.1:8080/") for _ in range(4)}
    check("both backends answer through yoke", bodies == {"backend 9001", "backend 9002"})
    check("yokectl status", "single node" in vm.run("yokectl", "status"))
    status = json.loads(vm.run("yokectl", "status", "--json"))
    check("yokectl status --json: the pool has two targets", status["pools"]["web"]["total"] == 2)
    check("yokectl targets", vm.run("yokectl", "targets").count("127.0.0.1:900") == 2)
    check("yokectl reload", "reloaded" in vm.run("yokectl", "reload"))

    proxy_status = status_of(vm.process("yoke-proxy"))
    uid = vm.run("id", "-u", "yoke").strip()
    check("yoke-proxy runs as user yoke", proxy_status["Uid"].split() == [uid] * 4)
    check("without capabilities", all(int(proxy_status[c], 16) == 0
                                      for c in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb")))
    check("under a system call filter", proxy_status["Seccomp"] == "2")
    check("no yoke-vrrp without virtual routers", not vm.processes("yoke-vrrp"))
    os.kill(vm.process("yoked"), signal.SIGTERM)
    check("SIGTERM: exit status 0", yoked.wait(15 * PATIENCE) == 0)
    check("nothing is left running", not vm.processes(*PROGRAMS))


def remove(vm, before):
    section("remove, purge")
    vm.run("dpkg", "--remove", "yoke")
    check("removed: the configuration stays", vm.path("/etc/yoke/yoke.json").exists())
    vm.run("dpkg", "--purge", "yoke", "yokectl")
    left = sorted(files(vm) - before)
    check(f"purged: no file is left {left or ''}", not left)
    gone = sorted(before - files(vm))
    check(f"and none of others is missing {gone or ''}", not gone)


def test():
    with machine.Machine(machine.root(), ["/bin/sleep", "infinity"]) as vm:
        before = files(vm)
        install(vm)
        proxy(vm)
        remove(vm, before)


machine.main(test)
