"""What is measured: for each scenario what a proxy is asked to do and what its clients do."""
from dataclasses import dataclass, field, replace

from contenders import Route, Setup

SMALL_PORT, LARGE_PORT, ECHO_PORT = 19001, 19002, 19003
BACKEND = {SMALL_PORT: 1024, LARGE_PORT: 1 << 20, ECHO_PORT: "echo"}  # what backend.c does there


@dataclass(frozen=True)
class Scenario:
    key: str
    title: str
    setup: Setup
    heads: tuple                # what clients ask for, in turn
    load: dict = field(default_factory=dict)  # keys of load.c
    group: str = "speed"
    x: int | None = None        # of a curve, which is the group
    figure: str = "cpu_us"      # the one that counts, a field of Run
    unit: str = "µs"
    goal: float | None = None   # of yoke: so many times the best other
    limit: float | None = None  # of yoke: absolute
    products: tuple = ("yoke", "haproxy", "nginx")
    spread: bool = False        # where there are but two CPUs, all processes share both
    slow: bool = False          # to prepare


def targets(port, count=2):
    """On as many addresses of this host."""
    return tuple(f"127.{i >> 16}.{i >> 8 & 255}.{i & 255}:{port}" for i in range(1, count + 1))


def head(host="www.example.com", path="/index.html", more=()):
    return "\r\n".join((
        f"GET {path} HTTP/1.1", f"Host: {host}", "User-Agent: load/1.0 (benchmark)",
        "Accept: text/html,*/*;q=0.8", "Accept-Language: en-US,en;q=0.5",
        "Accept-Encoding: gzip, deflate", *more, "", ""))


def browser_head(host="www.example.com", path="/catalogue/shoes?page=2&sort=price"):
    """Twenty fields, 1.5 KB of cookies."""
    lengths = {"consent": 128, "_analytics": 64, "_analytics_id": 96, "experiments": 320,
               "preferences": 256, "basket": 64, "last_seen": 160, "session_token": 352}
    cookies = "; ".join(f"{name}={'0123abcd' * (length // 8)}" for name, length in lengths.items())
    return "\r\n".join((
        f"GET {path} HTTP/1.1", f"Host: {host}", "Connection: keep-alive",
        "Cache-Control: max-age=0",
        'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"', "sec-ch-ua-mobile: ?0",
        'sec-ch-ua-platform: "Linux"', "Upgrade-Insecure-Requests: 1", "DNT: 1",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/140.0.0.0 Safari/537.36",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,"
        "*/*;q=0.8",
        "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate", "Sec-Fetch-User: ?1",
        "Sec-Fetch-Dest: document", f"Referer: http://{host}/catalogue/shoes",
        "Accept-Encoding: gzip, deflate, br", "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
        "Priority: u=0, i", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        f"Cookie: {cookies}", "", ""))


def hosts(count):
    return tuple(Route(f"site{i}.example.com") for i in range(count))


PLAIN = (head(),)
CLOSE = (head(more=("Connection: close",)),)
HTTP, TCP = Setup(targets(SMALL_PORT)), Setup(targets(SMALL_PORT), mode="tcp")
LONG_HTTP = Setup(targets(LARGE_PORT), long_bodies=True)
LONG_TCP = Setup(targets(LARGE_PORT), mode="tcp", long_bodies=True)
IDLE = {"idle": 9000, "connections": 0, "sources": 64}  # a TCP pair is two descriptors, of 20,000
RATE = 8000
CLIENTS = {"clients": 1000}
# Ten sites with three parts each; requests meet all of them.
ROUTES = tuple(Route(route.host, path) for route in hosts(10) 
               for path in ("/api/", "/static/", "/"))
ROUTED = tuple(head(route.host, f"{route.path}index.html") for route in ROUTES)
REAL = tuple(browser_head(route.host, f"{route.path}catalogue/shoes?page=2") for route in ROUTES)


def speed():
    yield Scenario("a", "HTTP keep-alive, 1 KB", HTTP, PLAIN, goal=0.76)
    yield Scenario("b", "HTTP, a connection for each request", HTTP, CLOSE, {"close": 1}, goal=0.93)
    yield Scenario("c", "HTTP, 1 MiB bodies", LONG_HTTP, PLAIN, {"connections": 8}, goal=0.97)
    yield Scenario("d", "TCP keep-alive, 1 KB", TCP, PLAIN, goal=0.98)
    yield Scenario("d2", "TCP, a connection for each request", TCP, CLOSE, {"close": 1}, goal=0.99)
    yield Scenario("e", "TCP, 1 MiB bodies", LONG_TCP, PLAIN, {"connections": 8}, goal=0.97)
    yield Scenario("h", "idle HTTP connection", HTTP, PLAIN, IDLE, figure="bytes", unit="bytes",
                   limit=320)
    yield Scenario("h2", "idle TCP pair", TCP, PLAIN, IDLE, figure="bytes", unit="bytes", limit=400)
    yield Scenario("i", f"HTTP keep-alive, {RATE:,} requests/s: p99", HTTP, PLAIN, {"rate": RATE},
                   figure="p99_us", goal=1.0)


def udp():
    """64 clients, a datagram of 200 bytes and the same back. haproxy has none."""
    for one_answer, key, title in ((False, "u", "UDP, a session for each client"),
                                   (True, "u2", "UDP, a session for each request")):
        setup = Setup(targets(ECHO_PORT), mode="udp", one_answer=one_answer)
        yield Scenario(key, title, setup, PLAIN, {"udp": 1, "close": int(one_answer)}, group="udp",
                       products=("yoke", "nginx"))


def site():
    """All that a site has, and what each of it costs alone: beside `a`."""
    for scenario in (
            Scenario("real", "all of these and X-Forwarded-*", Setup(
                targets(SMALL_PORT), routes=ROUTES, sticky=True, access_log=True, forwarded=True),
                REAL, CLIENTS, goal=0.76),
            Scenario("head", "20 fields, 1.5 KB of cookies", HTTP, (browser_head(),)),
            Scenario("routes30", "30 routes by host and path", replace(HTTP, routes=ROUTES),
                     ROUTED),
            Scenario("policy", "30 routes, 20 targets",
                     Setup(targets(SMALL_PORT, 20), routes=ROUTES), ROUTED),
            Scenario("sticky", "sticky by a cookie, 1,000 clients", replace(HTTP, sticky=True),
                     PLAIN, CLIENTS),
            Scenario("log", "access log", replace(HTTP, access_log=True), PLAIN)):
        yield replace(scenario, group="site")


def curves():
    """One number grows. HTTP keep-alive, but for sessions: these clients are known by address."""
    for n in (1, 30, 1000):
        yield Scenario(f"routes-{n}", f"{n:,} host{'s' * (n > 1)}, a route each",
                       replace(HTTP, routes=hosts(n)),
                       tuple(head(route.host) for route in hosts(n)), group="routes", x=n)
    for n in (2, 100, 1000):
        yield Scenario(f"targets-{n}", f"{n:,} targets", Setup(targets(SMALL_PORT, n)), PLAIN,
                       group="targets", x=n)
    for n in (1_000, 100_000, 1_000_000):
        yield Scenario(f"sessions-{n}", f"{n:,} sessions, a connection for each request",
                       replace(HTTP, sessions=2 * n), CLOSE,
                       {"close": 1, "clients": n, "hosts": 1}, group="sessions", x=n,
                       products=("yoke", "haproxy"), slow=n > 100_000)
    for n in (0, 3000, 9000):
        yield Scenario(f"idle-{n}", f"{n:,} idle connections beside", HTTP, PLAIN,
                       {"idle": n, "sources": 64}, group="idle", x=n)


def workers():
    for n in (1, 2):
        yield Scenario(f"workers-{n}", f"HTTP keep-alive, {n} worker{'s' * (n > 1)}",
                       replace(HTTP, workers=n), PLAIN, group="workers", x=n, spread=True)


def syscalls():
    for scenario in speed():
        if scenario.key in ("a", "b", "d", "d2"):
            yield replace(scenario, key=f"syscalls-{scenario.key}", group="syscalls",
                          figure="syscalls", unit="a request", goal=None)


SCENARIOS = {s.key: s for part in (speed, udp, site, curves, workers, syscalls) for s in part()}
GROUPS = list(dict.fromkeys(s.group for s in SCENARIOS.values()))
