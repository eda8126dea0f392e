#!/usr/bin/env python3
"""Holds the layers: reads the yoke_library() and yoke_program() declarations of every
CMakeLists.txt and checks that
  - each #include "dir/..." names the file's own directory or one in its (transitive) USES,
  - USES never point upwards, and an engine never uses another engine,
  - a third party's headers appear only in the directories that may know of it.
Prints FILE:LINE: message for each violation; exit status 1 if there is one."""
import argparse
import os
import re
import sys
import tempfile
from dataclasses import dataclass, field

# Directory -> level. A directory that is not here is an error: new code says where it belongs.
LEVELS = {
    "daemon/base": 0,
    "daemon/http": 1, "daemon/proxyproto": 1, "daemon/sni": 1, "daemon/route": 1,
    "daemon/balance": 1, "daemon/limit": 1, "daemon/session": 1, "proto": 1, "vrrp/core": 1,
    "conf": 2,
    "daemon/net": 3, "daemon/tls": 3, "daemon/ipc": 3, "daemon/sandbox": 3, "daemon/accesslog": 3,
    "vrrp/link": 3, "vrrp/lease": 3, "vrrp/netlink": 3,
    "daemon/proxy": 4, "daemon/health": 4, "daemon/sync": 4, "daemon/admin": 4, "vrrp/daemon": 4,
    "daemon/control": 5, "daemon/supervisor": 5, "daemon/ctl": 5,
}
ENGINES = 4
# Header prefix -> the directories that may include it (None: everybody).
THIRD_PARTY = {
    "json-c/": {"conf", "daemon/admin", "daemon/control", "daemon/ctl"},
    "openssl/": {"daemon/tls"},
    "netlink/": {"vrrp/link", "vrrp/lease", "vrrp/netlink"},
    "nftables/": {"vrrp/lease"},
    "nettle/": {"vrrp/core"},
    "pcre2.h": {"daemon/route"},
    "protobuf-c/": {"proto"},
    "seccomp.h": {"daemon/sandbox"},
    "cap-ng.h": {"daemon/sandbox", "daemon/supervisor"},
    "systemd/": {"daemon/supervisor"},
    "ev.h": {d for d, level in LEVELS.items() if level >= ENGINES},
}
PARTS = ("conf", "daemon", "proto", "vrrp")
KEYWORDS = {"SOURCES", "USES", "DEPS", "LEVEL"}
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')
TARGET = re.compile(r"\b(yoke_library|yoke_program)\s*\(([^)]*)\)", re.S)


@dataclass
class Target:
    name: str
    dir: str
    program: bool
    place: str
    uses: list = field(default_factory=list)


def arguments(text):
    """SOURCES a b USES c -> {"": [...], "SOURCES": [a, b], "USES": [c]}"""
    out, key = {"": []}, ""
    for word in re.sub(r"#[^\n]*", "", text).split():
        if word in KEYWORDS:
            key = word
            out.setdefault(key, [])
        else:
            out[key].append(word)
    return out


def read_targets(root):
    targets = {}
    for part in PARTS:
        for here, _, files in os.walk(os.path.join(root, part)):
            if "CMakeLists.txt" not in files:
                continue
            path = os.path.join(here, "CMakeLists.txt")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for match in TARGET.finditer(text):
                args = arguments(match.group(2))
                name = args[""][0]
                # The directory that the sources lie in, when they all lie in one below.
                sub = {os.path.dirname(s) for s in args.get("SOURCES", []) if "$" not in s}
                sub = sub.pop() if len(sub) == 1 else ""
                line = text.count("\n", 0, match.start()) + 1
                targets[name] = Target(name, os.path.relpath(os.path.join(here, sub), root),
                                       match.group(1) == "yoke_program",
                                       f"{os.path.relpath(path, root)}:{line}",
                                       args.get("USES", []))
    return targets


def closure(targets, name, seen=None):
    """The directories that a target reaches by USES, itself included."""
    seen = set() if seen is None else seen
    if name in seen or name not in targets:
        return seen
    seen.add(name)
    for used in targets[name].uses:
        closure(targets, used, seen)
    return seen


def check_levels(targets):
    for target in targets.values():
        if target.dir not in LEVELS:
            yield f"{target.place}: {target.dir} has no level: add it to tests/lint/includes.py"
            continue
        level = LEVELS[target.dir]
        for used in target.uses:
            if used not in targets:
                yield f"{target.place}: {target.name} uses {used}, which nobody declares"
                continue
            other = targets[used].dir
            other_level = LEVELS.get(other, 0)
            if other_level > level:
                yield (f"{target.place}: {target.dir} (level {level}) uses {other} "
                       f"(level {other_level}): that is upwards")
            elif level == other_level == ENGINES and other != target.dir:
                yield f"{target.place}: engine {target.dir} uses engine {other}"


def owner(path):
    """The directory of LEVELS that a file or include belongs to, or None."""
    here = os.path.dirname(path)
    while here and here not in LEVELS:
        here = os.path.dirname(here)
    return here or None


def check_file(root, path, allowed):
    own = owner(path)
    with open(os.path.join(root, path), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, header = match.groups()
            if kind == '"':
                target_dir = owner(header)
                if target_dir is None:
                    yield f'{path}:{number}: "{header}" is not written from the root'
                elif target_dir != own and target_dir not in allowed:
                    yield f"{path}:{number}: {own} does not declare USES of {target_dir}"
                continue
            for prefix, dirs in THIRD_PARTY.items():
                if header.startswith(prefix) and own not in dirs:
                    yield f"{path}:{number}: <{header}> is not for {own}"


def check_files(root, targets):
    reach = {}
    for target in targets.values():
        dirs = {targets[name].dir for name in closure(targets, target.name)}
        reach.setdefault(target.dir, set()).update(dirs)
    for part in PARTS:
        for here, _, files in os.walk(os.path.join(root, part)):
            for name in sorted(files):
                path = os.path.relpath(os.path.join(here, name), root)
                if not name.endswith((".c", ".h")):
                    continue
                if owner(path) is None:
                    yield f"{path}:1: its directory has no level: add it to tests/lint/includes.py"
                    continue
                # A directory of headers only has no target: it may use what is below it.
                allowed = reach.get(owner(path))
                if allowed is None:
                    level = LEVELS[owner(path)]
                    allowed = {d for d, other in LEVELS.items() if other <= level}
                yield from check_file(root, path, allowed)


def check(root):
    targets = read_targets(root)
    if not targets:
        yield f"{root}: no yoke_library() found: wrong directory?"
    yield from check_levels(targets)
    yield from check_files(root, targets)


# Each: files of a small tree, and a part of the message it must give (None: it is clean).
BASE = {"daemon/base/CMakeLists.txt": "yoke_library(base SOURCES a.c)",
        "daemon/base/a.h": "", "daemon/base/a.c": '#include "daemon/base/a.h"\n#include <ev.h>\n'}
CLEAN = {"daemon/base/CMakeLists.txt": "yoke_library(base SOURCES a.c)", "daemon/base/a.h": "",
         "daemon/base/a.c": '#include "daemon/base/a.h"\n'}
HTTP = {"daemon/http/CMakeLists.txt": "yoke_library(http SOURCES h.c USES base)",
        "daemon/http/h.h": "", "daemon/http/h.c": '#include "daemon/base/a.h"\n'}
PROXY = {"daemon/proxy/CMakeLists.txt": "yoke_library(proxy SOURCES p.c USES http)",
         "daemon/proxy/p.h": "", "daemon/proxy/p.c": '#include "daemon/base/a.h"\n#include <ev.h>\n'}
SELF_TESTS = [
    ("clean, also through a transitive use", {**CLEAN, **HTTP, **PROXY}, None),
    ("a library where it does not belong", BASE, "<ev.h> is not for daemon/base"),
    ("an include that is not declared",
     {**CLEAN, **HTTP, "daemon/http/h.c": '#include "daemon/proxy/p.h"\n', **PROXY},
     "daemon/http/h.c:1: daemon/http does not declare USES of daemon/proxy"),
    ("a use that points upwards",
     {**CLEAN, **HTTP, **PROXY,
      "daemon/base/CMakeLists.txt": "yoke_library(base SOURCES a.c USES http)"},
     "that is upwards"),
    ("an engine that uses an engine",
     {**CLEAN, **HTTP, **PROXY, "daemon/sync/s.c": "",
      "daemon/sync/CMakeLists.txt": "yoke_library(sync SOURCES s.c\n\tUSES base proxy)"},
     "engine daemon/sync uses engine daemon/proxy"),
    ("an include relative to its directory",
     {**CLEAN, "daemon/base/a.c": '#include "a.h"\n'}, "is not written from the root"),
    ("a directory without a level",
     {**CLEAN, "daemon/new/CMakeLists.txt": "yoke_library(new SOURCES n.c)", "daemon/new/n.c": ""},
     "has no level"),
    ("a use of what nobody declares",
     {**CLEAN, "daemon/base/CMakeLists.txt": "yoke_library(base SOURCES a.c USES nothing)"},
     "which nobody declares"),
    ("nothing at all", {}, "no yoke_library() found"),
]


def self_test():
    failed = 0
    for name, files, want in SELF_TESTS:
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            found = list(check(root))
        good = not found if want is None else any(want in line for line in found)
        print(f"{'ok' if good else 'FAILED'}: {name}")
        if not good:
            failed += 1
            print(f"  wanted {want!r}, found {found}")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("root", nargs="?", default=os.path.join(os.path.dirname(__file__), "../.."))
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    found = list(check(os.path.realpath(args.root)))
    print("\n".join(found) if found else "includes: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
