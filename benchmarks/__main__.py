"""The command: ``hatch run bench`` or ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import typing as t
from pathlib import Path

from benchmarks import figures
from benchmarks import machine
from benchmarks import runner
from benchmarks.cases import CASES

if t.TYPE_CHECKING:
    from benchmarks.spec import Case


def main(arguments: t.Sequence[str] | None = None) -> None:
    """Measure the cases that are asked for, and print the figures."""
    parser = argparse.ArgumentParser(
        prog="hatch run bench",
        description="Measure signalbus, its predecessor, and the limits of both.",
        epilog="The servers are found as by the tests: SIGNALBUS_TEST_POSTGRESQL_URL,"
        " _MARIADB_URL, _RABBITMQ_URL, _REDIS_URL and _NATS_URL. A case without its"
        " servers has no figures.",
    )
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help="cases or groups; all, if none given")
    add("--list", action="store_true", help="list the cases, and measure nothing")
    add("--rounds", type=int, default=5, help="how often each is measured")
    add("--quick", action="store_true", help="one round of few signals, to try it out")
    add("--json", type=Path, metavar="FILE", help="write the figures to a file")
    add("--write-docs", action="store_true", help="write the figures into the manual")
    options = parser.parse_args(arguments)
    if options.write_docs and options.quick:
        parser.error("--write-docs is for figures of full size")
    try:
        cases = select(options.cases)
    except LookupError as error:
        parser.error(error.args[0])
    if options.list:
        print("\n".join(f"{case.name:28} {case.title}" for case in cases))
        return
    if options.quick:
        options.rounds = 1
        change = dataclasses.replace
        cases = [change(case, size=max(case.size // 50, 50)) for case in cases]
    how = f"{dt.datetime.now(tz=dt.timezone.utc):%Y-%m-%d}, {options.rounds} rounds"
    document: figures.Document = {
        "machine": machine.describe(),
        "measured": {case.name: how for case in cases},
        "figures": {case.name: runner.measure(case, options.rounds) for case in cases},
    }
    print(figures.as_text(document["figures"], cases))
    print(*map(": ".join, document["machine"].items()), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(document))
    if options.write_docs:
        figures.write_docs(document)


def select(names: t.Collection[str]) -> list[Case]:
    """Return the cases that have these names, or whose group has; all, if none given.

    :raises LookupError: if there is no such case.
    """
    known = {case.name: {case.name, case.name.partition("/")[0]} for case in CASES}
    if unknown := set(names).difference(*known.values()):
        raise LookupError(f"There is no case {unknown.pop()!r}. See --list.")
    return [case for case in CASES if not names or known[case.name] & set(names)]


if __name__ == "__main__":
    main()
