"""The commands: their arguments, and the methods of the bus that they call."""

from __future__ import annotations

import math
import typing as t

import click

from signalbus_cli._check import find_problems
from signalbus_cli._pending import Counts
from signalbus_cli._run import run
from signalbus_cli._table import describe_model
from signalbus_cli.arguments import bus_of_app
from signalbus_cli.arguments import exclude_option
from signalbus_cli.arguments import load_app
from signalbus_cli.arguments import names_argument
from signalbus_cli.arguments import select_models
from signalbus_cli.output import format_table

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

F = t.TypeVar("F", bound=t.Callable[..., None])


def _seconds(minimum: float) -> dict[str, t.Any]:
    """Return the arguments of an option that takes a finite number of seconds."""

    def check(
        ctx: click.Context, param: click.Parameter, value: float | None
    ) -> float | None:
        if value is None or minimum <= value < math.inf:
            return value
        raise click.BadParameter(
            f"{value:g} is not a number of {minimum:g} or more.", ctx, param
        )

    return {"type": float, "metavar": "SECONDS", "callback": check}


def _flush_options(command: F) -> F:
    """Add the arguments of all three flush commands."""
    decorators = (
        names_argument,
        click.option(
            "-r",
            "--repeat",
            **_seconds(minimum=0.001),
            help="Run again every SECONDS seconds, until stopped.",
        ),
        exclude_option,
    )
    for decorator in decorators:
        command = decorator(command)
    return command


@click.command()
@_flush_options
@click.option(
    "-w",
    "--wait",
    **_seconds(minimum=0),
    default=3.0,
    show_default=True,
    help="How long to wait for signals that others are sending.",
)
def flush(
    names: tuple[str, ...],
    exclude: tuple[str, ...],
    wait: float,
    repeat: float | None,
) -> None:
    """Send the signals that are pending now.

    Waits for signals that others are sending. Signals that are recorded while it runs
    are left for the next run.

    NAMES are the signal models to flush; by default, all.
    """
    _flush(lambda bus, models: bus.flush(models, wait=wait), names, exclude, repeat)


@click.command()
@_flush_options
def flushmany(
    names: tuple[str, ...], exclude: tuple[str, ...], repeat: float | None
) -> None:
    """Send all pending signals, even millions.

    Does not wait for others. Several processes may run this at the same time: they
    share the work.

    NAMES are the signal models to flush; by default, all.
    """
    _flush(lambda bus, models: bus.flushmany(models), names, exclude, repeat)


@click.command()
@_flush_options
def flushordered(
    names: tuple[str, ...], exclude: tuple[str, ...], repeat: float | None
) -> None:
    """Send the signals that are pending now, in order.

    The order is the model's `signalbus_order_by`. If a signal cannot be sent, no later
    signal of its model is sent; other models are not affected. Run one process at a
    time.

    NAMES are the signal models to flush; by default, all.
    """
    _flush(lambda bus, models: bus.flushordered(models), names, exclude, repeat)


@click.command()
def signals() -> None:
    """List the signal models, and how each is sent."""
    with bus_of_app() as bus:
        models = bus.get_signal_models()
        rows = [describe_model(bus, model) for model in models]
    _warn_if_none(models)
    for line in format_table(("MODEL", "SENT BY", "BURST", "AUTOFLUSH", "ORDER"), rows):
        click.echo(line)


@click.command()
@names_argument
@exclude_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@click.option(
    "--fail-over",
    "limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Exit with status 1 if more than N signals are pending.",
)
def pending(
    names: tuple[str, ...], exclude: tuple[str, ...], as_json: bool, limit: int | None
) -> None:
    """Count the pending signals of each model.

    Pending signals are all that were recorded and not sent yet. Plugins may add counts
    of those that are special, such as the ones that wait for their next attempt.

    NAMES are the signal models to count; by default, all.
    """
    with bus_of_app() as bus:
        models = select_models(bus, names, exclude)
        counts = Counts(bus, models)
        known = models or bus.get_signal_models()
    _warn_if_none(known)
    for line in [counts.as_json()] if as_json else counts.lines():
        click.echo(line)
    if limit is not None and counts.pending > limit:
        raise click.ClickException(_describe_excess(counts.pending, limit))


@click.command()
@names_argument
@exclude_option
def check(names: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Find what keeps signals from being sent, or makes it slow.

    Prints a line for each problem, such as a missing broker, table or index, and what
    to do about it. If there is any, the exit status is 1. Sends and changes nothing.

    NAMES are the signal models to check; by default, all.
    """
    with bus_of_app() as bus:
        models = select_models(bus, names, exclude)
        problems = find_problems(bus, models)
        known = models or bus.get_signal_models()
    _warn_if_none(known)
    for problem in problems:
        click.echo(problem)
    if problems:
        raise click.exceptions.Exit(1)


def _describe_excess(count: int, limit: int) -> str:
    what = "1 signal is" if count == 1 else f"{count:,} signals are"
    return f"{what} pending, more than {limit:,}."


def _warn_if_none(models: t.Collection[SignalModel]) -> None:
    """Print how to define signal models, if there are none."""
    if not models:
        click.echo(
            "There are no signal models. Define send_signalbus_message or"
            " signalbus_broker on a model, and make sure that the app imports the"
            " model's module.",
            err=True,
        )


#: The commands of this distribution.
COMMANDS = (check, flush, flushmany, flushordered, pending, signals)


def _flush(
    method: t.Callable[[SignalBus, list[SignalModel]], int],
    names: tuple[str, ...],
    exclude: tuple[str, ...],
    repeat: float | None,
) -> None:
    """Call *method* for the models that the user chose; exit with 1 if it fails."""
    with bus_of_app() as bus:
        models = select_models(bus, names, exclude)
    if not run(load_app(), lambda bus: method(bus, models), repeat):
        raise click.exceptions.Exit(1)
