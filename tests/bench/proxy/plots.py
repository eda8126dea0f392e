"""From runs to SVG: scenarios.svg, what yoke costs beside the others; curves.svg, what a request
costs when something grows."""
import os

from report import grouped, median


def draw(directory, scenarios, runs):
    """Both files; those are left out for which nothing was measured."""
    # Only here: who wants no plots needs no library.
    import matplotlib  # pylint: disable=import-outside-toplevel
    matplotlib.use("svg")
    # The same runs make the same file.
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "yoke", "font.size": 9,
                                "axes.spines.top": False, "axes.spines.right": False})
    from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
    names = list(dict.fromkeys(run.contender for run in runs))
    colours = {name: f"C{i}" for i, name in enumerate(names)}
    groups = grouped(runs)
    for name, part in (("scenarios.svg", bars), ("curves.svg", curves)):
        figure = part(pyplot, scenarios, groups, colours)
        if figure:
            figure.savefig(os.path.join(directory, name), bbox_inches="tight",
                           metadata={"Date": None, "Creator": None})
            pyplot.close(figure)


def bars(pyplot, scenarios, groups, colours):
    """Each scenario's best is 1: shorter is cheaper."""
    rows = [(key, scenario) for key, scenario in scenarios.items()
            if key in groups and scenario.group in ("speed", "udp", "site")]
    if not rows:
        return None
    figure, axes = pyplot.subplots(figsize=(8, 0.9 + 0.16 * len(rows) * len(colours)))
    height = 0.8 / len(colours)
    for at, (key, scenario) in enumerate(rows):
        values = {name: median(runs, scenario.figure) for name, runs in groups[key].items()}
        least = min(values.values())
        for i, name in enumerate(colours):
            if name in values:
                axes.barh(at + (i + 0.5) * height - 0.4, values[name] / least, height,
                          color=colours[name], label=name if at == 0 else None)
    axes.set_yticks(range(len(rows)), [f"{scenario.title} ({key})" for key, scenario in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 4)  # what is longer is cut
    axes.set_xlabel("times the best")
    axes.legend(frameon=False, loc="lower right")
    return figure


def curves(pyplot, scenarios, groups, colours):
    by_group = {}
    for key, scenario in scenarios.items():
        if key in groups and scenario.x is not None and scenario.group != "workers":
            by_group.setdefault(scenario.group, []).append((scenario.x, groups[key]))
    if not by_group:
        return None
    figure, panels = pyplot.subplots(1, len(by_group), figsize=(3 * len(by_group), 2.8),
                                     squeeze=False)
    for axes, (group, points) in zip(panels[0], by_group.items()):
        for name, colour in colours.items():
            mine = [(x, runs[name]) for x, runs in points if name in runs]
            if mine:
                middle = [median(runs, "cpu_us") for _, runs in mine]
                least = [min(run.cpu_us for run in runs) for _, runs in mine]
                most = [max(run.cpu_us for run in runs) for _, runs in mine]
                axes.errorbar([x for x, _ in mine], middle,
                              [[m - l for m, l in zip(middle, least)],
                               [m - l for m, l in zip(most, middle)]],
                              color=colour, label=name, marker="o", markersize=3, capsize=2)
        if all(x > 0 for x, _ in points):
            axes.set_xscale("log")
        axes.set_xlabel(group)
        axes.set_ylim(bottom=0)
    panels[0][0].set_ylabel("CPU µs a request")
    figure.legend(*panels[0][0].get_legend_handles_labels(), frameon=False, ncols=len(colours),
                  loc="lower center", bbox_to_anchor=(0.5, 0.95))
    return figure
