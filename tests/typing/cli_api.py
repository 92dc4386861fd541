"""Commands as authors of plugins write them: this file is checked, and never run."""

from __future__ import annotations

import typing as t

import click
from signalbus import hookimpl
from signalbus_cli.arguments import bus_of_app
from signalbus_cli.arguments import complete_names
from signalbus_cli.arguments import errors_in_one_line
from signalbus_cli.arguments import exclude_option
from signalbus_cli.arguments import load_app
from signalbus_cli.arguments import names_argument
from signalbus_cli.arguments import select_models
from signalbus_cli.output import format_table
from signalbus_cli.output import print_warning

if t.TYPE_CHECKING:
    from flask.cli import AppGroup
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel


@click.command()
@names_argument
@exclude_option
def park(names: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Choose models, and print a table."""
    with bus_of_app() as bus:
        models: list[SignalModel] = select_models(bus, names, exclude, strict=True)
        rows = [(model.__name__, bus.count_pending([model])[model]) for model in models]
    for line in format_table(("MODEL", "COUNT"), rows):
        click.echo(line)


@click.command()
@click.argument("name", shell_complete=complete_names)
def show(name: str) -> None:
    """Use the app without a bus of its own."""
    with load_app().app_context(), errors_in_one_line():
        print_warning(name)


@hookimpl(optionalhook=True)
def signalbus_register_commands(group: AppGroup) -> None:
    """Add the commands."""
    group.add_command(park)
    group.add_command(show)


@hookimpl(optionalhook=True)
def signalbus_count_signals(
    bus: Bus, models: t.Sequence[SignalModel]
) -> t.Mapping[str, t.Mapping[SignalModel, int]]:
    """Count nothing."""
    return {"parked": dict.fromkeys(models, 0)}
