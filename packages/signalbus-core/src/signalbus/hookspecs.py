"""The hooks of the core: what a plugin may add, when, and what it may rely on."""

from __future__ import annotations

import typing as t

from signalbus._markers import hookspec

if t.TYPE_CHECKING:
    import pluggy
    from flask import Flask

    from signalbus.extension import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


@hookspec
def signalbus_addhooks(plugin_manager: pluggy.PluginManager) -> None:
    """Add hook specifications of your own to *plugin_manager*.

    Called once for every bus, when all installed plugins are registered and before
    they are checked for unknown hooks.
    """


@hookspec(historic=True)
def signalbus_init_app(bus: SignalBus, app: Flask) -> None:
    """Prepare *app*, which has just got its *bus*.

    Called once for every app, when its configuration is loaded and outside of any app
    context. A plugin registered later is called then, for every app so far. Raise here
    to refuse a configuration that cannot work.
    """


@hookspec
def signalbus_signal_models(  # type: ignore[empty-body]  # answered by plugins
    bus: SignalBus,
) -> list[SignalModel]:
    """Answer the signal models that you know of.

    Called whenever models are looked up. Order is kept and duplicates are dropped. The
    core itself answers every mapped model of the bus's database that declares a send
    method or names a broker.
    """


@hookspec
def signalbus_model_attributes(  # type: ignore[empty-body]  # answered by plugins
    bus: SignalBus,
) -> t.Collection[str]:
    """Answer the names of the attributes that you read from models.

    Called when there are new models. An attribute that begins with ``signalbus_`` and
    is known to nobody is logged as a probable typo. What you answer is not, and is
    proposed for names that are close to it.
    """


@hookspec
def signalbus_settings(  # type: ignore[empty-body]  # answered by plugins
    bus: SignalBus,
) -> t.Collection[str]:
    """Answer the names of the settings that you read from an app's configuration.

    Called once for every app, before :func:`signalbus_init_app`. A setting that begins
    with ``SIGNALBUS_``, that nobody knows and that is close to a known name is logged
    as a probable typo. Only plugins that are registered by then are asked.
    """


@hookspec
def signalbus_models_configured(bus: SignalBus, models: list[type[t.Any]]) -> None:
    """Look at, or add to, *models*: all models of the database, signal models or not.

    Called after mappers have been configured, and again when more models come, so an
    implementation must be idempotent. This is where a broker plugin sets defaults on
    the models that name it, and refuses misdeclared ones.
    """


@hookspec(firstresult=True)
def signalbus_send_burst(
    bus: SignalBus, model: SignalModel, signals: t.Sequence[Signal]
) -> bool | None:
    """Send *signals*, all of one *model*, and answer ``True`` when all are confirmed.

    Called inside the transaction that holds the locks on the signals' rows, in the
    thread that flushes, within an app context; by ``flushordered`` with one at a time.
    Answer ``None`` for a model whose ``signalbus_broker`` does not name you. A model
    that has send methods of its own comes to no plugin but to wrappers of this hook.

    Raise :exc:`~signalbus.PartialDeliveryError` when you know which of the signals were
    not confirmed, and :exc:`~signalbus.BrokerUnavailableError` when the broker cannot
    be reached. After any other exception the signals are sent again, one at a time.
    """


@hookspec(firstresult=True)
def signalbus_is_transient_error(error: BaseException) -> bool | None:
    """Tell whether the transaction that raised *error* may succeed if tried again.

    Answer ``True`` to try again, ``False`` never to, ``None`` if you have no idea.
    Called for the database's errors, never for the broker's.
    """


@hookspec(firstresult=True)
def signalbus_is_unavailable_error(error: BaseException) -> bool | None:
    """Tell whether *error*, which a sender raised, says that its broker is unavailable.

    Answer ``True`` to stop sending to that broker, ``False`` if only the signals at
    hand are at fault, ``None`` if you have no idea. Called for the failures of a
    :exc:`~signalbus.PartialDeliveryError` one by one.
    """


@hookspec
def signalbus_burst_sent(bus: SignalBus, model: SignalModel, count: int) -> None:
    """Take note that *count* signals of *model* were sent, and their rows deleted.

    Called after the commit, with no transaction open. Not called if the process dies
    in between. An exception is logged, and never raised.
    """


@hookspec
def signalbus_burst_failed(
    bus: SignalBus, model: SignalModel, error: BaseException
) -> None:
    """Take note that *error* kept some signals of *model* from being sent.

    Called after the rollback, or after the commit where the rest of the burst was
    confirmed. May be called again for the same rows by a later flush. An exception is
    logged, and never raised.
    """


@hookspec
def signalbus_broker_down(bus: SignalBus, broker: str, error: BaseException) -> None:
    """Take note that *broker* cannot be reached: its circuit breaker has opened.

    Called once, in the thread that flushes, with no transaction open; not again while
    the breaker is open. *broker* is the name that models give, or the name of a model
    that sends by itself. Each process has breakers of its own. An exception is logged,
    and never raised.
    """


@hookspec
def signalbus_broker_up(bus: SignalBus, broker: str, seconds: float) -> None:
    """Take note that *broker* is back: its circuit breaker has closed.

    Called once, after it has confirmed something, or when the breaker was reset.
    *seconds* tells for how long the breaker was open. Otherwise like
    :func:`signalbus_broker_down`.
    """
