"""Wake relays, after a commit or on request."""

from __future__ import annotations

import typing as t

import flask
import sqlalchemy as sa
from signalbus.exceptions import SignalModelError

from signalbus_relay import _channel
from signalbus_relay import _settings
from signalbus_relay._notifier import Notifier
from signalbus_relay._notifier import notifier_of

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel

#: What the commits of an app know, among its extensions: the target of each model.
TARGETS: t.Final = "signalbus_relay"


class Target(t.NamedTuple):
    """Which notifier commits of one model use, unless the model is autoflushed."""

    notifier: Notifier | None
    table: str
    autoflush: bool


def wake(bus: Bus, models: t.Iterable[SignalModel] | None = None) -> None:
    """Wake the relays that send the signals of *models*, by default of all.

    Commits of ``db.session`` do that automatically for models that are not autoflushed.
    Call it after the commit if rows were inserted in another way, such as by ``INSERT …
    SELECT``. It needs an app context, works whatever ``SIGNALBUS_RELAY_NOTIFY`` says,
    and returns at once: a separate thread notifies PostgreSQL. Models on other
    databases are skipped, since relays poll there.

    :raises SignalModelError: if one of *models* is not a signal model.
    :raises TypeError: if *models* is a model instead of a list of models.
    """
    if isinstance(models, type):
        raise TypeError(
            f"models is the class {models.__name__}. Pass a list: [{models.__name__}]."
        )
    chosen = bus.get_signal_models() if models is None else models
    declarations = [bus.declaration(model) for model in chosen]
    tables: dict[str | None, set[str]] = {}
    for each in declarations:
        table = _channel.ALL if models is None else each.table.fullname
        tables.setdefault(each.bind_key, set()).add(table)
    for bind_key, announced in tables.items():
        notifier = _find_notifier(bus, bind_key)
        if notifier is not None:
            notifier.announce(announced)


def wake_after_commit(bus: Bus, recorded: Recorded) -> None:
    """Wake the relays that send the signals that this process does not autoflush."""
    app = flask.current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 documented by Flask
    if not _settings.read_notify(app.config):
        return
    autoflush = bus.autoflush
    known: dict[SignalModel, Target] = app.extensions.setdefault(TARGETS, {})
    due: dict[Notifier, set[str]] = {}
    for model in recorded:
        target = known.get(model) or _find_target(bus, model, known)
        if target and target.notifier and not (autoflush and target.autoflush):
            due.setdefault(target.notifier, set()).add(target.table)
    for notifier, tables in due.items():
        notifier.announce(tables)


def _find_target(
    bus: Bus, model: SignalModel, known: dict[SignalModel, Target]
) -> Target | None:
    """Return the target of *model*, and have it known to later commits.

    ``None`` if *model* is misdeclared, since every flush will reject it. Also ``None``
    while a test has replaced the engine by a connection: no relay sees its commits.
    """
    try:
        declaration = bus.declaration(model)
    except SignalModelError:
        return None
    if isinstance(bus.db.engines.get(declaration.bind_key), sa.Connection):
        return None
    table = declaration.table.fullname
    notifier = _find_notifier(bus, declaration.bind_key)
    known[model] = Target(notifier, table, declaration.autoflush)
    return known[model]


def _find_notifier(bus: Bus, bind_key: str | None) -> Notifier | None:
    """Return the notifier of a database; ``None`` if relays poll it."""
    engine = bus.db.engines.get(bind_key)
    if not isinstance(engine, sa.Engine) or engine.dialect.name != "postgresql":
        return None
    return notifier_of(bus, engine)
