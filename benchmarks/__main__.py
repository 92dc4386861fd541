"""The command: ``hatch run bench`` or ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import sys
import typing as t
from pathlib import Path

from benchmarks import docs
from benchmarks import machine
from benchmarks import report
from benchmarks import services
from benchmarks import table
from benchmarks.catalogue import select
from benchmarks.goals import verdicts
from benchmarks.measure import measure
from benchmarks.report import Document

if t.TYPE_CHECKING:
    from benchmarks.cases import Case

#: How often every subject is measured, unless it is said.
ROUNDS = 5


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Measure the cases that are asked for, and tell the figures."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.write_docs and (options.quick or options.size):
        parser.error("--write-docs is for figures of full size")
    try:
        cases = select(options.cases)
    except LookupError as error:
        parser.error(error.args[0])
    if options.list:
        _list(cases)
        return 0
    cases = [case.resized(options.size, quick=options.quick) for case in cases]
    description = machine.describe()
    entries = tuple(_entry(case, options.rounds) for case in cases)
    document = Document(description, entries)
    _print(cases, document)
    if options.json:
        options.json.write_text(document.to_json())
    if options.write_docs:
        docs.write(document)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure signalbus, its predecessor, and the limits of both.",
        epilog="The servers are found as by the tests: SIGNALBUS_TEST_POSTGRESQL_URL,"
        " _MARIADB_URL and _RABBITMQ_URL. Cases that miss theirs are skipped.",
    )
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help="cases or groups; all, if none given")
    add("--list", action="store_true", help="list the cases, and measure nothing")
    add("--rounds", type=int, default=ROUNDS, help="how often each is measured")
    add("--size", type=int, help="signals in a measurement, where that is free")
    add("--quick", action="store_true", help="one round of few signals, to try it out")
    add("--json", type=Path, metavar="FILE", help="write the figures to a file")
    add("--write-docs", action="store_true", help="write the figures into the manual")
    return parser


def _print(cases: t.Iterable[Case], document: Document) -> None:
    facts = "\n".join(f"{name}: {value}" for name, value in document.machine.items())
    goals = table.goals_as_text(verdicts(cases, document.entries))
    parts = [table.as_text(document.entries), goals, facts]
    print("\n\n".join(filter(None, parts)))


def _list(cases: t.Iterable[Case]) -> None:
    for case in cases:
        print(f"{case.name:28} {case.title}")


def _entry(case: Case, rounds: int) -> report.Entry:
    reason = services.reason_to_skip(case)
    if reason:
        return report.skipped(case, reason)
    return report.entry(measure(case, rounds, _tell))


def _tell(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
