"""Declarations of models that name Celery as their broker."""

from __future__ import annotations

import subprocess
import sys
import typing as t

import pytest
from signalbus import SignalModelError

if t.TYPE_CHECKING:
    from conftest import NewShop


@pytest.mark.parametrize(
    ("attribute", "value", "told"),
    [
        ("signalbus_task", None, "has no signalbus_task"),
        ("signalbus_task", 1, "Set it to the name of a Celery task: a string"),
        ("signalbus_task_args", "a", "Set it to a function of the signal that returns"),
        ("signalbus_task_args", {"a": 1}, "({'a': 1}). Set it to a function"),
        ("signalbus_task_args", (1,), "Set it to a function"),
        ("signalbus_task_queue", 1, "the name of a queue: a string"),
        ("signalbus_task_priority", "high", "an integer"),
        ("signalbus_task_priority", True, "an integer"),
        ("signalbus_task_countdown", "1 s", "an integer or a number"),
    ],
)
def test_a_wrong_declaration_is_refused(
    new_shop: NewShop, attribute: str, value: t.Any, told: str
) -> None:
    """Before anything is sent, with the model, the attribute and the remedy."""
    shop = new_shop(None, celery={}, **{attribute: value})

    with pytest.raises(
        SignalModelError, match=r"OrderPaid names the broker 'celery'"
    ) as caught:
        shop.bus.get_signal_models()

    assert attribute in str(caught.value)
    assert told in str(caught.value)


def test_columns_need_no_form_in_json(new_shop: NewShop) -> None:
    """No body is made: what a serializer of Celery takes is enough."""
    import sqlalchemy as sa

    columns = {"value": sa.Column(sa.PickleType)}
    shop = new_shop(None, celery={"task_always_eager": True}, columns=columns)
    values: list[t.Any] = []

    @shop.task()
    def take(id: int, value: t.Any) -> None:  # noqa: A002 the name of the column
        values.append(value)

    shop.record({"id": 1, "value": {1, 2}})
    shop.flush()

    assert [{1, 2}] == values


def test_nothing_of_celery_is_imported_before_something_is_sent() -> None:
    """An app that has the plugin, and sends nothing, does not wait for it."""
    program = """
import sys
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
db = SQLAlchemy(app)
bus = SignalBus(db)

class OrderPaid(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    signalbus_broker = "celery"
    signalbus_task = "shop.take"

with app.app_context():
    db.create_all()
    assert 0 == bus.flushmany()

print(*sorted({"amqp", "celery", "kombu", "redis"} & set(sys.modules)))
"""
    done = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "\n" == done.stdout
