"""Counts the tests of a ctest JUnit file: `N passed, N failed, N skipped`; names what failed or was
skipped. Exit status 1 if one failed or none ran. A test that could not be started counts as failed."""
import sys
import xml.etree.ElementTree as ElementTree


def verdict(case):
    if case.get("status") == "run":
        return "passed"
    message = next((s.get("message", "") for s in case.iter("skipped")), "")
    # ctest also says `skipped` of a program that does not exist.
    return "skipped" if message.startswith("SKIP_") else "failed"


def reason(case):
    lines = (case.findtext("system-out") or "").strip().splitlines()
    return lines[-1].strip() if lines else "no output"


def main(path):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        cases = []
    print()
    for case in cases:
        result = verdict(case)
        count[result] += 1
        if result != "passed":
            print(f"{result}: {case.get('name')}: {reason(case)}")
    print(", ".join(f"{n} {name}" for name, n in count.items()))
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
