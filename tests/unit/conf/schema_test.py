#!/usr/bin/python3
"""The JSON Schema and the loader agree: both accept the examples, and both refuse what can be seen
in one place. Usage: schema_test.py SCHEMA EXAMPLES_DIR CHECK_FILE"""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

schema_file, examples, check_file = sys.argv[1:]
schema = json.loads(pathlib.Path(schema_file).read_text())
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
pair = json.loads((pathlib.Path(examples) / "pair.json").read_text())

# Where in pair.json, and what is put there instead (DELETE: removed).
DELETE = object()
BAD = [
    ("zebra", 1),
    ("workers", 0),
    ("workers", 65),
    ("workers", 1.5),
    ("workers", "2"),
    ("cluster", "my shop"),
    ("cluster", "x" * 64),
    ("user", "Yoke"),
    ("log_level", "loud"),
    ("shutdown_timeout", "10"),
    ("shutdown_timeout", 10),
    ("nodes.primary", DELETE),
    ("nodes.third", {"address": "192.0.2.13"}),
    ("nodes.primary.address", DELETE),
    ("nodes.primary.address", "192.0.2.11:80"),
    ("nodes.primary.priority", 255),
    ("nodes.primary.priority", {"front": 256}),
    ("nodes.primary.priority", {"front": {"value": 1}}),
    ("nodes.pri mary", {"address": "192.0.2.11"}),
    ("virtual_routers.front.vrid", 256),
    ("virtual_routers.front.vrid", DELETE),
    ("virtual_routers.front.interface", "eth/0"),
    ("virtual_routers.front.interface", ".."),
    ("virtual_routers.front.interface", "abcdefghijklmnop"),
    ("virtual_routers.front.addresses", []),
    ("virtual_routers.front.addresses", "192.0.2.10/24"),
    ("virtual_routers.front.addresses", ["host/24"]),
    ("virtual_routers.front.version", 1),
    ("virtual_routers.front.authenticate", "true"),
    ("virtual_routers.front.authenticate", "enforce"),
    ("virtual_routers.front.failback", "auto"),
    ("virtual_routers.front.track", []),
    ("listeners.web.bind", "192.0.2.10"),
    ("listeners.web.bind", [":80"]),
    ("listeners.web.bind", []),
    ("listeners.web.bind", ["192.0.2.10:%d" % port for port in range(80, 97)]),
    ("listeners.web.mode", "sctp"),
    ("listeners.web.pool", 5),
    ("listeners.web.routes", {}),
    ("listeners.web.routes", [{}]),
    ("listeners.web.routes", [{"pool": "web", "hots": "a"}]),
    ("listeners.web.routes", [{"pool": "web", "host": "a:80"}]),
    ("listeners.web.routes", [{"pool": "web", "host": ["*"]}]),
    ("listeners.web.routes", [{"pool": "web", "host": []}]),
    ("listeners.web.routes", [{"pool": "web", "path": "a"}]),
    ("listeners.web.routes", [{"pool": "web", "respond": {"status": 200}}]),
    ("listeners.web.routes", [{"pool": {}}]),
    ("listeners.web.routes", [{"pool": {"web": 1001}}]),
    ("listeners.web.routes", [{"pool": "web", "method": "GET "}]),
    ("listeners.web.routes", [{"pool": "web", "header": {"a": []}}]),
    ("listeners.web.routes", [{"pool": "web", "header": {"a": {"values": "b"}}}]),
    ("listeners.web.routes", [{"pool": "web", "query": {"": "b"}}]),
    ("listeners.web.routes", [{"pool": "web", "source": "localhost"}]),
    ("listeners.web.routes", [{"redirect": {"path": "a"}}]),
    ("listeners.web.routes", [{"redirect": {"host": "a/b"}}]),
    ("listeners.web.routes", [{"respond": {"status": 100}}]),
    ("listeners.web.routes", [{"respond": {}}]),
    ("listeners.web.routes", [{"pool": "web", "rewrite": {"path": {"from": "/a"}}}]),
    ("listeners.web.routes", [{"pool": "web", "request_headers": {"set": {"a b": "c"}}}]),
    ("listeners.web.routes", [{"pool": "web", "request_headers": {"set": {"a": "b\nc"}}}]),
    ("listeners.web.routes", [{"pool": "web", "request_headers": {"set": {"a": " b"}}}]),
    ("listeners.web.max_header_size", "16KB"),
    ("listeners.web.tls", {}),
    ("listeners.web.rate_limit", "0/s"),
    ("listeners.web.rate_limit", "1000001/s"),
    ("listeners.web.rate_limit", "1/w"),
    ("listeners.web.rate_limit", 5),
    ("listeners.web.rate_limit", {"burst": 5}),
    ("listeners.web.rate_limit", [{"rate": "1/s", "key": "client"}]),
    ("listeners.web.min_body_rate", "1KiB"),
    ("listeners.web.max_connections_per_source", -1),
    ("pools.web.targets", []),
    ("pools.web.targets", [80]),
    ("pools.web.targets", [{"weight": 1}]),
    ("pools.web.targets", [{"address": "192.0.2.21:80", "weight": 257}]),
    ("pools.web.targets", [{"address": "192.0.2.21:80", "wieght": 1}]),
    ("pools.web.balance", "leastconn"),
    ("pools.web.fail_open", 1),
    ("pools.web.health", {}),
    ("pools.web.health", "tcp"),
    ("pools.web.health", {"tcp": {}, "http": {}}),
    ("pools.web.health.http.path", "healthz"),
    ("pools.web.health.http.path", "/a b"),
    ("pools.web.health.http.method", "POST"),
    ("pools.web.health.http.expect", "2xx"),
    ("pools.web.sticky", {"ttl": "1h"}),
    ("pools.web.sticky.cookie.name", "a=b"),
    ("pools.web.sticky", {"source": {"prefix4": 33}}),
    ("sync.port", 0),
    ("sync.key_file", "sync.key"),
    ("sync.sessions", "maybe"),
    ("admin.listen", "8404"),
    ("admin", []),
]
GOOD = [
    ("virtual_routers.front.interface", "eth0.100"),
    ("listeners.web.bind", ["192.0.2.10:80", "[2001:db8::10]:80"]),
    ("nodes", {"a.b": {"address": "2001:db8::1"}, "c-d_e": {"address": "::ffff:192.0.2.1"}}),
    ("shutdown_timeout", "1.5m"),
    ("pools.web.health", {"http": {"path": "/a?b=\"c\"&d", "host": "[::1]:80", "expect": "204"}}),
    ("pools.web.sticky", {"cookie": {"name": "__Host-s!d"}, "when_down": "fail"}),
    ("listeners", {}),
]


def changed(path, value):
    tree = copy.deepcopy(pair)
    *parents, last = path.split(".")
    place = tree
    for key in parents:
        place = place[key]
    if value is DELETE:
        del place[last]
    else:
        place[last] = value
    return tree


def loader_accepts(tree):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(tree, file)
        file.flush()
        done = subprocess.run([check_file, file.name], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit("check_file: exit %d\n%s" % (done.returncode, done.stderr))
    return done.returncode == 0


failures = 0


def expect(name, tree, wanted):
    global failures
    by_schema, by_loader = validator.is_valid(tree), loader_accepts(tree)
    if by_schema != wanted or by_loader != wanted:
        failures += 1
        print("%s: schema says %s, loader says %s, wanted %s" % (name, by_schema, by_loader, wanted))


for example in sorted(pathlib.Path(examples).glob("*.json")):
    expect(example.name, json.loads(example.read_text()), True)
for path, value in GOOD:
    expect("%s = %r" % (path, value), changed(path, value), True)
for path, value in BAD:
    expect("%s = %r" % (path, value), changed(path, value), False)
print("%d cases, %d failures" % (len(GOOD) + len(BAD), failures))
sys.exit(failures > 0)
