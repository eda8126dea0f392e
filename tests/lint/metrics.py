#!/usr/bin/env python3
"""The table of all metrics, daemon/control/METRICS.md, is made from the sources: names, types and texts of
HELP. Without arguments but the root it says where the table differs, --write makes it anew."""
import argparse
import os
import re
import sys

TABLE = "daemon/control/METRICS.md"
HEAD = """# Metrics

`GET /metrics` of the Admin API, in the text format 0.0.4 of Prometheus. Labels have few values: names of the configuration,
addresses of targets, words of ours; never what a client has sent. Reasons in prose are in `GET /v1/pools` and the events.
What to alert on: [admin/](../admin/README.md).

Made by `tests/lint/metrics.py --write`: change the texts in the sources, not here.

| name | type | labels | what |
| --- | --- | --- | --- |
"""
STRING = r'"(?:[^"\\]|\\.)*"'
TEXT = rf'{STRING}(?:\s*{STRING})*'


def text_of(literals):
    return "".join(s[1:-1] for s in re.findall(STRING, literals))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def x_rows(source, macro):
    """X(name, "help") of a list."""
    body = re.search(rf"#define {macro}\(X\)(.*?)\n\n", source, re.S)
    if not body:
        raise SystemExit(f"no {macro}")
    text = body[1].replace("\\\n", "\n")
    return [(m[1], text_of(m[2])) for m in re.finditer(rf"X\((\w+),\s*({TEXT})\)", text)]


def labels(source, name, at=0):
    """Of the first sample behind `at` that is printed with this name."""
    found = re.compile(rf'yoke_{name}\{{(.*?)\}} ', re.S).search(source, at)
    return ", ".join(re.findall(r'(\w+)=\\"', found[1])) if found else ""


def of_file(source, prefix, common):
    """Rows of tables, and calls of family() and single()."""
    rows = {}
    for m in re.finditer(rf'(?:family|single)\(\s*out,\s*("\w+"),\s*("\w+"),\s*({TEXT})', source):
        name = text_of(m[1])
        rows[name] = (text_of(m[2]), labels(source, prefix[5:] + name), text_of(m[3]))
    for m in re.finditer(rf'\{{("\w+"),\s*("(?:counter|gauge|histogram)"),\s*({TEXT})', source):
        name = text_of(m[1])
        rows[name] = (text_of(m[2]), common or labels(source, "%s", m.end()), text_of(m[3]))
    return {prefix + name: row for name, row in rows.items()}


def collect(root):
    rows = of_file(read(root, "daemon/control/metrics.c"), "yoke_", None)
    routers = "yoke_virtual_router_"
    rows |= of_file(read(root, "daemon/control/router_stats.c"), routers, "virtual_router")
    for name, text in x_rows(read(root, "daemon/proxy/proxy.h"), "PROXY_COUNTERS"):
        rows[f"yoke_{name}_total"] = ("counter", "", text)
    for name, text in x_rows(read(root, "daemon/ipc/ipc.h"), "IPC_ROUTER_COUNTERS"):
        rows[f"{routers}{name}_total"] = ("counter", "virtual_router", text)
    for name, label in (("adverts_refused", "reason"), ("promotions", "cause"), ("departures", "cause")):
        kind, others, text = rows[f"{routers}{name}_total"]
        rows[f"{routers}{name}_total"] = (kind, f"{others}, {label}", text)
    return rows


def table(rows):
    return HEAD + "".join(f"| `{name}` | {kind} | {names} | {text} |\n"
                          for name, (kind, names, text) in sorted(rows.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", nargs="?", default=os.path.join(os.path.dirname(__file__), "../.."))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    made, path = table(collect(args.root)), os.path.join(args.root, TABLE)
    if args.write:
        with open(path, "w", encoding="utf-8") as file:
            file.write(made)
        return 0
    have = read(args.root, TABLE).splitlines() if os.path.exists(path) else []
    wrong = [f"{TABLE}: missing: {line}" for line in made.splitlines() if line not in have]
    wrong += [f"{TABLE}: not so in the sources: {line}" for line in have if line not in made.splitlines()]
    print("\n".join(wrong + ["run tests/lint/metrics.py --write"]) if wrong else "metrics: the table is complete")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
