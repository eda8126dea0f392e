"""haproxy and nginx as neighbours of yoke, each with a configuration of some lines."""
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

from harness import Failed, die_with_us, scratch

START_TIMEOUT = 60

HAPROXY = """
global
  maxconn 100
defaults
  mode %(mode)s
  timeout connect 5s
  timeout client 5s
  timeout server 5s
%(sections)s
"""

NGINX = """
daemon off;
master_process off;
pid %(dir)s/pid;
error_log stderr error;
%(before)s
events { worker_connections 64; }
%(sections)s
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_listening(process, port, log):
    """Until something listens on the port, without connecting to it."""
    wanted = f":{port:04X} 00000000:0000 0A"
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with open("/proc/net/tcp", encoding="ascii") as table:
            if any(wanted in line for line in table):
                return
        time.sleep(0.02)
    with open(log, encoding="utf-8", errors="replace") as file:
        raise Failed(f"{process.args[0]} does not listen on {port}:\n{file.read()}")


@contextmanager
def running(command, directory, port):
    log = os.path.join(directory, "log")
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   preexec_fn=die_with_us)
    try:
        wait_listening(process, port, log)
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def program(name):
    path = shutil.which(name, path="/usr/sbin:/usr/bin")
    if not path:
        raise Failed(f"no {name} here: packaging/install-deps installs it")
    return path


@contextmanager
def haproxy(port, sections, mode="http"):
    """Runs while the block does; one of `sections` listens on `port`."""
    with scratch("haproxy") as directory:
        path = os.path.join(directory, "haproxy.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write(HAPROXY % {"mode": mode, "sections": sections})
        with running([program("haproxy"), "-db", "-f", path], directory, port):
            yield


@contextmanager
def nginx(port, sections):
    with scratch("nginx") as directory:
        module = "/usr/lib/nginx/modules/ngx_stream_module.so"
        before = f"load_module {module};" if "stream {" in sections else ""
        path = os.path.join(directory, "nginx.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(NGINX % {"dir": directory, "before": before, "sections": sections})
        with running([program("nginx"), "-c", path, "-p", directory], directory, port):
            yield
