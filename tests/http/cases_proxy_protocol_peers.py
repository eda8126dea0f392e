"""The PROXY protocol between yoke and others: haproxy and nginx, before and behind it."""
import os
import socket
import time

from harness import STEP_TIMEOUT, Case, End, Failed, do
from messages import ok, req
from peers import free_port, haproxy, nginx

ME = "127.0.0.77"  # where the client connects from
EXPECT = {"proxy_protocol": True}
PASS = {"send_proxy_protocol": {"version": "v2", "pass_tlvs": True, "crc32c": True}}

IN_FRONT = """
listen front
  bind 127.0.0.1:%(port)d
  server yoke %(yoke)s %(options)s
"""
BEHIND = """
frontend behind
  bind 127.0.0.1:%(port)d accept-proxy
  http-request return status 200 content-type text/plain lf-string "%%[src] %%[src_port] %%[dst] %%[dst_port]"
"""
BEHIND_TCP = """
frontend behind
  bind 127.0.0.1:%(port)d accept-proxy
  tcp-request content reject unless { src %(me)s }
  default_backend nowhere
backend nowhere
  server target 127.0.0.1:%(next)d
"""
NGINX_HTTP = """
http {
  access_log off;
  server {
    listen 127.0.0.1:%(port)d proxy_protocol;
    location / { return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr"; }
  }
}
"""
NGINX_STREAM = """
stream {
  server {
    listen 127.0.0.1:%(port)d;
    proxy_pass %(yoke)s;
    proxy_protocol on;
  }
}
"""


def client(port, address="127.0.0.1"):
    """Connects as ME."""
    sock = socket.create_connection((address, port), STEP_TIMEOUT, (ME, 0))
    return End(sock, "client")


def yoke(run):
    return f"{run.address}:{run.port}"


def target_port(run):
    """Leaves the target's port to somebody else."""
    run.targets[0].sock.close()
    return run.targets[0].port


def body_of(end):
    head = end.take_head()
    if not head.startswith(b"HTTP/1.1 200 "):
        raise Failed(f"no 200: {head!r} {end.ahead!r}")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                  if line.startswith(b"content-length:"))
    return end.take(length).decode()


def require(got, wanted):
    if got != wanted:
        raise Failed(f"{got!r} instead of {wanted!r}")


def arrives(run, port):
    """A request to `port` reaches the target as one of the client."""
    end = client(port)
    end.send(req())
    head = run.backend("b").take_head()
    if b"\r\nX-Forwarded-For: %s\r\n" % ME.encode() not in head:
        raise Failed(f"not from {ME}: {head!r}")
    run.backend("b").send(ok())
    require(body_of(end), "ok")
    end.close()


def wait_for(condition):
    deadline = time.monotonic() + STEP_TIMEOUT
    while not condition():
        if time.monotonic() > deadline:
            raise Failed("it does not happen")
        time.sleep(0.02)


def haproxy_in_front(options):
    def scene(run):
        port = free_port()
        with haproxy(port, IN_FRONT % {"port": port, "yoke": yoke(run), "options": options}):
            arrives(run, port)
    return do(scene)


def haproxy_checks(options):
    """haproxy's health checks find yoke up: else it would not pass a request on."""
    def scene(run):
        port = free_port()
        config = IN_FRONT % {"port": port, "yoke": yoke(run),
                             "options": f"{options} check inter 50ms"}
        before = run.yoke.metric("yoke_proxy_headers_total")
        with haproxy(port, config):
            wait_for(lambda: run.yoke.metric("yoke_proxy_headers_total") >= before + 3)
            arrives(run, port)
        for counter in ("malformed", "missing", "checksum"):
            require(run.yoke.metric(f"yoke_proxy_headers_{counter}_total"), 0)
    return do(scene)


def haproxy_behind(run):
    port = target_port(run)
    with haproxy(port, BEHIND % {"port": port}):
        end = client(run.port, run.address)
        for _ in range(2):
            end.send(req())
            require(body_of(end), f"{ME} {end.sock.getsockname()[1]} {run.address} {run.port}")
        end.close()


def haproxy_behind_tcp(run):
    """It closes whatever does not come from the client."""
    port, after = target_port(run), socket.create_server(("127.0.0.1", 0))
    config = BEHIND_TCP % {"port": port, "me": ME, "next": after.getsockname()[1]}
    with after, haproxy(port, config, mode="tcp"):
        end = client(run.port, run.address)
        after.settimeout(STEP_TIMEOUT)
        server = End(after.accept()[0], "server")
        server.send(b"220 ready\r\n")
        end.require(b"220 ready\r\n")
        end.send(b"QUIT\r\n")
        server.require(b"QUIT\r\n")
        server.close()
        end.close()


def nginx_behind(run):
    port = target_port(run)
    with nginx(port, NGINX_HTTP % {"port": port}):
        end = client(run.port, run.address)
        end.send(req())
        require(body_of(end), f"{ME} {end.sock.getsockname()[1]} {run.address}")
        end.close()


def nginx_in_front(run):
    port = free_port()
    with nginx(port, NGINX_STREAM % {"port": port, "yoke": yoke(run)}):
        arrives(run, port)


def chain(options):
    """haproxy, yoke, haproxy: the last one knows the client and where it connected to."""
    def scene(run):
        first, last = free_port(), target_port(run)
        with haproxy(first, IN_FRONT % {"port": first, "yoke": yoke(run), "options": options}), \
                haproxy(last, BEHIND % {"port": last}):
            end = client(first)
            end.send(req())
            require(body_of(end), f"{ME} {end.sock.getsockname()[1]} 127.0.0.1 {first}")
            end.close()
    return do(scene)


V2_ALL = "send-proxy-v2 proxy-v2-options crc32c,unique-id"
CASES = [
    Case("haproxy in front, v1", haproxy_in_front("send-proxy"), listener=EXPECT),
    Case("haproxy in front, v2", haproxy_in_front("send-proxy-v2"), listener=EXPECT),
    Case("haproxy in front, v2 with TLVs", haproxy_in_front(V2_ALL), listener=EXPECT),
    Case("haproxy's checks, v1", haproxy_checks("send-proxy check-send-proxy"), listener=EXPECT),
    Case("haproxy's checks, v2", haproxy_checks("send-proxy-v2 check-send-proxy"),
         listener=EXPECT),
    Case("haproxy behind, v1", do(haproxy_behind), pool={"send_proxy_protocol": "v1"}),
    Case("haproxy behind, v2", do(haproxy_behind), pool={"send_proxy_protocol": "v2"}),
    Case("haproxy behind, v2 with a checksum", do(haproxy_behind), pool=PASS),
    Case("haproxy behind, tcp, v1, the server speaks first", do(haproxy_behind_tcp),
         listener={"mode": "tcp"}, pool={"send_proxy_protocol": "v1"}),
    Case("haproxy behind, tcp, v2, the server speaks first", do(haproxy_behind_tcp),
         listener={"mode": "tcp"}, pool=PASS),
    Case("nginx behind, v1", do(nginx_behind), pool={"send_proxy_protocol": "v1"}),
    Case("nginx behind, v2", do(nginx_behind), pool=PASS),
    Case("haproxy, yoke, haproxy: v1 and v1", chain("send-proxy"), listener=EXPECT,
         pool={"send_proxy_protocol": "v1"}),
    Case("haproxy, yoke, haproxy: v1 and v2", chain("send-proxy"), listener=EXPECT, pool=PASS),
    Case("haproxy, yoke, haproxy: v2 and v2", chain(V2_ALL), listener=EXPECT, pool=PASS),
    Case("haproxy, yoke, haproxy: tcp", chain("send-proxy-v2"),
         listener={**EXPECT, "mode": "tcp"}, pool=PASS),
]
if os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"):
    CASES.append(Case("nginx in front", do(nginx_in_front), listener=EXPECT))
