"""How the nodes know each other: the secret of the pair, changed under traffic; certificates. Strangers on
the port, and what they learn."""
import base64
import os
import re
import time

import testing
from lab import NODES, SLACK, Prober, Tool, address, pair_config, run
from test_explain import metrics
from testing import TestLab


def metric(node, name):
    return metrics(node)[f"yoke_{name}"]


def refused_adverts(node):
    return node.status()["virtual_routers"]["front"]["adverts"]["refused"]


def names(node):
    """Of its keys; the first one speaks."""
    return node.status()["sync"]["keys"]


def change(lab, nodes, *keys):
    """The file of both, and a reload of each, as the operator does it. The names of the keys."""
    lab.write_keys(*keys)
    for node in nodes:
        node.ctl("reload")
    return names(node)


def test_key_rotation(checks):
    """Three reloads exchange the key of a pair that works."""
    old, new = os.urandom(32), os.urandom(32)
    with TestLab() as lab:
        lab.write_keys(old)
        first, second = nodes = lab.start_pair("node1")
        learned = lab.sticky("learn")["cookie"]
        checks.true("cookie clients", learned["clients"] >= 100 and not learned["failed"])
        moves = [len(node.transitions()) for node in nodes]
        connects = [metric(node, "sync_connects_total") for node in nodes]
        prober = Prober(lab, deadline_ms=3000)
        prober.wait_ok()

        def clients_return(what, anew):
            row = lab.sticky("check")["cookie"]
            checks.equal(f"{what}: kept their target", row["kept"], learned["clients"])
            checks.equal(f"{what}: cookies given anew", row["new_cookie"], anew)

        checks.section("1: the new key is the second one; the nodes take turns, as in life")
        before = names(first)
        both = change(lab, (second, first), old, new)
        checks.true(f"the keys are called {both}", before == both[:1] and len(set(both)) == 2)
        checks.true("and yokectl says so", f"speaks with key {both[0]}, accepts {both[1]}\n"
                    in second.ctl("status"))
        clients_return("1", 0)
        checks.section("2: it is the first one")
        checks.equal("keys", change(lab, (first, second), new, old), both[::-1])
        clients_return("2", learned["clients"])
        clients_return("2, again", 0)
        checks.true("cookies of the old key were seen",
                    metric(first, "sticky_stale_total") >= learned["clients"])
        checks.equal("connected all the time",
                     [metric(node, "sync_connects_total") for node in nodes], connects)
        checks.section("3: it is the only one")
        checks.equal("keys", change(lab, (second, first), new), both[1:])
        checks.equal("the same on both", names(second), names(first))
        for node, before in zip(nodes, connects):
            node.wait(lambda node=node, before=before:
                      metric(node, "sync_connects_total") > before, 10, "it has connected anew")
            node.wait_in_sync()
        clients_return("3", 0)
        prober.wait_ok()
        traffic = prober.stop()
        checks.none_failed("requests that failed", traffic, lab)
        for node, moved in zip(nodes, moves):
            checks.equal(f"{node.name}: transitions", len(node.transitions()), moved)
            checks.equal(f"{node.name}: adverts refused", refused_adverts(node), {})
            checks.equal(f"{node.name}: handshakes that failed",
                         metric(node, "sync_handshake_failures_total"), 0)

        checks.section("the old key is of no use any more")
        change(lab, (second,), old)
        second.wait(lambda: refused_adverts(second).get("tag_key", 0) > 3, 5, "adverts refused")
        second.wait(lambda: metric(second, "sync_handshake_failures_total") > 1, 10,
                    "connections refused")
        checks.equal("replication", [node.status()["sync"]["state"] for node in nodes],
                     ["disconnected"] * 2)
        checks.true("logged", "authenticated by a key that we do not have" in second.log())
        change(lab, (second,), new)
        for node in nodes:
            node.wait_in_sync()

        checks.section("a failover after all of this")
        first.kill_all()
        second.wait_state("active")
        clients_return("by the other node", 0)


def test_key_errors(checks):
    """A reload whose key file is wrong says where and what to do, and changes nothing."""
    keys = [os.urandom(32) for _ in range(3)]
    with TestLab() as lab:
        lab.write_keys(keys[0])
        node = lab.start_pair("node1")[0]
        path = os.path.join(lab.dir, "sync.key")
        lab.write_keys(*keys)
        for mode, said in ((0o600, f"{path}:3: a third key; two are accepted: remove the oldest"),
                           (0o640, f"chmod 600 {path}")):
            os.chmod(path, mode)
            answer = node.ctl("reload", check=False)
            checks.true(f"{said}: {answer}", said in answer)
        checks.equal("replication", node.status()["sync"]["state"], "in_sync")


class Authority:
    """Signs certificates; everything is a file in the lab's directory."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.openssl(name, "-days", 30, "-addext", "basicConstraints=critical,CA:TRUE")

    def path(self, file):
        return os.path.join(self.lab.dir, file)

    def openssl(self, name, *words):
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", f"/CN={name}", "-keyout", self.path(f"{name}.key"),
            "-out", self.path(f"{name}.pem"), *map(str, words))

    def issue(self, node, name=None, days=90):
        """The certificate and private key of a node, which it reads when it starts or reloads."""
        self.openssl(node.name, "-days", days, "-addext", f"subjectAltName=DNS:{name or node.name}",
                     "-addext", "basicConstraints=critical,CA:FALSE",
                     "-CA", self.path(f"{self.name}.pem"), "-CAkey", self.path(f"{self.name}.key"))

    def write_config(self, node, config):
        """Each host has files of its own; here they are in one directory."""
        config["sync"].update(certificate=self.path(f"{node.name}.pem"), ca=self.path("ca.pem"),
                              private_key=self.path(f"{node.name}.key"))
        node.write_config(config)


def start_pair(lab, authority, config):
    """(primary, standby), in sync."""
    nodes = first, second = [lab.nodes[name] for name in NODES]
    for node in nodes:
        authority.issue(node)
        authority.write_config(node, config)
    first.start()
    first.wait_state("active", 10)
    second.start()
    second.wait_state("backup", 10)
    for node in nodes:
        node.wait_pools("up", 10)
        node.wait_in_sync()
    return nodes


def test_certificates(checks):
    """A pair that knows itself by certificates, and has a key for cookies and adverts."""
    with TestLab() as lab:
        authority, config = Authority(lab, "ca"), pair_config()
        config["sync"]["key_file"] = authority.path("sync.key")
        first, second = nodes = start_pair(lab, authority, config)
        learned = lab.sticky("learn")

        checks.section("certificates are renewed")
        connects = [metric(node, "sync_connects_total") for node in nodes]
        for node in nodes:
            authority.issue(node, days=5)
            node.ctl("reload")
            expiry = metric(node, "sync_certificate_expiry_timestamp_seconds") - time.time()
            checks.true(f"{node.name} expires in {expiry:.0f} s", 4 < expiry / 86400 <= 5)
            node.wait(lambda node=node: "days; renew it, then reload" in node.log(), 5, "a warning")
        checks.equal("the connection stays",
                     [metric(node, "sync_connects_total") for node in nodes], connects)

        checks.section("mistakes are refused, and change nothing")
        for wrong, said in (
                (lambda: authority.issue(second, "node1"), "it needs the DNS name \"node2\" in "
                 "subjectAltName, and has: node1"),
                (lambda: authority.openssl("node2", "-out", os.devnull),
                 "sync.private_key: " + authority.path("node2.key") + ": it is not the key of"),
                (lambda: os.chmod(authority.path("node2.key"), 0o640), "chmod 600 ")):
            authority.issue(second)
            wrong()
            answer = second.ctl("reload", check=False).strip()
            checks.true(f"{said}: {answer}", said in answer)
        os.chmod(authority.path("node2.key"), 0o600)
        authority.issue(second)
        checks.equal("replication", second.status()["sync"]["state"], "in_sync")

        checks.section("another authority, with the same names")
        other = Authority(lab, "other")
        other.issue(second)
        second.ctl("reload")
        second.kill("yoke-proxy")
        second.wait(lambda: "unable to get local issuer certificate"
                    in first.status()["sync"]["reason"] + second.status()["sync"]["reason"],
                    10, "why there is no connection")
        checks.note("says", first.status()["sync"]["reason"])
        authority.issue(second)
        second.ctl("reload")
        for node in nodes:
            node.wait_in_sync()

        checks.section("failover")
        first.kill_all()
        second.wait_state("active")
        for kind, row in lab.sticky("check").items():
            checks.equal(f"{kind}: kept their target", row["kept"], learned[kind]["clients"])
        checks.equal("adverts refused", refused_adverts(second), {})


def test_certificates_alone(checks):
    """Without any shared secret: no cookies, adverts are not signed, and nobody is told of rate
    limits, which a node says."""
    with TestLab() as lab:
        authority, config = Authority(lab, "ca"), pair_config()
        config["pools"]["web"]["sticky"] = {"source": {"prefix4": 32}}
        config["listeners"]["sql"]["rate_limit"] = "1/h"
        first, second = start_pair(lab, authority, config)
        for node in (first, second):
            checks.true(f"{node.name} says that limits are not told",
                        "rate limits: the peer is not told who is at one" in node.log())
        learned = lab.sticky("learn")["source"]
        first.kill_all()
        second.wait_state("active")
        checks.equal("kept their target", lab.sticky("check")["source"]["kept"],
                     learned["clients"])


def spent(pid):
    """(KiB of memory, ms of processor time of the thread that replicates)"""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        memory = int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as file:
            name, _, rest = file.read().partition("(")[2].rpartition(")")
        if name == "sync":
            return memory, sum(map(int, rest.split()[11:13])) * 1000 / os.sysconf("SC_CLK_TCK")
    raise AssertionError("no thread that replicates")


def strangers(node):
    """{reason: how many}"""
    return {name.split('"')[1]: int(value) for name, value in metrics(node).items()
            if name.startswith("yoke_sync_strangers_total")}


def bother(checks, lab, first, second):
    """A stranger at both ports while the pair works, and while it connects anew; what it was told by
    each of them."""
    connects = metric(second, "sync_connects_total")
    pid = second.pid_of("yoke-proxy")
    begin, (memory, processor) = time.monotonic(), spent(pid)
    tools = [Tool(lab, "observer", "stranger", address(node.name), 5405) for node in (first, second)]
    for tool in tools:
        second.wait(lambda tool=tool: tool.latest().get("ended", 0) >= 1000, 30, "1000 strangers")
    checks.equal("connected all the time", metric(second, "sync_connects_total"), connects)
    checks.equal("in sync", [node.status()["sync"]["state"] for node in (first, second)],
                 ["in_sync"] * 2)
    now_memory, now_processor = spent(pid)
    checks.note("more memory, KiB", now_memory - memory)
    checks.true("that is little", now_memory - memory <= 4096 or SLACK > 1)  # sanitizers keep it
    seen = tools[1].latest()["ended"]
    checks.at_most("ms of the processor for a stranger", (now_processor - processor) / seen, 1,
                   3 * SLACK)
    checks.section("the peer comes back among strangers")
    counted, log, took = strangers(second), second.log(), time.monotonic() - begin
    second.kill("yoke-proxy")
    second.wait(lambda: pid not in second.processes() and second.status(), 10, "a new proxy")
    for node in (second, first):
        node.wait_in_sync()
    begun = [tool.latest()["begun"] for tool in tools]
    for tool, before in zip(tools, begun):
        second.wait(lambda tool=tool, before=before: tool.latest()["begun"] > before, 5,
                    "strangers until now")
    answers = [tool.stop()["answers"] for tool in tools]
    checks.note("counted", counted)
    for reason in ("not_proved", "closed", "replaced", "rate"):
        checks.true(f"counted: {reason}", counted[reason] > 0)
    checks.true("counted by who connects itself", strangers(first)["unexpected"] > 0)
    lines = [line for line in log.splitlines() if "no connection with" in line]
    checks.at_most(f"lines about {sum(counted.values())} strangers", len(lines), 2 + took / 10)
    checks.true("there is a line", lines)
    return answers


def told(node):
    """All that a node says to its operator, and what others on the host can see."""
    texts = [str(node.api.request("GET", path)[1]).encode() for path in
             ("/v1/status", "/v1/events", "/v1/sessions", "/v1/pools", "/metrics")]
    files = [f"/proc/{pid}/{file}" for pid in node.processes() for file in ("cmdline", "environ")]
    for path in (node.log_path, *files):
        with open(path, "rb") as file:
            texts.append(file.read())
    return b"\n".join(texts)


def test_strangers(checks):
    """Who does not know the key gets an alert, and no secret is told to anybody, with all of the log."""
    secret, config = os.urandom(32), pair_config()
    config["log_level"] = "debug"
    with TestLab() as lab:
        lab.write_keys(secret)
        first, second = lab.start_pair("node1", config)
        lab.sticky("learn")
        silence, answers = bother(checks, lab, first, second)
        checks.equal("told by who connects itself", set(silence), {""})
        checks.note("told by who listens", sorted(answers))
        checks.equal("that is more than an alert",
                     [answer for answer in answers if not re.fullmatch("(1503030002....)?", answer)], [])
        words = base64.b64encode(secret)
        forms = [secret, secret.hex().encode(), secret.hex().upper().encode(), words, words[:24],
                 base64.urlsafe_b64encode(secret)[:24], secret[:12]]
        checks.true("debug lines", " debug " in first.log() + second.log())
        for node in (first, second):
            text = told(node)
            checks.equal(f"{node.name}: forms of the key that are told",
                         [form for form in forms if form in text], [])


def test_strangers_certificates(checks):
    """The same, where the port shows a certificate to everybody, but encrypted."""
    config = pair_config()
    config["log_level"] = "debug"
    with TestLab() as lab:
        authority = Authority(lab, "ca")
        config["sync"]["key_file"] = authority.path("sync.key")
        first, second = start_pair(lab, authority, config)
        _, answers = bother(checks, lab, first, second)
        spoken = [answer for answer in answers if answer.startswith("160303")]
        checks.true("a TLS server spoke", spoken)
        names = [name.encode().hex() for name in (*NODES, "CN=ca")]
        checks.equal("names in the clear",
                     [name for name in names if any(name in answer for answer in answers)], [])
        with open(authority.path("node2.key"), encoding="ascii") as file:
            lines = [line.encode() for line in file.read().splitlines() if "-----" not in line]
        for node in (first, second):
            text = told(node)
            checks.equal(f"{node.name}: lines of private keys that are told",
                         [line for line in lines if line in text], [])


if __name__ == "__main__":
    testing.main(globals())
