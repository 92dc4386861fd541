"""Which relays a commit wakes, or a program."""

from __future__ import annotations

import typing as t

import flask
from signalbus.exceptions import SignalModelError

from signalbus_relay import _channel
from signalbus_relay import _settings
from signalbus_relay._notifier import notifier_of

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import Bus
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel


def wake(bus: Bus, models: t.Iterable[SignalModel] | None = None) -> None:
    """Wake the relays that send the signals of *models*, by default of all.

    Commits of ``db.session`` do that by themselves for models that are not autoflushed.
    Call it after the commit when rows were inserted in another way, such as by
    ``INSERT … SELECT``. It needs an app context. It returns at once, whatever
    ``SIGNALBUS_RELAY_NOTIFY`` says: a thread of its own tells PostgreSQL. Models on
    other databases are passed over, since relays poll there.

    :raises SignalModelError: if one of *models* is not a signal model.
    :raises TypeError: if *models* is a model, and not a list of models.
    """
    if isinstance(models, type):
        raise TypeError(
            f"models is the class {models.__name__}. Pass a list: [{models.__name__}]."
        )
    chosen = bus.get_signal_models() if models is None else models
    declarations = [bus.declaration(model) for model in chosen]
    _announce(bus, declarations, is_all=models is None)


def wake_after_commit(bus: Bus, recorded: Recorded) -> None:
    """Wake the relays that send what this process does not autoflush."""
    if not _settings.read_notify(flask.current_app.config):
        return
    autoflush = bus.autoflush
    declarations = (_find_declaration(bus, model) for model in recorded)
    left = [
        each for each in declarations if each and not (autoflush and each.autoflush)
    ]
    _announce(bus, left)


def _announce(
    bus: Bus, declarations: t.Iterable[Declaration], *, is_all: bool = False
) -> None:
    """Announce the tables of models, or all tables of their databases."""
    tables: dict[str | None, set[str]] = {}
    for each in declarations:
        table = _channel.ALL if is_all else each.table.fullname
        tables.setdefault(each.bind_key, set()).add(table)
    for bind_key, announced in tables.items():
        engine = bus.db.engines.get(bind_key)
        if engine is not None and engine.dialect.name == "postgresql":
            notifier_of(bus, engine).announce(announced)


def _find_declaration(bus: Bus, model: SignalModel) -> Declaration | None:
    """Return what *model* declares, ``None`` if whoever flushes it will refuse it."""
    try:
        return bus.declaration(model)
    except SignalModelError:
        return None
