#!/usr/bin/python3
"""The packages build without a complaint of lintian, their manual pages without one of groff; and
the root that the other tests install them on is there."""
import os
import re
import subprocess

import machine
from machine import BUILD, ENVIRONMENT, TOP, check, section


def test():
    section("packaging/build-debs")
    log = BUILD / "build.log"
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as out:
        # The unit tests run on their own.
        environment = dict(os.environ, DEB_BUILD_OPTIONS="nocheck")
        code = subprocess.run([TOP / "packaging/build-debs", BUILD / "debs"], env=environment,
                              stdin=subprocess.DEVNULL, stdout=out, stderr=out).returncode
    text = log.read_text()
    if code:
        print(text[-4000:])
    check("builds", code == 0)
    tags = re.findall(r"^[EW]: .*$", text, re.MULTILINE)
    check(f"lintian has nothing to say {tags or ''}", not tags)
    warnings = re.findall(r"^.*(?:dpkg-\w+|dh_\w+|make): warning:.*$", text, re.MULTILINE)
    check(f"nor has debhelper {warnings or ''}", not warnings)
    for deb in machine.debs():
        check(f"{deb.name}", deb.stat().st_size > 10000)

    section("manual pages")
    for page in sorted([*(TOP / "packaging/man").iterdir(), TOP / "conf/yoke.json.5"]):
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              env=dict(ENVIRONMENT, MANROFFSEQ="", MANWIDTH="80"))
        check(f"{page.name} {done.stderr}", done.returncode == 0 and not done.stderr)

    section("a Debian root")
    check(f"{machine.root().name} is there", True)


machine.main(test)
