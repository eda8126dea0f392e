"""A node of the replication channel alone, without a proxy and VRRP: tests/bench/sync/sync_node.c."""
import json
import os
import signal
import subprocess

from lab import LabError, address, tool

SYNC_PORT = 5405


class SyncNode:
    """On a host, in the place of its yoke. It knows nothing of that host's virtual routers."""

    def __init__(self, lab, role, peer):
        self.role = role
        words = [role, peer, address(peer, SYNC_PORT), os.path.join(lab.dir, "sync.key")]
        if role > peer:
            words.append(address(role, SYNC_PORT))
        self.process = lab.start_in(role, tool("sync_node"), *words, stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "it is gone"}')
        if "error" in answer:
            raise LabError(f"sync_node of {self.role}: {words}: {answer['error']}")
        return answer

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        self.signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait(10)
