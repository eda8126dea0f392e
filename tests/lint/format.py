#!/usr/bin/env python3
"""Are all C files formatted as .clang-format says? `clang-format -i FILE` mends one."""
import os
import shutil
import subprocess
import sys

PARTS = ("conf", "daemon", "proto", "vrrp", "tests")


def main(root):
    if not shutil.which("clang-format"):
        print("clang-format is not installed")
        return 77
    os.chdir(root)
    files = [os.path.join(here, name)
             for part in PARTS for here, _, names in os.walk(part)
             for name in sorted(names) if name.endswith((".c", ".h"))]
    if not files:
        print("nothing to check")
        return 1
    done = subprocess.run(["clang-format", "--dry-run", "--Werror", *files], text=True,
                          stderr=subprocess.PIPE, check=False)
    lines = [line for line in done.stderr.splitlines() if "error:" in line]
    print("\n".join(lines[:50]))
    print(f"{len(files)} files checked, {len({line.split(':')[0] for line in lines})} to mend")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
