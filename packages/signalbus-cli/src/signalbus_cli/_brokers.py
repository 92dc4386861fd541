"""`flask signalbus NAME check`, for every installed broker that has no group itself."""

from __future__ import annotations

import typing as t

import click
from signalbus.brokers import BrokerPlugin
from signalbus.exceptions import clean_line

from signalbus_cli.arguments import bus_of_app
from signalbus_cli.arguments import names_argument
from signalbus_cli.arguments import select_models

if t.TYPE_CHECKING:
    import pluggy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


def add_groups(group: click.Group, manager: pluggy.PluginManager) -> None:
    """Add a group to *group* for each broker, unless that has added one of its name."""
    for name in _brokers(manager):
        if name not in group.commands:
            group.add_command(_group(name))


def _brokers(manager: pluggy.PluginManager) -> dict[str, BrokerPlugin]:
    plugins = manager.get_plugins()
    return {each.name: each for each in plugins if isinstance(each, BrokerPlugin)}


def _group(name: str) -> click.Group:
    group = click.Group(name, help=f"Check the broker {name!r}.")

    @group.command()
    @names_argument
    def check(names: tuple[str, ...]) -> None:
        """Check that the broker has what signal models need.

        NAMES are signal models, by default all that name the broker. Nothing is sent.
        The exit status is 1 if something is missing.
        """
        _check(name, names)

    return group


def _check(name: str, names: tuple[str, ...]) -> None:
    with bus_of_app() as bus:
        selected = select_models(bus, names)
        models = [each for each in selected if bus.declaration(each).broker == name]
        if not models:
            raise click.ClickException(_no_model(name, bus, selected))
        lines = _brokers(bus.plugin_manager)[name].check(bus, models)
    for line in lines:
        click.echo(clean_line(str(line)), err=line.problem is not None)
    if any(line.problem for line in lines):
        click.get_current_context().exit(1)


def _no_model(name: str, bus: SignalBus, models: list[SignalModel]) -> str:
    others = {bus.declaration(each).broker for each in models} - {None}
    named = f" They name {', '.join(map(repr, sorted(map(str, others))))}."
    return f"No signal model names the broker {name!r}.{named if others else ''}"
