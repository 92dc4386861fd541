"""The output of the commands, as text and as JSON."""

from __future__ import annotations

import typing as t

import click
from signalbus.exceptions import escape_controls
from signalbus_cli.output import format_table

from signalbus_retry import _json
from signalbus_retry._times import ago
from signalbus_retry._times import until

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry.failure import Failure
    from signalbus_retry.failure import FailureGroup

#: How much of an error a table shows.
_MAX_ERROR: t.Final = 60

#: What was done, or would be done, to one signal and to several.
_DONE: t.Final = {
    "replay": ("will be sent by the next flush", "would be sent by the next flush"),
    "park": ("parked", "would be parked"),
    "discard": ("discarded", "would be discarded"),
}


def print_groups(groups: t.Sequence[FailureGroup], *, as_json: bool) -> None:
    """Print failed signals in groups."""
    if as_json:
        click.echo(_json.dumps([_json.of_group(group) for group in groups]))
        return
    headers = ("MODEL", "ERROR", "SIGNALS", "PARKED", "FIRST", "LAST", "NEXT")
    rows = [
        (
            group.model.__name__,
            _short(f"{group.error_type}: {group.error_text}"),
            group.count,
            group.parked,
            ago(group.first_failed_at),
            ago(group.last_failed_at),
            "-" if group.next_attempt_at is None else until(group.next_attempt_at),
        )
        for group in groups
    ]
    _print_table(headers, rows)


def print_failures(failures: t.Sequence[Failure], *, as_json: bool) -> None:
    """Print each failed signal."""
    if as_json:
        click.echo(_json.dumps([_json.of_failure(failure) for failure in failures]))
        return
    headers = ("MODEL", "KEY", "ATTEMPTS", "FIRST", "LAST", "NEXT", "ERROR")
    rows = [
        (
            failure.model.__name__,
            _key(failure),
            failure.attempts,
            ago(failure.first_failed_at),
            ago(failure.last_failed_at),
            until(failure.next_attempt_at),
            _short(failure.error),
        )
        for failure in failures
    ]
    _print_table(headers, rows)


def print_signal(
    declaration: Declaration,
    key: PrimaryKey,
    columns: t.Mapping[str, t.Any],
    failure: Failure | None,
    *,
    as_json: bool,
) -> None:
    """Print one signal: its columns, and what is known of its failures."""
    if as_json:
        signal = _json.of_signal(declaration.model, key, failure)
        click.echo(_json.dumps({**signal, "columns": columns}))
        return
    click.echo(escape_controls(declaration.describe(key)))
    for line in _pairs(columns):
        click.echo(line)
    if failure is None:
        click.echo("\nIt has not failed.")
        return
    click.echo(f"\nattempts      {failure.attempts:,}")
    click.echo(f"first failed  {failure.first_failed_at:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"last failed   {failure.last_failed_at:%Y-%m-%d %H:%M:%S} UTC")
    due = "none: it is parked" if failure.is_parked else until(failure.next_attempt_at)
    click.echo(f"next attempt  {due}\n")
    # The further lines are indented: none looks like a line of the command's own.
    first, *others = failure.error.splitlines() or [""]
    click.echo(escape_controls(first))
    for line in others:
        click.echo(f"  {escape_controls(line)}")


def print_counts(
    action: str,
    counts: t.Mapping[SignalModel, int],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Print how many signals an action was applied to, or would be.

    For ``discard``, stdout has the discarded signals, so this goes to stderr.
    """
    if as_json:
        by_name = {model.__name__: count for model, count in counts.items()}
        document = {"action": action, "dry_run": dry_run, "signals": by_name}
        click.echo(_json.dumps(document))
        return
    done = _DONE[action][dry_run]
    for model, count in counts.items():
        signals = "1 signal" if count == 1 else f"{count:,} signals"
        name = escape_controls(model.__name__)
        click.echo(f"{name}: {signals} {done}.", err=action == "discard")


def describe_counts(counts: t.Mapping[SignalModel, int]) -> str:
    """Return a text that says how many signals of which models there are."""
    return " and ".join(
        f"{count:,} {'signal' if count == 1 else 'signals'} of"
        f" {escape_controls(model.__name__)}"
        for model, count in counts.items()
        if count
    )


def print_discarded(failure: Failure, columns: t.Mapping[str, t.Any]) -> None:
    """Print a signal that is about to be deleted."""
    click.echo(_json.dumps({**_json.of_failure(failure), "columns": columns}))


def _print_table(
    headers: t.Sequence[str], rows: t.Sequence[t.Sequence[str | int]]
) -> None:
    for line in format_table(headers, rows):
        click.echo(line)


def _pairs(columns: t.Mapping[str, t.Any]) -> list[str]:
    """Return the columns of a signal, one per line."""
    names = list(map(escape_controls, columns))
    width = max(map(len, names))
    return [
        f"  {name.ljust(width)}  {escape_controls(_text(value))}"
        for name, value in zip(names, columns.values(), strict=True)
    ]


def _key(failure: Failure) -> str:
    """Return a key as ``--key`` takes it."""
    if len(failure.key) > 1:
        return _json.dumps(list(failure.key))
    return _text(failure.key[0])


def _text(value: object) -> str:
    """Return a value as text for people."""
    plain = _json.dumps(value)
    return value if isinstance(value, str) else plain.strip('"')


def _short(error: str) -> str:
    first = error.partition("\n")[0]
    return first if len(first) <= _MAX_ERROR else f"{first[: _MAX_ERROR - 1]}…"
