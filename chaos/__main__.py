"""The command: ``hatch run chaos`` or ``python -m chaos``."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import shutil
import sys
import tempfile
import typing as t
from pathlib import Path

import chaos.scenarios  # noqa: F401 registers them
from benchmarks import machine
from chaos import report
from chaos.run import run
from chaos.scenario import SCENARIOS
from chaos.servers import Unavailable
from chaos.venue import Venue
from chaos.without import SAFEGUARDS

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos.run import Result
    from chaos.scenario import Scenario


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Run the scenarios that are asked for, and print the verdicts.

    Returns the exit status: 0 if all promises were kept, else 1.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.without and options.write_docs:
        parser.error("--write-docs is for runs with all safeguards")
    try:
        chosen = select(options.scenarios)
    except LookupError as error:
        parser.error(error.args[0])
    if options.list:
        print("\n".join(f"{each.name:30} {each.title}" for each in chosen))
        return 0
    results = []
    with _venue(options.keep) as venue:
        try:
            for result in _results(chosen, options, venue):
                print(report.line(result), flush=True)
                results.append(result)
        except Unavailable as error:
            parser.error(str(error))
    print(f"\n{report.table(results)}")
    if options.json:
        report.write_json(results, options.json)
    if options.write_docs:
        report.write_docs(results, _command(options), _facts(results))
    return int(any(result.failures for result in results))


def select(names: t.Collection[str]) -> list[Scenario]:
    """Return the scenarios that have these names; all, if none are given.

    :raises LookupError: if there is no such scenario.
    """
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise LookupError(f"There is no scenario {unknown[0]!r}. See --list.")
    return [SCENARIOS[name] for name in names or SCENARIOS]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hatch run chaos",
        description="Record and send signals while everything fails; count them.",
        epilog="The servers are private processes on free ports. Their programs must"
        " be installed: PostgreSQL, MariaDB and RabbitMQ.",
    )
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO", help="all, if none are given")
    add("--list", action="store_true", help="list the scenarios, and run nothing")
    add("--seconds", type=float, default=10.0, help="how long faults happen in each")
    add(
        "--seed",
        type=int,
        action="append",
        help="chooses the faults; by default 1; run all scenarios for each",
    )
    add(
        "--without",
        choices=list(SAFEGUARDS),
        metavar="SAFEGUARD",
        help="take it out of signalbus, to see what finds out: one of %(choices)s",
    )
    add("--json", type=Path, metavar="FILE", help="write the results to a file")
    add("--keep", type=Path, metavar="FOLDER", help="keep logs and ledgers there")
    add("--write-docs", action="store_true", help="write the table into the manual")
    return parser


def _command(options: argparse.Namespace) -> str:
    """Return the command that does the same, without what is for this machine only."""
    seeds = [f"--seed {seed}" for seed in options.seed or [1]]
    words = [*options.scenarios, f"--seconds {options.seconds:g}", *seeds]
    return " ".join(["hatch run chaos", *words])


def _facts(results: t.Iterable[Result]) -> dict[str, str]:
    """Return what the table needs to be understood; the servers are private ones."""
    facts = machine.describe()
    today = f"{dt.datetime.now(tz=dt.timezone.utc):%Y-%m-%d}"
    minutes = sum(result.seconds for result in results) / 60
    kept = ("Processor", "Memory", "System", "Python", "signalbus")
    return {
        **{name: facts[name] for name in kept},
        "Run": f"{today}, {minutes:.0f} minutes",
    }


def _results(
    chosen: t.Sequence[Scenario], options: argparse.Namespace, venue: Venue
) -> Iterator[Result]:
    if options.without:
        chosen = [scenario.without(options.without) for scenario in chosen]
    for seed in options.seed or [1]:
        for scenario in chosen:
            yield run(scenario, options.seconds, seed, venue)


@contextlib.contextmanager
def _venue(keep: Path | None) -> Iterator[Venue]:
    """Give a venue in a folder, which is removed unless it shall be kept."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="signalbus-chaos-", dir=keep))
    venue = Venue(home)
    try:
        yield venue
    finally:
        venue.close()
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
