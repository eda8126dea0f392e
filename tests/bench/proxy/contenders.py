"""The proxies that are compared. Each writes the configuration that a careful user of it would write
for what is asked for, and is started in the foreground."""
import json
import os
import re
import subprocess
from dataclasses import dataclass

HOST = "127.0.0.1"
PORT = 18000
LOG_PORT = 19514
IDLE_S = 300  # connections may idle as long as a measurement takes


@dataclass(frozen=True)
class Route:
    host: str
    path: str | None = None  # the beginning of it; None: any


@dataclass(frozen=True)
class Setup:
    """What a proxy is asked to do."""
    targets: tuple
    mode: str = "http"          # or "tcp"
    workers: int = 1
    long_bodies: bool = False
    routes: tuple = ()          # all to the same targets
    sticky: bool = False        # by a cookie
    sessions: int = 0           # sticky by a table with room for so many clients
    access_log: bool = False


def output(*words):
    return subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False).stdout


class Contender:
    """`command(setup, directory)` writes what it needs there and says how to start it."""

    def __init__(self, program):
        self.program = program
        self.version = re.search(r"\d+\.\d+[\w.-]*", self.about())[0]
        self.name = f"{self.PRODUCT} {re.match('[0-9.]+', self.version)[0].rstrip('.')}"

    def about(self):
        return output(self.program, "-v")

    def command(self, setup, directory):
        raise NotImplementedError

    def write(self, directory, name, text):
        path = os.path.join(directory, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path


class Yoke(Contender):
    PRODUCT = "yoke"

    def __init__(self, program):
        super().__init__(program)
        self.name = self.PRODUCT

    def about(self):
        return output(self.program, "--version")

    def command(self, setup, directory):
        pool = {"targets": list(setup.targets)}
        listener = {"bind": f"{HOST}:{PORT}", "mode": setup.mode, "pool": "web",
                    "idle_timeout": f"{IDLE_S}s"}
        config = {"workers": setup.workers, "log_level": "warn", "listeners": {"front": listener},
                  "pools": {"web": pool}}
        path = self.write(directory, "yoke.json", json.dumps(config, indent=1))
        return [self.program, "--config", path, "--run-dir", os.path.join(directory, "run")]


class Haproxy(Contender):
    PRODUCT = "haproxy"

    def command(self, setup, directory):
        path = self.write(directory, "haproxy.cfg", HAPROXY.format(
            # With splice it wants descriptors for as many pipes.
            most=2000 if setup.long_bodies else 9800,
            workers=setup.workers, mode=setup.mode, idle=IDLE_S, bind=f"{HOST}:{PORT}",
            options="\n  ".join(self.options(setup)),
            servers="\n  ".join(f"server s{i} {target}"
                                for i, target in enumerate(setup.targets))))
        return [self.program, "-db", "-q", "-f", path]

    @staticmethod
    def options(setup):
        if setup.mode == "http":
            yield "http-reuse always"
        if setup.long_bodies:
            yield "option splice-request"
            yield "option splice-response"


HAPROXY = """
global
  nbthread {workers}
  maxconn {most}
defaults
  mode {mode}
  timeout connect 5s
  timeout client {idle}s
  timeout server {idle}s
  timeout http-keep-alive {idle}s
  {options}
frontend front
  bind {bind} backlog 16384
  default_backend web
backend web
  balance roundrobin
  {servers}
"""


class Nginx(Contender):
    PRODUCT = "nginx"

    def command(self, setup, directory):
        servers = "".join(f"server {target};\n    " for target in setup.targets)
        path = self.write(directory, "nginx.conf", NGINX.format(
            workers=setup.workers, module=self.stream_module(),
            block=(NGINX_HTTP if setup.mode == "http" else NGINX_TCP).format(
                servers=servers, idle=IDLE_S, bind=f"{HOST}:{PORT}",
                buffers=self.buffers(setup))))
        return [self.program, "-p", directory, "-e", "stderr", "-c", path]

    def stream_module(self):
        """Debian's is a module of its own."""
        options = output(self.program, "-V")
        if "--with-stream=dynamic" not in options:
            return ""
        path = re.search(r"--modules-path=(\S+)", options)[1]
        return f"load_module {path}/ngx_stream_module.so;"

    @staticmethod
    def buffers(setup):
        if not setup.long_bodies:
            return ""
        if setup.mode == "tcp":
            return "proxy_buffer_size 32k;"
        return ("proxy_buffer_size 16k; proxy_buffers 8 16k; proxy_busy_buffers_size 32k; "
                "proxy_max_temp_file_size 0;")


NGINX = """
user root;
daemon off;
worker_processes {workers};
pid nginx.pid;
error_log stderr crit;
{module}
events {{
  use epoll;
  worker_connections 19900;
  multi_accept on;
}}
{block}
"""
NGINX_HTTP = """
http {{
  access_log off;
  server_tokens off;
  tcp_nodelay on;
  keepalive_timeout {idle}s;
  keepalive_requests 1000000000;
  upstream web {{
    {servers}
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout {idle}s;
  }}
  server {{
    listen {bind} reuseport backlog=16384;
    {buffers}
    location / {{
      proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }}
  }}
}}
"""
NGINX_TCP = """
stream {{
  access_log off;
  upstream web {{
    {servers}
  }}
  server {{
    listen {bind} reuseport backlog=16384;
    tcp_nodelay on;
    {buffers}
    proxy_pass web;
  }}
}}
"""
