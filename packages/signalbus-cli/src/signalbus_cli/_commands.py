"""The commands themselves: what each takes and what it calls."""

from __future__ import annotations

import math
import typing as t

import click

from signalbus_cli._app import load_app
from signalbus_cli._app import refusals
from signalbus_cli._app import select
from signalbus_cli._logs import shown_warnings
from signalbus_cli._run import run
from signalbus_cli._table import describe_model
from signalbus_cli._table import table

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

F = t.TypeVar("F", bound=t.Callable[..., None])


def _seconds(least: float) -> dict[str, t.Any]:
    """Return what makes an option a number of seconds that a clock can wait for."""

    def check(
        ctx: click.Context, param: click.Parameter, value: float | None
    ) -> float | None:
        if value is None or least <= value < math.inf:
            return value
        raise click.BadParameter(
            f"{value:g} is not a number of {least:g} or more.", ctx, param
        )

    return {"type": float, "metavar": "SECONDS", "callback": check}


def _takes_models(command: F) -> F:
    """Add what all three flush commands take."""
    decorators = (
        click.argument("names", nargs=-1),
        click.option(
            "-r",
            "--repeat",
            **_seconds(least=0.001),
            help="Start again every SECONDS seconds, until stopped.",
        ),
        click.option(
            "-e",
            "--exclude",
            metavar="NAME",
            multiple=True,
            help="Leave out this signal model. May be given several times.",
        ),
    )
    for decorator in decorators:
        command = decorator(command)
    return command


@click.command()
@_takes_models
@click.option(
    "-w",
    "--wait",
    **_seconds(least=0),
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

    Those that somebody else is about to send are waited for; those that are recorded
    meanwhile are left to the next time.

    NAMES are the signal models to flush, all if none is given.
    """
    _flush(lambda bus, models: bus.flush(models, wait=wait), names, exclude, repeat)


@click.command()
@_takes_models
def flushmany(
    names: tuple[str, ...], exclude: tuple[str, ...], repeat: float | None
) -> None:
    """Send all pending signals, even millions.

    Does not wait, and goes on until nothing is left. Several processes may run this at
    once; they share the work.

    NAMES are the signal models to flush, all if none is given.
    """
    _flush(lambda bus, models: bus.flushmany(models), names, exclude, repeat)


@click.command()
@_takes_models
def flushordered(
    names: tuple[str, ...], exclude: tuple[str, ...], repeat: float | None
) -> None:
    """Send the signals that are pending now, in their order.

    The order is the model's `signalbus_order_by`. A signal that cannot be sent stops
    its model there; the other models go on. Run one process at a time.

    NAMES are the signal models to flush, all if none is given.
    """
    _flush(lambda bus, models: bus.flushordered(models), names, exclude, repeat)


@click.command()
def signals() -> None:
    """List the signal models: who sends them, and how."""
    app = load_app()
    with app.app_context(), refusals(), shown_warnings():
        bus = app.extensions["signalbus"]
        models = bus.get_signal_models()
        rows = [describe_model(bus, model) for model in models]
    _tell_if_none(models)
    for line in table(("MODEL", "SENT BY", "BURST", "AUTOFLUSH", "ORDER"), rows):
        click.echo(line)


@click.command()
def pending() -> None:
    """Count the pending signals of each model."""
    app = load_app()
    with app.app_context(), refusals(), shown_warnings():
        counts = app.extensions["signalbus"].count_pending()
    _tell_if_none(counts)
    named = [(count, model.__name__) for model, count in counts.items()]
    total = (sum(counts.values()), "total")
    for count, name in [*named, total]:
        click.echo(f"{count:>9,}  {name}")


def _tell_if_none(models: t.Collection[SignalModel]) -> None:
    """Say how to make signal models, if there are none."""
    if not models:
        click.echo(
            "There are no signal models. Define send_signalbus_message or"
            " signalbus_broker on a model, and make sure that the app imports the"
            " model's module.",
            err=True,
        )


#: Our own commands, whatever plugins there are.
COMMANDS = (flush, flushmany, flushordered, pending, signals)


def _flush(
    method: t.Callable[[SignalBus, list[SignalModel]], int],
    names: tuple[str, ...],
    exclude: tuple[str, ...],
    repeat: float | None,
) -> None:
    """Run *method* for the models that the user wants; exit with 1 if it fails."""
    app = load_app()
    with app.app_context(), refusals(), shown_warnings():
        models = select(app.extensions["signalbus"], names, exclude)
    if not run(app, lambda bus: method(bus, models), repeat):
        raise click.exceptions.Exit(1)
