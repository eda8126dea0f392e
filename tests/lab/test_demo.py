"""What packaging/quickstart shows."""
import os
import re
import shlex
import subprocess

import testing
from lab import PYTHON
from segment import NAME, PREFIX, alive, namespaces

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "demo.py")


def demo(*options):
    done = subprocess.run([PYTHON, DEMO, *options], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=90,
                          check=False)
    print(done.stdout)
    return done.returncode, done.stdout


def kept():
    """Namespaces whose maker is gone, as that of a lab that is kept; others may run beside this one."""
    makers = [(name, NAME.fullmatch(name)) for name in namespaces()]
    return {name for name, maker in makers if maker and not alive(int(maker.group(1)))}


def leftovers(names):
    return [name for name in namespaces() + os.listdir("/run") if name in names
            or name.startswith(PREFIX) and name.endswith("-kept")]


def test_quickstart(checks):
    before = kept()
    made = set()
    try:
        status, text = demo("--keep")
        made = kept() - before
        checks.equal("exit status", status, 0)
        for kind in ("cookie", "address"):
            checks.true(f"sticky by {kind}: all kept",
                        re.search(rf"sticky by {kind} +(\d+) of \1 clients", text))
        checks.true("it says why", re.search(r"backup -> active: \w+", text))
        commands = [shlex.split(line) for line in text.splitlines()
                    if re.match(r"  (ip|/\S+/yokectl) ", line)]
        checks.true("it says how to look", len(commands) >= 4)
        for command in commands:
            shown = subprocess.run(command, text=True, capture_output=True, check=False)
            checks.true(f"{' '.join(command)}: {shown.stdout[:60]!r} {shown.stderr!r}",
                        shown.returncode == 0 and shown.stdout)
    finally:
        status, _ = demo("--down")
    checks.equal("exit status of --down", status, 0)
    checks.equal("left behind", leftovers(made), [])


if __name__ == "__main__":
    testing.main(globals())
