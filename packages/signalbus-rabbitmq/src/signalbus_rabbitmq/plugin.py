"""The hooks that this distribution implements: the broker named ``rabbitmq``."""

from __future__ import annotations

import typing as t

import flask
from signalbus import SignalModelError
from signalbus import hookimpl

from signalbus_rabbitmq._model_check import BROKER
from signalbus_rabbitmq._model_check import check_model
from signalbus_rabbitmq._sender import SignalSender

if t.TYPE_CHECKING:
    from flask import Flask
    from flask.cli import AppGroup
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: How many signals are sent and deleted in one transaction by default. Fewer are
#: slower; more gain little, and make a longer transaction.
BURST_COUNT = 1000

#: The attributes that are read from models that name RabbitMQ.
ATTRIBUTES = (
    "signalbus_body",
    "signalbus_content_type",
    "signalbus_exchange",
    "signalbus_headers",
    "signalbus_routing_key",
)

#: The settings of the broker plugin, and of consumers that have the default prefix.
SETTINGS = (
    "SIGNALBUS_RABBITMQ_MAX_ATTEMPTS",
    "SIGNALBUS_RABBITMQ_PREFETCH_COUNT",
    "SIGNALBUS_RABBITMQ_PREFETCH_SIZE",
    "SIGNALBUS_RABBITMQ_QUEUE",
    "SIGNALBUS_RABBITMQ_RETRY_FIRST_DELAY",
    "SIGNALBUS_RABBITMQ_RETRY_MAX_DELAY",
    "SIGNALBUS_RABBITMQ_THREADS",
    "SIGNALBUS_RABBITMQ_TIMEOUT",
    "SIGNALBUS_RABBITMQ_URL",
)

_EXTENSION = "signalbus_rabbitmq"


@hookimpl
def signalbus_init_app(app: Flask) -> None:
    """Read the configuration of *app*; a malformed one is a ``ValueError``."""
    app.extensions[_EXTENSION] = SignalSender(app)


@hookimpl
def signalbus_settings() -> tuple[str, ...]:
    """Return the settings of an app's broker and of its consumer."""
    return SETTINGS


@hookimpl
def signalbus_model_attributes() -> tuple[str, ...]:
    """Return what a model may declare about its messages."""
    return ATTRIBUTES


@hookimpl
def signalbus_models_configured(bus: SignalBus, models: list[type[t.Any]]) -> None:
    """Refuse models that RabbitMQ cannot send as they are declared."""
    for model in models:
        if _names_rabbitmq(bus, model):
            check_model(model)


@hookimpl
def signalbus_burst_count(bus: SignalBus, model: SignalModel) -> int | None:
    """Return a good burst count for the models that RabbitMQ sends."""
    return BURST_COUNT if bus.declaration(model).broker == BROKER else None


@hookimpl
def signalbus_send_burst(
    bus: SignalBus,
    model: SignalModel,
    signals: t.Sequence[Signal],
    timeout: float | None,
) -> bool | None:
    """Send *signals* if their model names RabbitMQ."""
    if bus.declaration(model).broker != BROKER:
        return None
    sender: SignalSender = flask.current_app.extensions[_EXTENSION]
    sender.send(bus, model, signals, timeout)
    return True


@hookimpl
def signalbus_check(bus: SignalBus, models: t.Sequence[SignalModel]) -> list[str]:
    """Return what RabbitMQ lacks that the models need which it sends."""
    from signalbus_rabbitmq._check import problems

    ours = [each for each in models if bus.declaration(each).broker == BROKER]
    return problems(ours, flask.current_app.config) if ours else []


@hookimpl(optionalhook=True)
def signalbus_register_commands(group: AppGroup) -> None:
    """Add ``flask signalbus rabbitmq``."""
    from signalbus_rabbitmq._commands import rabbitmq

    group.add_command(rabbitmq)


def close(app: Flask) -> None:
    """Close the connections of *app* in this process. The next send opens others.

    Called by itself when the app is gone.
    """
    sender: SignalSender = app.extensions[_EXTENSION]
    sender.close()


def _names_rabbitmq(bus: SignalBus, model: type[t.Any]) -> bool:
    """Return whether RabbitMQ sends *model*, which need not be a signal model."""
    try:
        return bus.declaration(model).broker == BROKER
    except SignalModelError:  # the core reports it, if it is meant to be one
        return False
