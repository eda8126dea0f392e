#!/usr/bin/env python3
"""Reads every file with clang too (no code is generated): other warnings than gcc's, errors here as
there. Takes the commands from the build directory's compile_commands.json."""
import concurrent.futures
import json
import os
import shlex
import shutil
import subprocess
import sys

DROP = {"-fno-sanitize-recover=all", "-fsanitize-recover=all"}


def command(entry):
    words = shlex.split(entry["command"])
    keep, skip = [], False
    for word in words[1:]:
        if skip:
            skip = False
        elif word == "-o":
            skip = True
        elif not word.startswith("-fsanitize") and word not in DROP and word != "-c":
            keep.append(word)
    return ["clang", "-fsyntax-only", "-Qunused-arguments", *keep]


def run(entry):
    done = subprocess.run(command(entry), cwd=entry["directory"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return entry["file"], done.returncode, done.stdout


def main(build):
    if not shutil.which("clang"):
        print("clang is not installed")
        return 77
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = {entry["file"]: entry for entry in json.load(file)}
    if not entries:
        print("nothing to read")
        return 1
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, status, output in pool.map(run, entries.values()):
            if status:
                failed += 1
                print(f"{name}:\n{output}")
    print(f"{len(entries)} files read, {failed} with complaints")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
