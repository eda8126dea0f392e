"""Each kind of stickiness over the death of the Active and over the drain of a target: who stays where,
counted client by client."""
import json
import os
import random

import kills
import testing
from lab import (HERE, PYTHON, SLACK, VIP, WEB_PORT, WEBS, address, pair_config)
from testing import TestLab

N = int(1000 / SLACK)  # clients of each kind
KINDS = {"cookie": 80, "source": 81, "app_cookie": 82, "header": 83, "token": 84}
STICKY = {"cookie": {"cookie": {"name": "YOKE"}}, "source": {"source": {"prefix4": 32}},
          "app_cookie": {"app_cookie": {"name": "SID"}}, "header": {"header": {"name": "X-User"}},
          "token": {"header": {"name": "X-Token", "response_name": "X-New-Token"}}}
WEB = address(WEBS[0], WEB_PORT)
RATE = 100  # logins a second


def with_kinds(config):
    """A listener and a pool for each kind, instead of those for web."""
    health = config["pools"]["web"]["health"]
    for name in ("web", "known"):
        del config["pools"][name], config["listeners"][name]
    for kind, port in KINDS.items():
        config["listeners"][kind] = {"bind": f"{VIP}:{port}", "mode": "http", "pool": kind}
        config["pools"][kind] = {"targets": [address(web, WEB_PORT) for web in WEBS],
                                 "health": dict(health), "sticky": dict(STICKY[kind], ttl="1h")}
    return config


def crowd(lab, verb, file="crowd.json", kinds=KINDS, **options):
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return json.loads(lab.run_in(
        "client", PYTHON, os.path.join(HERE, "tools", "crowd.py"), verb, os.path.join(lab.dir, file),
        VIP, *[f"{kind}={port}" for kind, port in kinds.items()], "--patience", 60 * SLACK, *words))


def check_all_kept(checks, lab):
    for kind, row in crowd(lab, "check").items():
        checks.equal(f"{kind}: kept their web server", row["kept"], N)


def check_newcomers(checks, lab, number):
    """New clients do not come to the first web server."""
    for kind, met in crowd(lab, "learn", "new.json", clients=30, first=number).items():
        checks.equal(f"{kind}: where new clients are", sorted(met), list(WEBS[1:]))


def set_state(active, backup, verb, state, *options):
    for kind in KINDS:
        active.ctl(verb, kind, WEB, *options)
    for node in (active, backup):
        if node:
            node.wait(lambda: all(node.pools()[kind][WEB] == state for kind in KINDS), 5,
                      f"{WEB} is {state}")


def test_sticky_kinds(checks):
    """Over a drain and the death of the Active meanwhile, and what comes at the end of the drain."""
    with TestLab() as lab:
        first, second = lab.start_pair(config=with_kinds(pair_config()))
        kills.route_clients(lab)
        learned = crowd(lab, "learn", clients=N)
        there = {kind: met[WEBS[0]] for kind, met in learned.items()}
        for kind, met in learned.items():
            checks.note(f"{kind}: clients", met)
            checks.true(f"{kind}: many everywhere", sorted(met) == list(WEBS) and
                        min(met.values()) > N / 4)
        checks.equal("sessions in the table", first.api.get("/v1/sessions?limit=1")["count"], 4 * N)
        checks.section(f"{WEBS[0]} is drained")
        set_state(first, second, "drain", "draining")
        check_all_kept(checks, lab)
        check_newcomers(checks, lab, N)
        checks.section("SIGKILL of the Active")
        first.kill_all()
        second.wait_state("active")
        check_all_kept(checks, lab)
        check_newcomers(checks, lab, 2 * N)
        checks.section(f"the drain of {WEBS[0]} ends: its clients move, and stay where they are")
        set_state(second, None, "drain", "disabled", "--drain-timeout", "0s")
        for kind, row in crowd(lab, "check").items():
            checks.equal(f"{kind}: moved", row["moved"], there[kind])
            checks.equal(f"{kind}: kept their web server", row["kept"], N - there[kind])
        set_state(second, None, "ready", "up")
        check_all_kept(checks, lab)


class Logins(kills.Clients):
    """Clients that get their session by a response, one after the other."""

    def start(self, rate, out):
        return self.lab.start_in(
            "client", PYTHON, os.path.join(HERE, "tools", "crowd.py"), "logins", "-", VIP,
            f"app_cookie={KINDS['app_cookie']}", "--rate", rate, stdout=out)

    def parse(self, line):
        when, took, number, web, field = line.split(" ", 4)
        return int(number), field, float(when), float(took), web


class LoginCampaign(kills.Campaign):
    """The clients themselves ask the survivor, by the VIP: its table shows no values. Who meets another
    web server was not known."""
    clients_of = Logins

    def config(self, mode):
        return kills.config(mode, with_kinds(pair_config()))

    def table(self):
        clients = list(self.clients.known.values())
        with open(os.path.join(self.lab.dir, "asked.json"), "w", encoding="ascii") as file:
            json.dump({"app_cookie": [{"field": client.name} for client in clients]}, file)
        met = crowd(self.lab, "ask", "asked.json", {"app_cookie": KINDS["app_cookie"]})
        return {client.name: web for client, web in zip(clients, met) if web in client.webs}

    def ask_again(self, has, n=20):
        return len(has)


def test_sticky_logins_acked(checks):
    """No session that a response has begun is missing, if that has reached the client."""
    kills.campaign(checks, "acked", 4, RATE, random.randrange(1 << 32), LoginCampaign)


def test_sticky_logins_async(checks):
    """Some are: so the other test would notice."""
    kills.campaign(checks, "async", 3, RATE, random.randrange(1 << 32), LoginCampaign)


if __name__ == "__main__":
    testing.main(globals())
