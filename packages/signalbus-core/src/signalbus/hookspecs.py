"""The hooks of the core: what a plugin may add, when it is called, what is guaranteed.

An implementation takes the arguments that it needs, by name, and may leave out others.
"""

from __future__ import annotations

import typing as t

from signalbus._markers import hookspec

if t.TYPE_CHECKING:
    import pluggy
    import sqlalchemy as sa
    from flask import Flask

    from signalbus.typing import Bus
    from signalbus.typing import HeldBack
    from signalbus.typing import NextAttempts
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Recorded
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


@hookspec
def signalbus_addhooks(plugin_manager: pluggy.PluginManager) -> None:
    """Add hook specifications of your own to *plugin_manager*.

    Called once for every bus, after all installed plugins have been registered and
    before they are checked for unknown hooks.
    """


@hookspec
def signalbus_init_app(bus: Bus, app: Flask) -> None:
    """Prepare *app* for its *bus*.

    Called once for every app, after its configuration has been loaded, outside any app
    context. A plugin that is registered later is called at that time, for each app so
    far. Raise :exc:`ValueError` to refuse a configuration that cannot work.
    """


@hookspec
def signalbus_tables(bus: Bus, metadata: sa.MetaData) -> None:
    """Add tables of your own to *metadata*.

    Called once for the metadata of each database that has a signal model, as soon as
    the class of its first one has been mapped, or when the bus is made for models that
    exist. So ``db.create_all()`` and Alembic know the tables. A plugin that is
    registered later is called at that time, for each metadata so far.

    There may be no app yet, and mappers are not configured: do not ask for models, and
    do not touch the database. An exception ends the class statement, or the making of
    the bus. The next signal model then calls all plugins again, so leave alone a table
    that *metadata* already has.
    """


@hookspec
def signalbus_signal_models(bus: Bus) -> list[SignalModel]:
    """Return the signal models that you know.

    Called whenever models are looked up. The order is kept and duplicates are dropped.
    The core returns every mapped model of the database with a send method or a broker.
    """


@hookspec
def signalbus_model_attributes(bus: Bus) -> t.Collection[str]:
    """Return the names of the attributes that you read from models.

    Called when there are new models. An attribute that begins with ``signalbus_`` and
    that no plugin knows is logged as a probable typo, with the closest known name.
    """


@hookspec
def signalbus_settings(bus: Bus) -> t.Collection[str]:
    """Return the names of the settings that you read from an app's configuration.

    Called once for every app, before :func:`signalbus_init_app`, for the plugins that
    are registered by then. A similar setting that no plugin knows, but that begins with
    ``SIGNALBUS_``, is logged as a probable typo.
    """


@hookspec
def signalbus_models_configured(bus: Bus, models: list[type[t.Any]]) -> None:
    """Inspect, or add to, all *models* of the database, signal models or not.

    Called after mappers have been configured, and again when there are new models: an
    implementation must be idempotent. Raise
    :exc:`~signalbus.SignalModelError` to refuse a misdeclared model. What a model
    declares is in ``bus.declaration(model)``; do not write on classes that are not
    yours.
    """


@hookspec
def signalbus_committed(bus: Bus, recorded: Recorded) -> None:
    """React to a transaction that has *recorded* signals.

    Called in the thread that committed, right after the commit, before anything is
    sent, whether or not the models are autoflushed. Return at once: the application is
    waiting. An exception is logged, never raised.
    """


@hookspec(firstresult=True)
def signalbus_autoflush(bus: Bus, recorded: Recorded) -> bool | None:
    """Take charge of sending what a transaction has *recorded*.

    Called after :func:`signalbus_committed`, in the thread that committed, within an
    app context, for the signals of models that may be autoflushed, unless
    ``bus.autoflush`` is off. Return ``True`` if you see to these signals, ``None`` to
    leave them to others. The core itself, which comes last, sends them before the
    commit returns, or in the background, as ``bus.autoflush`` says. An exception, or
    any other answer, is logged; the signals stay pending.
    """


@hookspec
def signalbus_held_back(
    bus: Bus, model: SignalModel, connection: sa.Connection
) -> HeldBack | None:
    """Return which signals of *model* must not be sent in this run, if there are any.

    Called when a run reaches a model, outside a transaction of yours: what you execute
    on *connection* is rolled back unless you commit it. Return ``None`` if nothing is
    held back, which then costs nothing more. If you would have to look that up, return
    an object: it is asked once a burst. Signals that are held back stay pending, and
    are not reported. Of several plugins, each may hold signals back; ``True`` wins over
    ``False``. If one raises, the run leaves the model, and reports the error.
    """


@hookspec(firstresult=True)
def signalbus_burst_count(bus: Bus, model: SignalModel) -> int | None:
    """Return how many signals of *model* to send in one transaction.

    Called once for each model that does not declare ``signalbus_burst_count``, when
    its declaration is read; ``bus.declaration(model)`` may be asked for everything
    else. Return ``None`` for models that are not yours. If no plugin returns a number,
    it is 1. Anything but a positive integer is a :exc:`~signalbus.SignalModelError`; so
    is an exception.
    """


@hookspec(firstresult=True)
def signalbus_send_burst(
    bus: Bus, model: SignalModel, signals: t.Sequence[Signal], timeout: float | None
) -> bool | None:
    """Send *signals*, all of one *model*, and return ``True`` if all are confirmed.

    Called inside the transaction that holds the locks on the rows, in the thread that
    flushes, within an app context; by ``flushordered`` with one at a time. Return
    ``None`` unless ``bus.declaration(model).broker`` is your name. For a model that has
    send methods of its own, only wrappers of this hook are called.

    Raise :exc:`~signalbus.PartialDeliveryError` if you know which of the signals were
    not confirmed, :exc:`~signalbus.BrokerUnavailableError` if the broker cannot be
    reached, and :exc:`~signalbus.SignalModelError` if the model is misdeclared. After
    any other exception the signals are sent again, one at a time.

    *timeout* is how long this may take, in seconds, connecting included: a commit is
    waiting. Then raise :exc:`~signalbus.BrokerTimeoutError`. ``None`` leaves it to you.
    """


@hookspec
def signalbus_message_headers(
    bus: Bus, model: SignalModel, signals: t.Sequence[Signal]
) -> t.Sequence[t.Mapping[str, str]]:
    """Return headers that brokers add to the messages of *signals*.

    Called by broker plugins, once for each burst, inside the transaction that holds the
    locks. Return one mapping for each signal, in the same order. The headers of all
    plugins are merged; where two use a name, the plugin that is called first wins.
    """


@hookspec
def signalbus_burst_settled(
    bus: Bus,
    model: SignalModel,
    connection: sa.Connection,
    sent: t.Sequence[PrimaryKey],
    failed: t.Mapping[PrimaryKey, Exception],
) -> NextAttempts | None:
    """Write down, on *connection*, what became of a burst.

    Do not commit, roll back or close *connection*; use its savepoints.

    Called inside the transaction that holds the locks, after the sender has returned
    and before the rows of *sent* are deleted. What you write commits or rolls back with
    the deletion. *sent* has the keys whose messages were confirmed, *failed* those that
    failed and why. Signals that were not tried, or not sent because the broker is
    unavailable, are in neither.

    Not called for a burst that is about to be sent again one signal at a time. Called
    again if the transaction has to be repeated: what you wrote has been rolled back.

    A plugin that decides when failed signals are tried again may return that: a mapping
    of keys in *failed* to seconds, or to ``None`` for a signal that is parked, which
    has no further attempt. It is only reported, at the end of the run; to have the
    signals left alone until then, implement :func:`signalbus_held_back`. Of several
    plugins, the first one called wins for a key. An answer of any other form is logged
    once a run, and ignored.

    If an implementation raises, the transaction is rolled back; what was sent is then
    deleted in a new one, for which this hook is called once more, each implementation
    in a savepoint of its own. An exception is then logged, and the rows are deleted
    nevertheless. An implementation should not raise all the same: until the second
    transaction has locked the rows again, another flusher may send them again.
    """


@hookspec(firstresult=True)
def signalbus_is_transient_error(error: BaseException) -> bool | None:
    """Return whether the transaction that raised *error* may succeed if repeated.

    Return ``True`` to try again, ``False`` never to, ``None`` if you do not know.
    Called for errors of the database only.
    """


@hookspec(firstresult=True)
def signalbus_is_unavailable_error(error: BaseException) -> bool | None:
    """Return whether *error*, raised by a sender, means that its broker is unavailable.

    Return ``True`` to stop sending to that broker, ``False`` if only the signals at
    hand are at fault, ``None`` if you do not know. Called for each failure of a
    :exc:`~signalbus.PartialDeliveryError`.
    """


@hookspec
def signalbus_burst_sent(
    bus: Bus, model: SignalModel, count: int, seconds: float
) -> None:
    """React to a burst: *count* signals of *model* were sent, their rows deleted.

    Called after the commit, with no transaction open. *seconds* is the time from the
    start of the transaction to its commit. Not called if the process dies in between.
    An exception is logged, never raised.
    """


@hookspec
def signalbus_burst_failed(
    bus: Bus,
    model: SignalModel,
    error: BaseException,
    failed: t.Mapping[PrimaryKey, Exception],
    seconds: float,
) -> None:
    """React to signals of *model* that could not be sent.

    Called after the rollback, or after the commit if the rest of the burst was
    confirmed, once for what finally failed: not for a burst that is sent again one
    signal at a time. *error* is the first error, *failed* has the keys of the failed
    signals and why each one failed. *failed* is empty if no signal is at fault, but the
    broker, the database or the declaration of the model. *seconds* is the time since
    the start of the transaction. A later flush may report the same signals again. An
    exception is logged, never raised.
    """


@hookspec
def signalbus_broker_down(bus: Bus, broker: str, error: BaseException) -> None:
    """React to a *broker* that cannot be reached: its circuit breaker has opened.

    Called once, in the thread that flushes, with no transaction open; not again while
    the breaker is open. *broker* is the name that models declare, or the name of a
    model that has send methods of its own. Each process has its own circuit breakers.
    An exception is logged, never raised.
    """


@hookspec
def signalbus_broker_up(bus: Bus, broker: str, seconds: float) -> None:
    """React to a *broker* that is back: its circuit breaker has closed.

    Called once, after the broker has confirmed something, or when the breaker was
    reset. *seconds* is the time for which the breaker was open. Otherwise like
    :func:`signalbus_broker_down`.
    """


@hookspec
def signalbus_check(bus: Bus, models: t.Sequence[SignalModel]) -> list[str]:
    """Return what is wrong with what your plugin needs for *models*; maybe nothing.

    Called by `flask signalbus check`, in an app context. A problem is one text: the
    fact, then the remedy, with the name of the model. Look only: send and change
    nothing. An exception is reported as a problem, and the other plugins are called.
    """
