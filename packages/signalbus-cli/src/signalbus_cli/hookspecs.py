"""The hooks by which other distributions add commands, and counts to `pending`."""

from __future__ import annotations

import typing as t

from signalbus import hookspec

if t.TYPE_CHECKING:
    from flask.cli import AppGroup
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel


@hookspec
def signalbus_register_commands(group: AppGroup) -> None:
    """Add commands to *group*, which is `flask signalbus`.

    Called once per process, when commands are listed, or when the wanted command is not
    one of signalbus-cli. No app is loaded then, and there is no app context. A command
    made with ``@group.command()`` runs in an app context, where the bus is
    ``current_app.extensions["signalbus"]``. The commands of signalbus-cli cannot be
    replaced.

    Called only for installed plugins, which are those of the entry-point group
    ``signalbus``. Use ``@hookimpl(optionalhook=True)``, so that the plugin also works
    without signalbus-cli.
    """


@hookspec
def signalbus_count_signals(
    bus: Bus, models: t.Sequence[SignalModel]
) -> t.Mapping[str, t.Mapping[SignalModel, int]]:
    """Return counts that `flask signalbus pending` shows beside the pending signals.

    By title and model, such as ``{"waiting": {OrderPaid: 3}, "parked": {}}``. Count
    signals that are pending, too: a row that was sent, or deleted, must not be counted.
    A model that is left out has none. A title is one lowercase word, the heading of a
    column and a key in the JSON; "model" and "pending" are taken.

    Called once for a command, in an app context, with the *models* that the user chose,
    and not if there are none. The titles should not depend on *models* or on the
    counts, so that the columns are always the same.

    Titles are shown in the order in which plugins are called. The counts of plugins
    that have the same title are added. If a plugin raises an exception, a warning on
    stderr names it, and the command goes on without its counts.

    Use ``@hookimpl(optionalhook=True)``, so that the plugin also works without
    signalbus-cli.
    """
