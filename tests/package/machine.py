"""Debian machines to install packages on: a root made by debootstrap, kept between runs, and over
it a machine with name spaces and a writable layer of its own. Whatever happens to a machine is gone
with it; a machine is gone with the process that made it, however that one ends."""
import ctypes
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / "build" / "package"
SUITE = "bookworm"
ROOT_FORMAT = "1"  # another one makes new roots
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root",
               "DEBIAN_FRONTEND": "noninteractive", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


PATIENCE = 6  # of a machine that is busy


def wait_for(what, condition, seconds=10):
    """Waits until condition() is true, and returns what it returned. `seconds`: of a quiet machine."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


# ---- the root ----

def debs(directory=BUILD / "debs"):
    """The packages yokectl and yoke, as built by the test package/build."""
    found = [sorted(directory.glob(f"{name}_*.deb")) for name in ("yokectl", "yoke")]
    if not all(len(f) == 1 for f in found):
        raise SystemExit(f"{directory}: packages are missing; run the test package/build first")
    return [f[0] for f in found]


def _output(*argv):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


def deb_field(deb, field):
    return _output("dpkg-deb", "-f", deb, field).strip()


def dependencies():
    """What both packages want of Debian, as apt-get satisfy takes it."""
    wanted = {d.strip() for deb in debs() for d in deb_field(deb, "Depends").split(",")}
    return ", ".join(sorted(d for d in wanted if not re.match(r"yoke(ctl)?\b", d)))


def _sources():
    """Where this machine gets Debian from, as lines of a sources.list."""
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(LABEL)"
    out = _output("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    rows = []
    for line in sorted(set(out.splitlines())):
        uri, release, component, label = line.split("|")
        if (release in (SUITE, f"{SUITE}-updates", f"{SUITE}-security") and component == "main"
                and label in ("", "Debian", "Debian-Security") and uri.startswith("http")):
            rows.append((uri, release))
    main = next((uri for uri, release in rows if release == SUITE), None)
    if not main:
        raise SystemExit(f"apt has no source of Debian {SUITE}, which the scratch root comes from")
    return main, "".join(f"deb {uri} {release} main\n" for uri, release in rows)


def _make_root(root, log):
    mirror, sources = _sources()
    settings = _output("apt-config", "dump")
    proxy = re.search(r'^Acquire::http::Proxy "(.+)";', settings, re.MULTILINE)
    environment = dict(ENVIRONMENT)
    environment["http_proxy"] = proxy[1] if proxy else os.environ.get("http_proxy", "")

    # What these mount and start is gone when they are, also when they are killed.
    def run(*argv):
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        done = subprocess.run([*spaces, *argv], env=environment, stdin=subprocess.DEVNULL,
                              stdout=log, stderr=log, preexec_fn=_die_with_parent)
        if done.returncode:
            log.seek(0)
            print(log.read()[-4000:])
            raise SystemExit(f"no Debian root: exit status {done.returncode} of {argv}")

    run("debootstrap", "--variant=minbase", SUITE, root, mirror)
    kept = "\n".join(re.findall(r"^Acquire::(?:https?|Check|Retries).*$", settings, re.MULTILINE))
    ours = {"etc/apt/sources.list": sources, "etc/apt/apt.conf.d/00-this-machine": kept + "\n",
            "etc/resolv.conf": pathlib.Path("/etc/resolv.conf").read_text(),
            "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n"}
    for name, text in ours.items():
        (root / name).write_text(text)
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    apt = ["sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', root,
           "apt-get", "-q", "-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-unsafe-io"]
    run(*apt, "update")
    run(*apt, "satisfy", "-y", "--no-install-recommends", f"systemd-sysv, dbus, {dependencies()}")
    run(*apt, "clean")
    for name in ours:
        (root / name).unlink()
    shutil.rmtree(root / "var/lib/apt/lists")


def root():
    """The path of a Debian root with everything that the packages depend on, made when there is
    none yet for these dependencies."""
    key = hashlib.sha256(f"{ROOT_FORMAT} {SUITE} {dependencies()}".encode()).hexdigest()[:12]
    path = BUILD / f"root-{key}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            for old in BUILD.glob("root-*"):
                shutil.rmtree(old)
            unfinished = BUILD / "root-unfinished"
            with open(BUILD / "root.log", "w+") as log:
                _make_root(unfinished, log)
            unfinished.rename(path)
    return path


# ---- machines ----

class Machine:
    """A machine of its own over `base`. `init`: what its first process is."""

    def __init__(self, base, init):
        self.base, self.init, self.name = base, list(init), f"yoke-test-{os.getpid()}"
        self.others = []

    def __enter__(self):
        mnt = BUILD / "mnt"
        mnt.mkdir(parents=True, exist_ok=True)
        self._remove_cgroups()
        # A control group of its own, first: inside, it is the root of the tree.
        enter = ('mount -t cgroup2 cgroup2 "$1" && mkdir "$1/$2" &&'
                 ' echo $$ >"$1/$2/cgroup.procs" && umount "$1" && shift 2 && exec "$@"')
        argv = ["unshare", "--mount", "sh", "-c", enter, "sh", mnt, self.name,
                "unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc",
                "--cgroup", "sh", TOP / "tests/package/machine.sh", self.base, mnt, self.name]
        self.outer = subprocess.Popen(argv + self.init, preexec_fn=_die_with_parent,
                                      stdin=subprocess.DEVNULL, env=ENVIRONMENT)
        try:
            self.pid = wait_for("the machine's first process", self._first_process)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.outer.kill()
        self.outer.wait()
        for process in self.others:
            process.wait()
        wait_for("the end of the machine", self._remove_cgroups)

    def _first_process(self):
        if self.outer.poll() is not None:
            raise AssertionError("the machine did not start")
        pid, comm = self.outer.pid, os.path.basename(self.init[0])
        try:
            for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == comm:
                    return int(child)
        except OSError:  # a short-lived one of the way there
            pass
        return None

    def _remove_cgroups(self):
        """True when those of machines that have ended are gone, this one's too."""
        script = ('mount -t cgroup2 cgroup2 "$1" && cd "$1" || exit 1\n'
                  'for d in yoke-test-*; do\n'
                  '  [ -d "$d" ] && find "$d" -depth -type d -exec rmdir {} \\; 2>/dev/null\n'
                  'done\n'
                  '[ ! -d "$2" ]')
        return subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", BUILD / "mnt",
                               self.name]).returncode == 0

    def _argv(self, argv, spaces):
        return ["nsenter", "--target", str(self.pid), *spaces, *map(str, argv)]

    def run(self, *argv, check=True, spaces=("--all",), timeout=60 * PATIENCE):
        """Runs a program of the machine in it; returns what it printed (both streams), or with
        check=False (exit status, what it printed)."""
        done = subprocess.run(self._argv(argv, spaces), stdin=subprocess.DEVNULL, env=ENVIRONMENT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=timeout)
        if check and done.returncode:
            command = " ".join(map(str, argv))
            raise AssertionError(f"{command}: exit status {done.returncode}\n{done.stdout}")
        return done.stdout if check else (done.returncode, done.stdout)

    def start(self, *argv, spaces=("--all",), **options):
        """Starts a program that ends with the machine, if not before."""
        process = subprocess.Popen(self._argv(argv, spaces), stdin=subprocess.DEVNULL,
                                   env=ENVIRONMENT, **options)
        self.others.append(process)
        return process

    def start_ours(self, *argv):
        """The same with a program of this host: it shares the machine's network only."""
        return self.start(*argv, spaces=("--net", "--pid"))

    def run_ours(self, *argv, **options):
        return self.run(*argv, spaces=("--net",), **options)

    def path(self, name):
        """A file of the machine, to read and write from outside."""
        return pathlib.Path(f"/proc/{self.pid}/root/{name.lstrip('/')}")

    def processes(self, *names):
        """pid here -> name, of the machine's processes with these names."""
        space, found = os.readlink(f"/proc/{self.pid}/ns/pid"), {}
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if not entry.name.isdigit() or os.readlink(entry / "ns/pid") != space:
                    continue
                name = (entry / "comm").read_text().strip()
                if name in names:
                    found[int(entry.name)] = name
            except OSError:
                continue
        return found

    def process(self, name):
        """The pid here of the only process with this name, or None."""
        found = list(self.processes(name))
        return found[0] if len(found) == 1 else None


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


# ---- tests ----

def check(what, value):
    if not value:
        raise AssertionError(what)
    print(f"    {what}", flush=True)


def check_soon(what, condition):
    """Of what is told by others in their own time."""
    check(what, wait_for(what, condition))


def section(title):
    print(f"[{time.monotonic() - section.begun:5.1f} s] {title}", flush=True)


section.begun = time.monotonic()


def main(test):
    if os.geteuid() != 0:
        print("skipped: makes name spaces and mounts, which needs root")
        raise SystemExit(77)
    signal.signal(signal.SIGTERM, lambda *_: exit(1))
    test()
