"""The hooks that this distribution implements: the broker named ``rabbitmq``."""

from __future__ import annotations

import typing as t

import flask
from signalbus import hookimpl

from signalbus_rabbitmq._declared import BROKER
from signalbus_rabbitmq._declared import check_declaration
from signalbus_rabbitmq._declared import is_ours
from signalbus_rabbitmq._sender import SignalSender

if t.TYPE_CHECKING:
    from flask import Flask
    from flask.cli import AppGroup
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: How many signals are sent and deleted in one transaction, if their model says
#: nothing: fewer cost speed, more gain little and make a longer transaction.
BURST_COUNT = 1000

#: What is read from the models that name RabbitMQ.
ATTRIBUTES = (
    "signalbus_body",
    "signalbus_content_type",
    "signalbus_exchange",
    "signalbus_headers",
    "signalbus_routing_key",
)

#: The settings of the broker plugin, and of consumers that go by the default prefix.
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
    """Answer what an app may say about its broker and its consumer."""
    return SETTINGS


@hookimpl
def signalbus_model_attributes() -> tuple[str, ...]:
    """Answer what a model may declare about its messages."""
    return ATTRIBUTES


@hookimpl
def signalbus_models_configured(models: list[type[t.Any]]) -> None:
    """Refuse misdeclared models, and give the others a good burst count."""
    for model in models:
        if is_ours(model):
            check_declaration(model)
            if getattr(model, "signalbus_burst_count", None) is None:
                model.signalbus_burst_count = BURST_COUNT


@hookimpl
def signalbus_send_burst(
    model: SignalModel, signals: t.Sequence[Signal]
) -> bool | None:
    """Send *signals* if their model names RabbitMQ."""
    if getattr(model, "signalbus_broker", None) != BROKER:
        return None
    sender: SignalSender = flask.current_app.extensions[_EXTENSION]
    sender.send(model, signals)
    return True


@hookimpl(optionalhook=True)
def signalbus_register_commands(group: AppGroup) -> None:
    """Add ``flask signalbus rabbitmq``."""
    from signalbus_rabbitmq._commands import rabbitmq

    group.add_command(rabbitmq)
