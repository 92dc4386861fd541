"""The command of this distribution. Nothing else here imports click."""

from __future__ import annotations

import math
import typing as t

import click
from signalbus.exceptions import clean_line
from signalbus_cli.arguments import bus_of_app
from signalbus_cli.arguments import errors_in_one_line
from signalbus_cli.arguments import exclude_option
from signalbus_cli.arguments import load_app
from signalbus_cli.arguments import names_argument
from signalbus_cli.arguments import select_models

from signalbus_relay._health import parse_address
from signalbus_relay._leaving import leave
from signalbus_relay._shown import shown_lines
from signalbus_relay.relay import Relay


def _seconds(minimum: float, default: float) -> dict[str, t.Any]:
    """Return the arguments of an option that takes a finite number of seconds."""

    def check(ctx: click.Context, param: click.Parameter, value: float) -> float:
        if minimum <= value < math.inf:
            return value
        text = f"{value:g} is not a number of {minimum:g} or more."
        raise click.BadParameter(text, ctx, param)

    return {
        "type": float,
        "metavar": "SECONDS",
        "default": default,
        "show_default": True,
        "callback": check,
    }


def _read_address(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[str, int] | None:
    try:
        return None if value is None else parse_address(value)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


@click.command()
@names_argument
@exclude_option
@click.option(
    "--poll",
    **_seconds(minimum=0.01, default=1.0),
    help="The longest interval at which it looks for signals without being woken.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    metavar="N",
    default=1,
    show_default=True,
    help="Threads for each broker, and for each model that sends by itself.",
)
@click.option(
    "--grace",
    **_seconds(minimum=0, default=20.0),
    help="How long the bursts at hand may take when it is stopped.",
)
@click.option(
    "--health",
    metavar="HOST:PORT",
    callback=_read_address,
    help="Report on its health there: GET /healthz.",
)
def run(  # noqa: PLR0913, PLR0917 click passes them by name
    names: tuple[str, ...],
    exclude: tuple[str, ...],
    poll: float,
    concurrency: int,
    grace: float,
    health: tuple[str, int] | None,
) -> None:
    """Send what is pending, as soon as it is there, until stopped.

    Any number of relays may run at the same time, on any hosts: they share the work.

    NAMES are the signal models to send; by default, all.
    """
    with bus_of_app() as bus:
        select_models(bus, names, exclude)  # tells unknown names
    relay = Relay(
        load_app(),
        names=names,
        exclude=exclude,
        poll=poll,
        concurrency=concurrency,
        grace=grace,
        health=health,
    )
    with errors_in_one_line(), shown_lines():
        status = relay.run(announce=lambda line: click.echo(clean_line(line)))
    click.echo(_describe_sent(relay.sent))
    if relay.is_hanging:
        leave(status)
    if status:
        raise click.exceptions.Exit(status)


def _describe_sent(count: int) -> str:
    return f"{count:,} {'signal' if count == 1 else 'signals'} sent."


#: The commands of this distribution.
COMMANDS: t.Final = (run,)
