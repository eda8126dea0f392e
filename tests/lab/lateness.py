"""How late this machine is, moment by moment: a process that wants to be woken every few milliseconds
writes down when it was not. What takes its time in a test can be judged by that."""
import select
import subprocess
import sys
import tempfile
import time

PAUSE_S = 0.002
LATE_S = 0.001


class Lateness:
    """Measures from now on, until this process ends, however it does."""

    def __init__(self):
        self.file = tempfile.TemporaryFile("w+", encoding="ascii")
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE,
                                        stdout=self.file)

    def worst_ms(self, since=0.0):
        """The longest that it has waited for a processor at any time after that moment of CLOCK_MONOTONIC."""
        self.file.seek(0)
        whole = self.file.read().rpartition("\n")[0]
        rows = [tuple(map(float, line.split())) for line in whole.splitlines()]
        return max((1000 * late for woken, late in rows if woken >= since), default=0.0)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.file.close()


def main():
    due = time.monotonic() + PAUSE_S
    while not select.select([0], [], [], max(0, due - time.monotonic()))[0]:
        now = time.monotonic()
        if now - due > LATE_S:
            print(f"{now:.6f} {now - due:.6f}", flush=True)
        due = now + PAUSE_S


if __name__ == "__main__":
    main()
