"""The old names, and what they are names of."""

from __future__ import annotations

import importlib
import typing as t

import pytest

NAMES = [
    ("flask_signalbus", "SignalBus", "signalbus"),
    ("flask_signalbus", "SignalBusMixin", "signalbus"),
    ("flask_signalbus", "DBSerializationError", "signalbus"),
    ("flask_signalbus", "get_models_to_flush", "signalbus"),
    ("flask_signalbus", "AtomicProceduresMixin", "signalbus_atomic"),
    ("flask_signalbus.signalbus", "SignalBus", "signalbus"),
    ("flask_signalbus.signalbus", "SignalBusMixin", "signalbus"),
    ("flask_signalbus.signalbus", "get_models_to_flush", "signalbus"),
    ("flask_signalbus.atomic", "AtomicProceduresMixin", "signalbus_atomic"),
    ("flask_signalbus.atomic", "DBSerializationError", "signalbus"),
    ("flask_signalbus.utils", "DBSerializationError", "signalbus"),
    ("flask_signalbus.utils", "get_models_to_flush", "signalbus"),
    ("flask_signalbus.utils", "retry_on_deadlock", "signalbus"),
    ("flask_signalbus.signalbus_cli", "signalbus", "signalbus_cli"),
    ("flask_signalbus.rabbitmq", "ConnectionError", "signalbus_rabbitmq"),
    ("flask_signalbus.rabbitmq", "Consumer", "signalbus_rabbitmq"),
    ("flask_signalbus.rabbitmq", "DeliveryError", "signalbus_rabbitmq"),
    ("flask_signalbus.rabbitmq", "Message", "signalbus_rabbitmq"),
    ("flask_signalbus.rabbitmq", "MessageProperties", "signalbus_rabbitmq"),
    ("flask_signalbus.rabbitmq", "Publisher", "signalbus_rabbitmq"),
    ("flask_signalbus.rabbitmq", "TerminatedConsumption", "signalbus_rabbitmq"),
    ("flask_signalbus.rabbitmq", "TerminatedConsumtion", "signalbus_rabbitmq"),
    ("flask_signalbus.rabbitmq", "TimeoutError", "signalbus_rabbitmq"),
]


@pytest.mark.parametrize(("old", "name", "new"), NAMES)
def test_an_old_name_is_the_same_object(old: str, name: str, new: str) -> None:
    """A class under its old name is the class, not a copy or an heir of it."""
    expected = getattr(importlib.import_module(new), name)

    assert expected is getattr(importlib.import_module(old), name)


@pytest.mark.parametrize("module", sorted({old for old, _, _ in NAMES}))
def test_a_module_lists_its_old_names(module: str) -> None:
    """``__all__`` has the old names and nothing else."""
    expected = {name for old, name, _ in NAMES if old == module}

    assert expected == set(importlib.import_module(module).__all__)


def test_pika_and_click_wait_until_asked_for(
    interpreter: t.Callable[..., t.Any],
) -> None:
    """``import flask_signalbus`` imports neither RabbitMQ's client nor the commands."""
    process = interpreter(
        "import sys, flask_signalbus;"
        "print({'pika', 'signalbus_cli'} & sys.modules.keys())"
    )

    assert process.communicate()[0] == "set()\n"
