"""The commands of this distribution. Nothing else here imports click."""

from __future__ import annotations

import typing as t

import click
from signalbus.rows import SignalRows
from signalbus_cli.arguments import bus_of_app
from signalbus_cli.arguments import complete_names
from signalbus_cli.arguments import names_argument
from signalbus_cli.arguments import select_models

from signalbus_retry import _output
from signalbus_retry._chosen import Chosen
from signalbus_retry._chosen import parse_keys
from signalbus_retry._chosen import refuse_gone
from signalbus_retry._chosen import select_model
from signalbus_retry._groups import failure_groups
from signalbus_retry._operations import discard as discard_signals
from signalbus_retry._operations import failures as find_failures
from signalbus_retry._operations import park as park_signals
from signalbus_retry._operations import replay as replay_signals

F = t.TypeVar("F", bound=t.Callable[..., None])

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Print what would be done, and do nothing."
)
_error_option = click.option(
    "--error",
    metavar="TEXT",
    help="Only signals whose last error contains TEXT, in upper or lower case.",
)
_parked_option = click.option("--parked", is_flag=True, help="Only parked signals.")
_some_names = click.argument(
    "names", nargs=-1, required=True, shell_complete=complete_names
)
_one_name = click.argument("name", shell_complete=complete_names)


def _key_option(*, required: bool = False) -> t.Callable[[F], F]:
    return click.option(
        "--key",
        "keys",
        metavar="KEY",
        multiple=True,
        required=required,
        help="The primary key of a signal; a JSON array if it has several columns."
        " May be given several times.",
    )


@click.command()
@names_argument
@_parked_option
@click.option("--retrying", is_flag=True, help="Only signals that will be tried again.")
@_error_option
@click.option("--list", "as_list", is_flag=True, help="List each signal.")
@_json_option
def failures(  # noqa: PLR0913, PLR0917 click passes them by name
    names: tuple[str, ...],
    parked: bool,
    retrying: bool,
    error: str | None,
    as_list: bool,
    as_json: bool,
) -> None:
    """Show the signals that failed, grouped by model and error.

    A failed signal waits for its next attempt, or is parked: then it waits for you.

    NAMES are the signal models to look at; by default, all.
    """
    if parked and retrying:
        raise click.UsageError("Pass --parked or --retrying, not both.")
    state = True if parked else False if retrying else None
    with bus_of_app() as bus:
        models = select_models(bus, names, strict=True)
        if as_list:
            found = list(find_failures(bus, models, error=error, parked=state))
            _output.print_failures(found, as_json=as_json)
            is_empty = not found
        else:
            groups = failure_groups(bus, models, error=error, parked=state)
            _output.print_groups(groups, as_json=as_json)
            is_empty = not groups
    if is_empty and not as_json:
        is_narrowed = names or error or parked or retrying
        nothing = (
            "No failed signal matches." if is_narrowed else "No signal has failed."
        )
        click.echo(nothing, err=True)


@click.command()
@_one_name
@click.argument("key")
@_json_option
def show(name: str, key: str, as_json: bool) -> None:
    """Show a signal: its columns, attempts and whole last error.

    KEY is its primary key; a JSON array if it has several columns.
    """
    with bus_of_app() as bus:
        model = select_model(bus, name)
        wanted = parse_keys(bus, model, [key])
        rows = SignalRows(bus, model)
        with rows.transaction() as connection:
            found = rows.read(connection, wanted)
        if not found:
            refuse_gone(bus, model, wanted, found)
        ((primary_key, columns),) = found.items()
        failure = next(find_failures(bus, [model], keys=[primary_key]), None)
        declaration = bus.declaration(model)
    _output.print_signal(declaration, primary_key, columns, failure, as_json=as_json)


@click.command()
@_some_names
@_key_option()
@_error_option
@_parked_option
@_dry_run_option
@_json_option
def replay(
    names: tuple[str, ...], dry_run: bool, as_json: bool, **filters: t.Any
) -> None:
    """Let signals that failed be sent by the next flush.

    Their attempts are forgotten: if they fail again, they are tried as often as new
    ones. Signals that wait for their next attempt are replayed, too, unless --parked
    is given.

    NAMES are the signal models.
    """
    with bus_of_app() as bus:
        chosen = Chosen.of(bus, names, **filters)
        counts = chosen.counted if dry_run else chosen.each(replay_signals)
    _output.print_counts("replay", counts, dry_run=dry_run, as_json=as_json)
    chosen.refuse_missing()


@click.command()
@_one_name
@_key_option(required=True)
@click.option("--reason", default="", help="What is shown as the error.")
@_dry_run_option
@_json_option
def park(
    name: str, keys: tuple[str, ...], reason: str, dry_run: bool, as_json: bool
) -> None:
    """Park signals: no flush sends them until they are replayed.

    They need not have failed. A signal that is just being sent is waited for.

    NAME is the signal model.
    """
    with bus_of_app() as bus:
        model = select_model(bus, name)
        wanted = parse_keys(bus, model, keys)
        rows = SignalRows(bus, model)
        with rows.transaction() as connection:
            present = rows.present(connection, wanted)
        count = len(present) if dry_run else park_signals(bus, model, wanted, reason)
    _output.print_counts("park", {model: count}, dry_run=dry_run, as_json=as_json)
    if len(present) < len(wanted):
        refuse_gone(bus, model, wanted, present)


@click.command()
@_some_names
@_key_option()
@_error_option
@_parked_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@_dry_run_option
@_json_option
def discard(
    names: tuple[str, ...],
    yes: bool,
    dry_run: bool,
    as_json: bool,
    **filters: t.Any,
) -> None:
    """Delete signals that failed, for good, without sending them.

    Each is printed on stdout before it is deleted, as a line of JSON that has its
    columns. Signals that have not failed are never deleted.

    NAMES are the signal models.
    """
    with bus_of_app() as bus:
        chosen = Chosen.of(bus, names, **filters)
        counts = chosen.counted
        if any(counts.values()) and not dry_run:
            if not yes:
                question = f"Delete {_output.describe_counts(counts)} for good?"
                click.confirm(question, abort=True, err=True)
            counts = chosen.each(_discard_and_print)
    if dry_run or not as_json:
        _output.print_counts("discard", counts, dry_run=dry_run, as_json=as_json)
    chosen.refuse_missing()


def _discard_and_print(*args: t.Any, **filters: t.Any) -> int:
    return discard_signals(*args, **filters, before=_output.print_discarded)


#: The commands of this distribution.
COMMANDS = (failures, show, replay, park, discard)
