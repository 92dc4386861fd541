"""Dumping in the send methods of models, as a flush calls them."""

from __future__ import annotations

import json
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from flask.ctx import AppContext
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus


def send_instance(self: t.Any) -> None:
    """Dump a signal that is an instance."""
    type(self).messages.append(self.__marshmallow_schema__.dumps(self))


@classmethod
def send_row(cls: t.Any, signal: t.Any) -> None:
    """Dump a signal that is a row."""
    cls.messages.append(cls.__marshmallow_schema__.dumps(signal))


@classmethod
def send_burst(cls: t.Any, signals: t.Any) -> None:
    """Dump many signals at once."""
    cls.messages.append(cls.__marshmallow_schema__.dumps(signals, many=True))


def record(db: SQLAlchemy, **body: t.Any) -> type[t.Any]:
    """Define a signal model with *body*, and record one signal of it."""

    class Node(db.Model):
        id = db.Column(sa.Integer, primary_key=True)

    class Sent(db.Model):
        id = db.Column("pk", sa.Integer, primary_key=True)
        count = db.Column(sa.Integer)
        node_id = db.Column(sa.ForeignKey("node.id"), nullable=False)
        node = sa_orm.relationship("Node")
        messages: t.ClassVar[list[str]] = []
        signalbus_autoflush = False
        vars().update(body)

    db.create_all()
    db.session.add(Sent(count=5, node=Node(id=7)))
    db.session.commit()
    return Sent


@pytest.mark.parametrize("flush", ["flush", "flushmany", "flushordered"])
def test_an_instance_is_dumped_with_its_relationships(
    db: SQLAlchemy, bus: SignalBus, app_ctx: AppContext, flush: str
) -> None:
    """However it is flushed, an instance can load what it refers to."""
    model = record(db, send_signalbus_message=send_instance)
    getattr(bus, flush)()

    expected = {"id": 1, "count": 5, "node_id": 7, "node": 7}
    assert [expected] == [json.loads(message) for message in model.messages]


@pytest.mark.parametrize("flush", ["flush", "flushmany", "flushordered"])
def test_a_row_is_dumped_with_its_columns(
    db: SQLAlchemy, bus: SignalBus, app_ctx: AppContext, flush: str
) -> None:
    """A row is dumped by the names of the model, even those that tuples use."""
    model = record(db, send_signalbus_message=send_row)
    getattr(bus, flush)()

    expected = {"id": 1, "count": 5, "node_id": 7}
    assert [expected] == [json.loads(message) for message in model.messages]


def test_a_burst_is_dumped_at_once(
    db: SQLAlchemy, bus: SignalBus, app_ctx: AppContext
) -> None:
    """``many=True`` takes what ``send_signalbus_messages`` is given."""
    model = record(
        db, send_signalbus_message=send_row, send_signalbus_messages=send_burst
    )
    bus.flushmany()

    assert ['[{"id": 1, "count": 5, "node_id": 7}]'] == model.messages


def test_an_instance_is_dumped_after_its_commit(
    db: SQLAlchemy, bus: SignalBus, app_ctx: AppContext
) -> None:
    """Autoflush gives an instance that can load what it refers to."""
    model = record(db, send_signalbus_message=send_instance, signalbus_autoflush=True)

    assert json.loads(model.messages[0])["node"] == 7
