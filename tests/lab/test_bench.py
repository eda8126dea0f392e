"""The benchmark of failover: its arithmetic, and that it runs."""
import json
import os
import subprocess
import sys

import testing
from lab import PYTHON, ROOT, Traffic

BENCH = os.path.join(ROOT, "tests", "bench", "failover")
sys.path.insert(0, BENCH)

from faults import FAULTS  # pylint: disable=wrong-import-position
from report import Run, moves, of_arp, of_traffic, spread, table


def runs(outages, contender="yoke", **more):
    given = {"fault": "sigkill_all", "contender": contender, "advertise": "100ms", "failing_ms": 5.0,
             "failed": 1, "requests": 9, "moves": 1, "asked": 100, "doubles": 0, "answering": 1}
    return [Run(primary=primary, outage_ms=outage, **(given | more))
            for primary in ("node1", "node2") for outage in outages]


def test_bench_report(checks):
    checks.equal("moves of one who stays", moves(["a", "a"], "a"), 0)
    checks.equal("there and back", moves(["b", "b", "a"], "a"), 2)
    checks.equal("spread", spread([3, 1, 2], "never"), "2 (1..3)")
    checks.equal("all alike", spread([1, 1.2], "never"), "1")
    checks.equal("never is the latest", spread([3, None, None], "never"), "never (3..never)")

    # Answered until 1.0, then refused until 1.4, then answered again.
    rows = [[t / 100, t / 100 + 0.001, None, "", "" if t < 100 or t >= 140 else "refused"]
            for t in range(300)]
    seen = of_traffic(Traffic(rows), 1.0, partial=False)
    checks.true(f"outage: {seen}", abs(seen["outage_ms"] - 410) < 1)
    checks.true("failing until", abs(seen["failing_ms"] - 390) < 1)
    checks.equal("requests since", (seen["failed"], seen["requests"]), (40, 200))
    for row in rows[2::3]:
        row[4] = "refused"
    seen = of_traffic(Traffic(rows), 1.0, partial=True)
    checks.equal("some still fail", (seen["outage_ms"], seen["failing_ms"]), (None, None))
    asked = [[t / 100, ["a"] * (t < 150) + ["b"] * (t >= 140)] for t in range(300)]
    checks.equal("ARP", of_arp(asked, [[0.9, "x"], [1.4, "b"]], 1.0, "a"),
                 {"moves": 1, "asked": 199, "doubles": 10, "answering": 1})

    lines = table(runs([300, 320, 500]), FAULTS, "100ms").splitlines()
    checks.equal("lines of the table", len(lines), 3)
    checks.true(f"its median counts: {lines[2]}", "| 320 (300..500) | 320 (300..500) |" in lines[2])
    late = table(runs([300, None, 500]), FAULTS, "100ms").splitlines()[2]
    checks.true(f"a promise that was not kept: {late}", "**500 (300..never) > 340**" in late)
    twice = table(runs([300], doubles=1, moves=2), FAULTS, "100ms").splitlines()[2]
    checks.true(f"nor were these: {twice}", "| **2** | 1 | **2 of 200** |" in twice)
    other = table(runs([500], "keepalived", doubles=7, moves=3), FAULTS, "100ms").splitlines()[2]
    checks.true(f"another's is not judged: {other}", "**" not in other)
    checks.true("the sum of all runs", "| 14 of 200 |" in other)
    checks.equal("of another interval", len(table(runs([1]), FAULTS, "10ms").splitlines()), 2)


def test_bench_failover(checks):
    """Each contender once. What is measured there is for a quiet machine to judge."""
    path = os.path.join("/run", f"yoke-bench-{os.getpid()}.json")
    try:
        done = subprocess.run(
            [PYTHON, os.path.join(BENCH, "measure.py"), "--rows", "sigkill_proxy", "--runs", "1",
             "--advertise", "100ms", "--primaries", "node1", "--json", path],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=150, check=False)
        checks.note("output", done.stdout)
        checks.equal("exit status", done.returncode, 0)
        with open(path, encoding="utf-8") as file:
            seen = {run["contender"]: run for run in json.load(file)["runs"]}
    finally:
        if os.path.exists(path):
            os.unlink(path)
    checks.equal("contenders", sorted(seen), ["keepalived", "keepalived-file", "yoke"])
    for name, run in seen.items():
        checks.true(f"{name}: it was noticed and mended",
                    run["outage_ms"] and run["outage_ms"] > 5 and run["failing_ms"] is not None)
        checks.equal(f"{name}: moves", run["moves"], 1)


if __name__ == "__main__":
    testing.main(globals())
