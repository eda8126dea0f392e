"""From runs to Markdown: no files, no processes."""
import statistics
from dataclasses import dataclass

OURS = "yoke"


@dataclass
class Run:
    """One contender in one scenario, once. What was not measured there is None."""
    scenario: str
    contender: str
    turn: int
    rss: int                      # bytes, the most
    bytes: float | None = None    # a connection that idles
    cpu_us: float | None = None   # of the proxy, all its threads, per request
    rate: float | None = None     # requests a second
    core: float | None = None     # how busy the proxy was: 1 is one CPU
    requests: int | None = None
    p50_us: int | None = None
    p99_us: int | None = None
    p999_us: int | None = None
    syscalls: dict | None = None  # by name, per request


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values):
    """Median, and from the least to the most."""
    return f"{number(statistics.median(values))} ({number(min(values))}..{number(max(values))})"


def median(runs, figure):
    return statistics.median(getattr(run, figure) for run in runs)


def brief(run, scenario):
    value = sum(run.syscalls.values()) if run.syscalls else getattr(run, scenario.figure)
    return f"{number(value)} {scenario.unit}"


def grouped(runs):
    """Scenario -> contender -> its runs."""
    groups = {}
    for run in runs:
        groups.setdefault(run.scenario, {}).setdefault(run.contender, []).append(run)
    return groups


def against(mine, figure):
    """Yoke divided by the best of the others; None if one of them is missing."""
    others = [median(runs, figure) for name, runs in mine.items() if name != OURS]
    return median(mine[OURS], figure) / min(others) if OURS in mine and others else None


def judged(mine, scenario):
    """What yoke reached and what it should: two cells. Bold: it did not."""
    ratio = against(mine, scenario.figure)
    reached = "" if ratio is None else f"{ratio:.2f}"
    missed, goal = False, ""
    if scenario.limit is not None:
        missed = OURS in mine and median(mine[OURS], scenario.figure) > scenario.limit
        goal = f"≤ {scenario.limit:g} {scenario.unit}"
    elif scenario.goal is not None:
        missed = ratio is not None and round(ratio, 2) > scenario.goal
        goal = f"≤ {scenario.goal:.2f}"
    return [f"**{reached}**" if missed else reached, goal]


def table(head, lines, texts):
    """Markdown; the first `texts` columns are text."""
    rows = [head, ["---"] * texts + ["--:"] * (len(head) - texts), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def overview(scenarios, names, groups):
    lines = []
    for key, scenario in scenarios.items():
        mine = groups.get(key)
        if mine and scenario.figure != "syscalls":
            cells = [spread([getattr(run, scenario.figure) for run in mine[name]])
                     if name in mine else "" for name in names]
            lines.append([key, f"{scenario.title}, {scenario.unit}", *cells,
                          *judged(mine, scenario)])
    return table(["", "", *names, f"{OURS} / best other", "goal"], lines, 2) if lines else ""


def scaling(scenarios, names, groups):
    """Two workers do twice as much, less what a request costs more with two."""
    one, two = (next((groups[key] for key, scenario in scenarios.items()
                      if (scenario.group, scenario.x) == ("workers", n) and key in groups), {})
                for n in (1, 2))
    lines = [[name, f"{2 * median(one[name], 'cpu_us') / median(two[name], 'cpu_us'):.2f}"]
             for name in names if name in one and name in two]
    return table(["", "two workers for one, by CPU per request"], lines, 1) if lines else ""


def syscalls(scenarios, names, groups):
    lines = []
    for key, scenario in scenarios.items():
        if scenario.figure == "syscalls" and key in groups:
            for name in names:
                for run in groups[key].get(name, []):
                    calls = sorted(run.syscalls.items(), key=lambda call: -call[1])
                    lines.append([scenario.title, name, f"{sum(run.syscalls.values()):.2f}",
                                  ", ".join(f"{call} {n:.2f}" for call, n in calls if n >= 0.005)])
    return table(["", "", "system calls a request", ""], lines, 2) if lines else ""


FIGURES = (("CPU µs/request", "cpu_us", 1), ("requests/s", "rate", 1),
           ("proxy's cores, %", "core", 100), ("p50 µs", "p50_us", 1), ("p99 µs", "p99_us", 1),
           ("p99.9 µs", "p999_us", 1), ("most memory, MB", "rss", 1e-6))


def details(scenarios, names, groups):
    lines = []
    for key in scenarios:
        for name in names:
            runs = groups.get(key, {}).get(name)
            if runs and runs[0].syscalls is None:
                cells = [number(median(runs, figure) * factor)
                         if getattr(runs[0], figure) is not None else ""
                         for _, figure, factor in FIGURES]
                lines.append([key, name, *cells])
    return table(["", "", *(title for title, _, _ in FIGURES)], lines, 2) if lines else ""


def text(scenarios, about, runs, refused):
    names = list(dict.fromkeys(run.contender for run in runs))
    groups = grouped(runs)
    parts = [about, *(part(scenarios, names, groups)
                      for part in (overview, scaling, syscalls, details))]
    if refused:
        parts.append("Refused, and in no figure:\n" + "".join(f"\n- {text}" for text in refused))
    return "\n\n".join(part for part in parts if part)
