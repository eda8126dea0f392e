"""One balancer, no pair, no privileges: the smallest example as it is."""
import os
import pwd
import shutil

import testing
from lab import PYTHON, ROOT, Api, end_process, listening, program, run, wait_until, SLACK
from testing import TestLab

PROGRAMS = ("yoked", "yoke-vrrp", "yoke-proxy", "yokectl")


def prepare(directory):
    """Programs and file where anybody may read them: the checkout may be in a private home."""
    for name in PROGRAMS:
        shutil.copy(program(name), directory)
    shutil.copy(os.path.join(ROOT, "conf", "examples", "minimal.json"), directory)
    os.mkdir(os.path.join(directory, "run"))
    nobody = pwd.getpwnam("nobody")
    for path in (directory, os.path.join(directory, "run")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def start_targets(lab):
    """The two targets that the example names."""
    servers = [lab.start_in("client", PYTHON, os.path.join(ROOT, "tests", "lab", "tools",
                                                           "httpd.py"), name, "127.0.0.1", port)
               for name, port in (("one", 9001), ("two", 9002))]
    wait_until(lambda: all(listening(s.pid, port) for s, port in zip(servers, (9001, 9002))),
               10, "the targets listen")


def test_single_node(checks):
    with TestLab() as lab:
        directory = lab.scratch("single")
        os.mkdir(directory)
        prepare(directory)
        start_targets(lab)
        config, run_dir = os.path.join(directory, "minimal.json"), os.path.join(directory, "run")
        log_path = os.path.join(directory, "log")
        nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                  "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
        checks.equal("yoked --check", lab.run_in("client", *nobody, f"{directory}/yoked",
                                                 "--check", "--config", config).strip(),
                     f"{config}: ok")
        with open(log_path, "w", encoding="utf-8") as log:
            yoked = lab.start_in("client", *nobody, f"{directory}/yoked", "--config", config,
                                 "--run-dir", run_dir, stdout=log, stderr=log)
        try:
            serve(checks, lab, Api(os.path.join(run_dir, "admin.sock")), yoked,
                  os.path.join(directory, "yokectl"), run_dir)
        finally:
            end_process(yoked, 5)
            with open(log_path, encoding="utf-8", errors="replace") as file:
                print(file.read())


def serve(checks, lab, api, yoked, yokectl, run_dir):
    def fetch():
        return lab.run_in("client", "curl", "-s", "-m", "2", "http://127.0.0.1:8080/",
                          check=False).strip()
    wait_until(lambda: api.get("/v1/status"), 5 * SLACK, "the Admin API answers")
    wait_until(lambda: fetch() in ("one", "two"), 5 * SLACK, "the first answer")
    checks.equal("who answers ten requests", sorted(fetch() for _ in range(10)),
                 ["one"] * 5 + ["two"] * 5)
    status = api.get("/v1/status")
    checks.equal("virtual routers", status["virtual_routers"], {})
    checks.equal("pools", status["pools"]["web"]["total"], 2)
    checks.true("yokectl status", "web" in run(yokectl, "--run-dir", run_dir, "status"))
    checks.equal("healthz", api.request("GET", "/healthz")[0], 200)
    checks.true("metrics", "yoke_" in api.request("GET", "/metrics")[1])
    yoked.terminate()
    checks.equal("exit status", yoked.wait(15 * SLACK), 0)


if __name__ == "__main__":
    testing.main(globals())
