"""The frame of a lab test: a file with functions test_NAME(checks) ends with `testing.main(globals())`
and is called with NAME. Exit status 0, 1, or 77 for skipped (with the reason)."""
import os
import sys
import time
import traceback

from lab import SLACK, Lab, LabError, Traffic, bin_dir, program
from lateness import Lateness

SKIP = 77
# What happens between two moments that are measured: so many processes, one after the other, must be
# woken for it.
STEPS = 10


class Failed(Exception):
    pass


class Checks:
    """Prints everything that is measured, and goes on after a failed check: a run that fails shows
    all that was wrong."""

    def __init__(self):
        self.failed, self.done, self.begun = [], 0, time.monotonic()
        self.lateness = Lateness()

    def section(self, title):
        print(f"[{time.monotonic() - self.begun:5.1f} s] {title}", flush=True)

    def note(self, what, value):
        if isinstance(value, float):
            value = f"{value:.1f}"
        print(f"    {what}: {value}", flush=True)

    def true(self, what, value):
        self.done += 1
        if not value:
            self.failed.append(what)
            print(f"    FAILED: {what}", flush=True)

    def equal(self, what, value, wanted):
        self.true(f"{what}: {value}, wanted {wanted}", value == wanted)
        if value == wanted:
            self.note(what, value)

    def none_failed(self, what, traffic, lab):
        """Every request was answered; but those that nobody may answer, on a machine that is later than
        a lease bears."""
        late = [node.name for node in lab.nodes.values() if node.overslept()]
        if late and traffic.failed():
            self.note(f"{what}, where {late} was late", traffic.failures_text())
            traffic = Traffic([row for row in traffic.rows if row[4] != "no answer in time"])
        self.equal(what, traffic.failures_text(), "none")

    def at_most(self, what, value, limit, factor=1):
        """Fails above limit x factor; says so when it is above the limit."""
        mark = "" if value <= limit else f"  (above {limit}!)"
        self.note(what, f"{value:.1f}{mark}")
        self.true(f"{what}: {value:.1f}, at most {limit} x {factor:g}", value <= limit * factor)

    def in_time(self, what, value, limit, since=0.0, factor=2):
        """The same of a time in ms that begins at `since` (or when the test did), where a machine that
        is busy gets what it was late meanwhile for each of STEPS."""
        late = self.lateness.worst_ms(since)
        mark = "" if value <= limit else f"  (above {limit}! The machine was {late:.1f} ms late)"
        self.note(what, f"{value:.1f}{mark}")
        self.true(f"{what}: {value:.1f}, at most {limit} x {factor * SLACK:g} + {STEPS} x {late:.1f}",
                  value <= limit * factor * SLACK + STEPS * late)


class TestLab(Lab):
    """A lab that shows the nodes' logs when the test fails, and refuses sanitizers' complaints."""

    def __exit__(self, kind, value, trace):
        if kind and issubclass(kind, Exception):
            self.show_logs()
        try:
            super().__exit__(kind, value, trace)
        finally:
            self.closed = True

    def close(self):
        if self.closed:
            return
        for node in self.nodes.values():
            node.stop()
        complaints = [f"{node.name}: {line}" for node in self.nodes.values()
                      for line in node.complaints()]
        if complaints:
            self.show_logs(200)
        super().close()
        if complaints and not isinstance(sys.exc_info()[1], SystemExit):
            raise LabError("complaints in the logs: " + "; ".join(complaints))

    def show_logs(self, lines=60):
        for node in self.nodes.values():
            if node.process:
                print(f"--- log of {node.name}")
                print("\n".join(node.log().splitlines()[-lines:]), flush=True)


def main(functions):
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    test = functions.get(f"test_{name}")
    if not test:
        names = [key[5:] for key in functions if key.startswith("test_")]
        print(f"usage: {sys.argv[0]} {'|'.join(names)}", file=sys.stderr)
        sys.exit(2)
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces")
        sys.exit(SKIP)
    for binary in ("yoked", "yoke-vrrp", "yoke-proxy", "yokectl"):
        if not os.access(program(binary), os.X_OK):
            print(f"{binary} is not in {bin_dir()}")
            sys.exit(1)
    checks = Checks()
    try:
        test(checks)
    except LabError as error:
        print(f"    FAILED: {error}")
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    if checks.failed:
        print(f"{len(checks.failed)} of {checks.done} checks failed:")
        for what in checks.failed:
            print(f"  {what}")
        sys.exit(1)
    print(f"{checks.done} checks passed; the machine was {checks.lateness.worst_ms():.0f} ms late at worst")
    sys.exit(0 if checks.done else 1)
