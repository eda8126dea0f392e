"""What is measured: for each scenario what a proxy is asked to do and what its clients do."""
from dataclasses import dataclass, field

from contenders import Setup

SMALL_PORT, LARGE_PORT = 19001, 19002
BODIES = {SMALL_PORT: 1024, LARGE_PORT: 1 << 20}


def targets(port, count=2):
    """On as many addresses of this host."""
    return tuple(f"127.{i >> 16}.{i >> 8 & 255}.{i & 255}:{port}" for i in range(1, count + 1))


def head(host="www.example.com", path="/index.html", more=()):
    return "\r\n".join((
        f"GET {path} HTTP/1.1", f"Host: {host}", "User-Agent: load/1.0 (benchmark)",
        "Accept: text/html,*/*;q=0.8", "Accept-Language: en-US,en;q=0.5",
        "Accept-Encoding: gzip, deflate", *more, "", ""))


CLOSE = head(more=("Connection: close",))
HTTP, TCP = Setup(targets(SMALL_PORT)), Setup(targets(SMALL_PORT), mode="tcp")
LONG_HTTP = Setup(targets(LARGE_PORT), long_bodies=True)
LONG_TCP = Setup(targets(LARGE_PORT), mode="tcp", long_bodies=True)
IDLE = {"idle": 9000, "connections": 0, "sources": 64}  # an L4 pair is two descriptors, of 20,000
RATE = 8000


@dataclass(frozen=True)
class Scenario:
    key: str
    title: str
    setup: Setup
    heads: tuple = (head(),)
    load: dict = field(default_factory=dict)  # keys of load.c
    figure: str = "cpu_us"      # the one that counts, a field of Run
    unit: str = "µs"
    goal: float | None = None   # of yoke: so many times the best other
    limit: float | None = None  # of yoke: absolute


SCENARIOS = {s.key: s for s in (
    Scenario("a", "HTTP keep-alive, 1 KB", HTTP, goal=0.76),
    Scenario("b", "HTTP, a connection for each request", HTTP, (CLOSE,), {"close": 1}, goal=0.93),
    Scenario("c", "HTTP, 1 MiB bodies", LONG_HTTP, load={"connections": 8}, goal=0.97),
    Scenario("d", "TCP keep-alive, 1 KB", TCP, goal=0.98),
    Scenario("d2", "TCP, a connection for each request", TCP, (CLOSE,), {"close": 1}, goal=0.99),
    Scenario("e", "TCP, 1 MiB bodies", LONG_TCP, load={"connections": 8}, goal=0.97),
    Scenario("h", "idle HTTP connection", HTTP, load=IDLE, figure="bytes", unit="bytes", limit=320),
    Scenario("h2", "idle TCP pair", TCP, load=IDLE, figure="bytes", unit="bytes", limit=400),
    Scenario("i", f"HTTP keep-alive, {RATE:,} requests/s: p99", HTTP, load={"rate": RATE},
             figure="p99_us", goal=1.0),
)}
