"""The access log as cases see it: steps that wait for the next line."""
import json
import os
import re
import select
import time

from harness import STEP_TIMEOUT, Failed, do

FIELDS = {"time", "listener", "client", "method", "host", "path", "query", "protocol", "status", "why",
          "route", "pool", "target", "sticky", "retries", "bytes_in", "bytes_out",
          "datagrams_in", "datagrams_out", "request_us", "queue_us", "connect_us",
          "response_us", "total_us", "chosen", "tier", "failed", "reused", "pooled", "user_agent", "referer", "cut", "sample"}


def default_file(run):
    return os.path.join(run.yoke.dir.name, "access.log")


def no_doubles(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise Failed(f"a field occurs twice: {pairs}")
    return dict(pairs)


def read_lines(path):
    """The complete lines of a file that may not be there yet."""
    try:
        with open(path, "rb") as file:
            return file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


def of_case(run, path):
    """The objects of this case's listener, in a file to which all cases write."""
    lines = [json.loads(line.decode(), object_pairs_hook=no_doubles) for line in read_lines(path)]
    return [line for line in lines if line["listener"] == run.name()]


def wait_for(find, what):
    deadline = time.monotonic() + STEP_TIMEOUT
    while True:
        found = find()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(what())
        select.select([], [], [], 0.01)


def next_line(run, path):
    """The first line of the case that no step has seen."""
    seen = run.saved.setdefault(f"lines of {path}", 0)
    lines = wait_for(lambda: of_case(run, path)[seen:],
                     lambda: f"no line after the first {seen}: {of_case(run, path)}")
    run.saved[f"lines of {path}"] = seen + 1
    return lines[0]


def matches(value, wanted):
    return wanted(value) if callable(wanted) else value == wanted


def logged(file=None, lacks=(), **fields):
    """The next line of this case has these fields; a value may be a function that judges."""
    def check(run):
        line = next_line(run, os.path.join(run.yoke.dir.name, file or "access.log"))
        unknown = set(line) - FIELDS
        wrong = {name: line.get(name) for name, wanted in fields.items()
                 if not matches(line.get(name), wanted)}
        there = [name for name in lacks if name in line]
        if wrong or there or unknown:
            raise Failed(f"wrong {wrong}, must not be there: {there}, unknown: {unknown}\n"
                         f"      in {line}")
        run.saved["line"] = line
    return do(check)


def logged_text(pattern, file):
    """The next line of a file of this case alone matches."""
    def check(run):
        path = os.path.join(run.yoke.dir.name, file)
        seen = run.saved.setdefault(f"text of {path}", 0)
        line = wait_for(lambda: read_lines(path)[seen:], lambda: f"{file} has no line {seen}")[0]
        run.saved[f"text of {path}"] = seen + 1
        if not re.fullmatch(pattern, line):
            raise Failed(f"line {line!r} does not match {pattern!r}")
    return do(check)


def log_to(**settings):
    """Another access log from now on; None as the file: no more."""
    def change(run):
        if settings.get("file") is None:
            run.yoke.config.pop("access_log", None)
        else:
            run.yoke.config["access_log"] = {**settings, "file": "@DIR@/" + settings["file"]}
        run.yoke.reload()
    return do(change)


def count_of(path):
    return len(read_lines(path))
