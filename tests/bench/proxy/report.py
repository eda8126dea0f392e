"""From runs to tables: no files, no processes."""
import statistics

OURS = "yoke"


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values):
    """Median, and from the least to the most."""
    return f"{number(statistics.median(values))} ({number(min(values))}..{number(max(values))})"


def median(runs, figure):
    return statistics.median(getattr(run, figure) for run in runs)


def grouped(runs):
    """Scenario -> contender -> its runs."""
    groups = {}
    for run in runs:
        groups.setdefault(run.scenario, {}).setdefault(run.contender, []).append(run)
    return groups


def against(mine, scenario):
    """Yoke divided by the best of the others; None if one of them is missing."""
    others = [median(runs, scenario.figure) for name, runs in mine.items() if name != OURS]
    return median(mine[OURS], scenario.figure) / min(others) if OURS in mine and others else None


def judged(mine, scenario):
    """What yoke reached and what it should: two cells. Bold: it did not."""
    ratio = against(mine, scenario)
    reached = "" if ratio is None else f"{ratio:.2f}"
    if scenario.limit is not None:
        missed = OURS in mine and median(mine[OURS], scenario.figure) > scenario.limit
        goal = f"≤ {scenario.limit:g} {scenario.unit}"
    elif scenario.goal is not None:
        missed = ratio is not None and ratio > scenario.goal
        goal = f"≤ {scenario.goal:.2f}"
    else:
        missed, goal = False, ""
    return [f"**{reached}**" if missed else reached, goal]


def table(head, lines, texts):
    """Markdown; the first `texts` columns are text."""
    rows = [head, ["---"] * texts + ["--:"] * (len(head) - texts), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def overview(scenarios, names, groups):
    lines = []
    for key, mine in groups.items():
        scenario = scenarios[key]
        cells = [spread([getattr(run, scenario.figure) for run in mine[name]])
                 if name in mine else "" for name in names]
        lines.append([f"{key} {scenario.title}, {scenario.unit}", *cells, *judged(mine, scenario)])
    return table(["", *names, "yoke / best other", "goal"], lines, 1)


def details(groups):
    lines = []
    for key, mine in groups.items():
        for name, runs in mine.items():
            busy = runs[0].cpu_us is not None
            figures = [number(median(runs, figure) * factor) if busy else "" for figure, factor in (
                ("cpu_us", 1), ("rate", 1), ("core", 100), ("p50_us", 1), ("p99_us", 1),
                ("p999_us", 1))]
            lines.append([key, name, *figures, f"{median(runs, 'rss') / 1e6:.1f}"])
    return table(["", "", "CPU µs/request", "requests/s", "proxy's core, %", "p50 µs", "p99 µs",
                  "p99.9 µs", "most memory, MB"], lines, 2)


def text(about, how, scenarios, runs):
    names = list(dict.fromkeys(run.contender for run in runs))
    groups = grouped(runs)
    return "\n\n".join([f"{how}. {about}.", overview(scenarios, names, groups), details(groups)])
