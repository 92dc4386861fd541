"""Medians, ranges and goals; as tables, in a terminal and in the manual."""

from __future__ import annotations

import json
import statistics
import typing as t
from pathlib import Path

from tabulate import tabulate

from benchmarks import spec
from benchmarks.cases import CASES

DOCS = Path(__file__).parents[1] / "docs"

#: A figure with a round farther from the median, as a share of it, is uncertain.
UNCERTAIN = 0.2

COLUMNS = (spec.OURS, spec.THEIRS, spec.LIMIT)

#: By case and subject, the rounds: the time of a signal (``µs``), the processor time
#: (``CPU µs``; 0 if unknown), the memory (``MiB``); or the ``failure``.
Figures: t.TypeAlias = "dict[str, dict[str, dict[str, t.Any]]]"

#: The ``machine``; and, by case, how it was ``measured`` and the ``figures``.
Document: t.TypeAlias = "dict[str, dict[str, t.Any]]"


def times(figures: Figures, case: spec.Case, subject: str) -> list[float]:
    """Return the times of a subject whose name begins so, if it has any."""
    subjects = figures.get(case.name, {}).items()
    return next((each["µs"] for name, each in subjects if name.startswith(subject)), [])


def ratios(ours: t.Iterable[float], others: t.Iterable[float]) -> list[float]:
    """Return how many times as fast ours is; what slows a whole round cancels out."""
    return [other / own for own, other in zip(ours, others, strict=False)]


def shown(
    rounds: t.Sequence[float], write: t.Callable[[float], str], unit: str = ""
) -> str:
    """Return the median, the range, and whether that is too wide to rely on."""
    median, low, high = statistics.median(rounds), min(rounds), max(rounds)
    is_uncertain = max(high - median, median - low) > abs(UNCERTAIN * median)
    span = f" ({write(low)}-{write(high)})" if write(low) != write(high) else ""
    return f"{write(median)}{span} {unit}".rstrip() + ", uncertain" * is_uncertain


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    value = float(f"{value:.3g}")
    digits = 2 - sum(abs(value) >= limit for limit in (10, 100))
    return f"{value:,.{digits}f}"


def figure(figures: Figures, case: spec.Case, subject: str) -> str:
    """Return the figure of a subject in the unit of the case, if it has one."""
    rounds = times(figures, case, subject)
    if case.unit == "/s":
        rounds = [1e6 / each for each in rounds]
    return shown(rounds, number, case.unit) if rounds else ""


def goal(figures: Figures, case: spec.Case) -> str:
    """Return what is promised, what is, and the verdict, if there are figures.

    ``kept`` and ``missed`` are for what all rounds agree upon.
    """
    if isinstance(case.goal, spec.Bound):
        return bound(case, case.goal, times(figures, case, spec.OURS))
    least, than = case.goal or (0, "")
    others = times(figures, case, than)
    for other in CASES:
        if other.title == than:
            others = times(figures, other, spec.OURS)
    reached = ratios(times(figures, case, spec.OURS), others)
    if not (case.goal and reached):
        return ""
    word = verdict(each >= least for each in reached)
    told = shown(reached, "{:.2f}".format)
    return f"at least {least:.3g} times {than}; is {told}: **{word}**"


def bound(case: spec.Case, goal: spec.Bound, rounds: t.Sequence[float]) -> str:
    """Return what ours must not exceed, and the verdict, if there are figures."""
    if not rounds:
        return ""
    word = verdict(each <= goal.most for each in rounds)
    return f"at most {number(goal.most)} {case.unit}: **{word}**"


def verdict(reached: t.Iterable[bool]) -> str:
    """Return what rounds say that have *reached* a goal, or have not."""
    answers = set(reached)
    return "uncertain" if len(answers) > 1 else "kept" if True in answers else "missed"


def as_text(figures: Figures, cases: t.Iterable[spec.Case]) -> str:
    """Return all figures, and goals; ``x`` is how many times as fast ours is."""
    rows = []
    for case in cases:
        for name, each in figures[case.name].items():
            told = each["failure"] or figure(figures, case, name)
            costs = [
                *map(statistics.median, filter(None, (each["CPU µs"], each["MiB"])))
            ]
            ratio = ratios(times(figures, case, spec.OURS), each["µs"])
            fast = [statistics.median(ratio)] if ratio else []
            rows.append([case.name, name, told, *map(number, fast + costs)])
        if told := goal(figures, case):
            rows.append([case.name, "goal", told])
    head = ["", "", "median (range)", "x", "CPU µs", "MiB"]
    return tabulate(rows, head, "pipe", disable_numparse=True)


def as_markdown(figures: Figures, cases: t.Iterable[spec.Case]) -> str:
    """Return a row for each of *cases* that has figures of ours."""
    rows = []
    for case in cases:
        if times(figures, case, spec.OURS):
            cells = [figure(figures, case, who) for who in COLUMNS]
            rows.append([case.title, *cells, *filter(None, [goal(figures, case)])])
    head = ["", *COLUMNS, "goal"][: max(map(len, rows), default=0)]
    align = ("left", "right", "right", "right", "left")[: len(head)]
    return tabulate(rows, head, "pipe", disable_numparse=True, colalign=align)


def write_docs(newer: Document, folder: Path = DOCS) -> None:
    """Write *newer* figures; those of other cases stay, if the machine is the same.

    :raises ValueError: if the page has no place for them.
    """
    data, page = folder / "speed.json", folder / "speed.md"
    older = json.loads(data.read_text()) if data.exists() else newer
    same = older if older["machine"] == newer["machine"] else newer
    document = {name: {**same[name], **part} for name, part in newer.items()}
    figures, text = document["figures"], page.read_text()
    measured = "; ".join(sorted(set(document["measured"].values())))
    facts = {**document["machine"], "Measured": measured}
    parts = {
        "promised": as_markdown(figures, [case for case in CASES if case.goal]),
        "others": as_markdown(figures, [case for case in CASES if not case.goal]),
        "machine": "  \n".join(f"{name}: {fact}." for name, fact in facts.items()),
    }
    for name, part in parts.items():
        begin = f"<!-- {name}: written by hatch run bench -->"
        end = f"<!-- {name}: end -->"
        if begin not in text or end not in text:
            raise ValueError(f"There is no place for figures. Add {begin} and {end}.")
        before, after = text.partition(begin)[0], text.partition(end)[2]
        text = f"{before}{begin}\n\n{part}\n\n{end}{after}"
    data.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    page.write_text(text)
