"""From what was seen in single runs to the table: no files, no processes."""
import statistics
from dataclasses import dataclass

from lab import NODES


AT_THE_END_S = 0.5


@dataclass
class Run:
    """One fault, once. Times in ms since the fault."""
    fault: str
    contender: str
    advertise: str
    primary: str
    outage_ms: float | None     # None: not served again
    failing_ms: float | None    # the last failed request was started then; None: they still fail
    failed: int
    requests: int
    moves: int                  # of the VIP, by who announced it
    asked: int                  # who has the VIP?
    doubles: int                # answered by two nodes
    answering: int              # nodes that answer at the end


def moves(announced, holder):
    """How often the VIP changed hands: `announced` are MACs in order, `holder` had it before."""
    count = 0
    for mac in announced:
        count += mac != holder
        holder = mac
    return count


def of_traffic(traffic, struck, partial):
    """A Run's figures of the client's requests. `partial`: only some fail."""
    end = max(row[0] for row in traffic.rows) - AT_THE_END_S
    rows = [row for row in traffic.rows if row[1] >= struck]
    failed = [row for row in rows if row[4]]
    last = max((row[0] for row in failed), default=struck)
    failing_ms = max(0, 1000 * (last - struck)) if last < end else None
    served = any(row[0] > end for row in traffic.good())
    outage_ms = 1000 * traffic.outage(struck)[0] if served else None
    return {"outage_ms": failing_ms if partial else outage_ms, "failing_ms": failing_ms,
            "failed": len(failed), "requests": len(rows)}


def of_arp(asked, announced, struck, holder):
    """A Run's figures of what ArpWatch saw; the VIP was on `holder`, a MAC."""
    end = max(t for t, _ in asked)
    # The last question may have no answer yet.
    answers = [(t, set(macs)) for t, macs in asked if struck <= t < end]
    answering = set().union(*(macs for t, macs in answers if t > end - AT_THE_END_S))
    return {"moves": moves([mac for t, mac in announced if t >= struck], holder),
            "asked": len(answers), "doubles": sum(len(macs) > 1 for _, macs in answers),
            "answering": len(answering)}


def spread(values, never):
    """Median (least..most). None is later than everything."""
    numbers = [float("inf") if value is None else value for value in values]
    text = ["{:.0f}".format(n) if n != float("inf") else never for n in
            (statistics.median_low(numbers), min(numbers), max(numbers))]
    return text[0] if text[1] == text[2] else f"{text[0]} ({text[1]}..{text[2]})"


def judged(runs, cell, broken, promise=""):
    """The cell, marked if yoke did not keep its promise: its runs count only."""
    return f"**{cell}{promise}**" if broken and runs[0].contender == "yoke" else cell


def outage(runs, limit):
    late = [run for run in runs if run.outage_ms is None or run.outage_ms > (limit or float("inf"))]
    return judged(runs, spread([run.outage_ms for run in runs], "never"), 2 * len(late) > len(runs),
                  f" > {limit}")


HEAD = ("fault", "contender", "outage ms, node1 first", "node2 first", "requests fail until ms",
        "VIP moves", "wanted", "ARP answered twice", "answering at the end")


def line(runs, fault, advertise):
    cells = [fault.title, runs[0].contender]
    for primary in NODES:
        mine = [run for run in runs if run.primary == primary]
        cells.append(outage(mine, fault.limit.get(advertise)) if mine else "no run")
    cells.append(spread([run.failing_ms for run in runs], "for good"))
    cells.append(judged(runs, spread([run.moves for run in runs], ""),
                        any(run.moves != fault.moves for run in runs)))
    doubles = sum(run.doubles for run in runs)
    cells.append(str(fault.moves))
    cells.append(judged(runs, f"{doubles} of {sum(run.asked for run in runs)}", doubles > 0))
    cells.append(spread([run.answering for run in runs], ""))
    return "| " + " | ".join(cells) + " |"


def table(runs, faults, advertise):
    """Markdown, a line for each fault and contender of which there are runs."""
    out = ["| " + " | ".join(HEAD) + " |", "|---|---" + "|--:" * (len(HEAD) - 2) + "|"]
    for name, fault in faults.items():
        for contender in fault.contenders:
            mine = [run for run in runs if (run.fault, run.contender, run.advertise)
                    == (name, contender, advertise)]
            if mine:
                out.append(line(mine, fault, advertise))
    return "\n".join(out)
