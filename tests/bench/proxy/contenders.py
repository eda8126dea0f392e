"""The proxies that are compared. Each writes the configuration that a careful user of it would write
for what is asked for, and is started in the foreground."""
import json
import os
import re
import subprocess
from dataclasses import dataclass
from itertools import groupby

HOST = "127.0.0.1"
PORT = 18000
IDLE_S = 300  # connections may idle as long as a measurement takes


@dataclass(frozen=True)
class Route:
    """Requests to that host for paths that begin so. All lead to the same targets."""
    host: str
    path: str = "/"


@dataclass(frozen=True)
class Setup:
    """What a proxy is asked to do."""
    targets: tuple
    mode: str = "http"       # or "tcp", "udp"
    workers: int = 1
    long_bodies: bool = False
    routes: tuple = ()       # the routes of a host together, longer paths first
    sticky: bool = False     # by a cookie
    sessions: int = 0        # sticky by source address, in a table with room for so many
    access_log: bool = False
    one_answer: bool = False  # udp: a session is a datagram and its answer
    forwarded: bool = False  # X-Forwarded-For, -Proto and -Host; else yoke adds the first two


def output(*words):
    return subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, check=False).stdout


class Contender:
    """`command(setup, directory)` writes what it needs there and says how to start it. LOG: what
    the access log is called there."""
    LOG = "access.log"

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
        if setup.forwarded:
            listener["forwarded"] = {"host": "replace"}
        if setup.one_answer:
            listener |= {"requests": 1, "responses": 1}
        if setup.routes:
            listener["routes"] = [
                {"host": route.host, "pool": "web"} |
                ({"path": f"{route.path}*"} if route.path != "/" else {}) for route in setup.routes]
        if setup.sticky:
            pool["sticky"] = {"cookie": {"name": "YOKE"}}
        if setup.sessions:
            pool["sticky"] = {"source": {}}
            config["sync"] = {"max_sessions": setup.sessions}
        if setup.access_log:
            config["access_log"] = {"file": os.path.join(directory, self.LOG),
                                    "format": "combined"}
        path = self.write(directory, "yoke.json", json.dumps(config, indent=1))
        return [self.program, "--config", path, "--run-dir", os.path.join(directory, "run")]


class Haproxy(Contender):
    PRODUCT = "haproxy"
    LOG = "log"  # its output

    def command(self, setup, directory):
        path = self.write(directory, "haproxy.cfg", HAPROXY.format(
            # With splice it wants descriptors for as many pipes.
            most=2000 if setup.long_bodies else 9800,
            workers=setup.workers, mode=setup.mode, idle=IDLE_S, bind=f"{HOST}:{PORT}",
            log="log stdout format raw local0 info" if setup.access_log else "",
            options="\n  ".join(self.options(setup)),
            rules="\n  ".join(self.rules(setup, directory)),
            stick="\n  ".join(self.stick(setup)),
            servers="\n  ".join(f"server s{i} {target}{f' cookie s{i}' if setup.sticky else ''}"
                                for i, target in enumerate(setup.targets))))
        return [self.program, "-db", "-f", path]

    @staticmethod
    def options(setup):
        if setup.mode == "http":
            yield "http-reuse always"
        if setup.long_bodies:
            yield "option splice-request"
            yield "option splice-response"
        if setup.forwarded:
            yield "option forwardfor"
        if setup.access_log:
            yield "log global"
            yield "option httplog"

    def rules(self, setup, directory):
        """Of the frontend. For routes a rule each where paths count, else a map."""
        if setup.forwarded:
            yield "http-request set-header X-Forwarded-Proto http"
            yield "http-request set-header X-Forwarded-Host %[req.hdr(host)]"
        if all(route.path == "/" for route in setup.routes):
            path = self.write(directory, "hosts.map",
                              "".join(f"{route.host} web\n" for route in setup.routes))
            if setup.routes:
                yield f"use_backend %[req.hdr(host),lower,map_str({path})]"
            return
        for route in setup.routes:
            beginning = f" {{ path_beg {route.path} }}" if route.path != "/" else ""
            yield f"use_backend web if {{ req.hdr(host) -i {route.host} }}{beginning}"

    @staticmethod
    def stick(setup):
        if setup.sticky:
            yield "cookie SERVERID insert indirect nocache httponly"
        if setup.sessions:
            yield f"stick-table type ip size {setup.sessions} expire 1h"
            yield "stick on src"


HAPROXY = """
global
  nbthread {workers}
  maxconn {most}
  # It would keep no connections to servers while clients have a quarter of the descriptors.
  tune.pool-low-fd-ratio 80
  tune.pool-high-fd-ratio 90
  {log}
defaults
  mode {mode}
  timeout connect 5s
  timeout client {idle}s
  timeout server {idle}s
  timeout http-keep-alive {idle}s
  {options}
frontend front
  bind {bind} backlog 16384
  {rules}
  default_backend web
backend web
  balance roundrobin
  {stick}
  {servers}
"""


class Nginx(Contender):
    PRODUCT = "nginx"

    def __init__(self, program):
        super().__init__(program)
        self.has_sticky = tuple(map(int, self.version.split("."))) >= (1, 29, 6)

    def command(self, setup, directory):
        fields = {
            "targets": "\n    ".join(f"server {target};" for target in setup.targets),
            "idle": IDLE_S, "bind": f"{HOST}:{PORT} reuseport",
            "buffers": self.buffers(setup)}
        if setup.mode == "http":
            block = NGINX_HTTP.format(
                **fields, stick=self.stick(setup), keep=max(256, 2 * len(setup.targets)),
                forwarded=NGINX_FORWARDED if setup.forwarded else "",
                log="combined buffer=64k flush=1s" if setup.access_log else "",
                access_log="access.log" if setup.access_log else "off",
                servers="\n".join(self.servers(setup)))
        elif setup.mode == "tcp":
            block = NGINX_TCP.format(**fields)
        else:
            block = NGINX_UDP.format(**fields, limits="proxy_requests 1; proxy_responses 1;"
                                     if setup.one_answer else "")
        path = self.write(directory, "nginx.conf", NGINX.format(
            workers=setup.workers, module=self.stream_module(), block=block))
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

    def stick(self, setup):
        """Nothing is remembered: new versions set a cookie that names the target, for others the
        client's own cookie chooses it."""
        if not setup.sticky:
            return ""
        return "sticky cookie SRV;" if self.has_sticky else "hash $cookie_SID consistent;"

    @staticmethod
    def servers(setup):
        for host, routes in groupby(setup.routes, lambda route: route.host):
            locations = "\n".join(NGINX_LOCATION.format(path=route.path) for route in routes)
            yield NGINX_SERVER.format(bind=f"{HOST}:{PORT}", host=host, locations=locations)


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
NGINX_LOCATION = """
    location {path} {{
      proxy_pass http://web;
    }}
"""
NGINX_SERVER = """
  server {{
    listen {bind};
    server_name {host};
    {locations}
  }}
"""
NGINX_FORWARDED = """
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $host;
"""
NGINX_HTTP = """
http {{
  access_log {access_log} {log};
  server_tokens off;
  tcp_nodelay on;
  keepalive_timeout {idle}s;
  keepalive_requests 1000000000;
  server_names_hash_max_size 8192;
  server_names_hash_bucket_size 128;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  {forwarded}
  upstream web {{
    {stick}
    {targets}
    keepalive {keep};
    keepalive_requests 1000000000;
    keepalive_timeout {idle}s;
  }}
  server {{
    listen {bind} backlog=16384;
    {buffers}
    location / {{
      proxy_pass http://web;
    }}
  }}
{servers}
}}
"""
NGINX_TCP = """
stream {{
  access_log off;
  upstream web {{
    {targets}
  }}
  server {{
    listen {bind} backlog=16384;
    tcp_nodelay on;
    {buffers}
    proxy_pass web;
  }}
}}
"""
NGINX_UDP = """
stream {{
  access_log off;
  upstream web {{
    {targets}
  }}
  server {{
    listen {bind} udp;
    proxy_timeout {idle}s;
    {limits}
    proxy_pass web;
  }}
}}
"""
