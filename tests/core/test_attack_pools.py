"""Pools of connections that are not the usual ones."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import SignalBusError

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


@pytest.fixture
def app(new_app: t.Callable[..., Flask]) -> Flask:
    """Give an app on a database in memory that has one connection a thread."""
    options = {"poolclass": sa.pool.SingletonThreadPool}
    return new_app(
        "sqlite:///file:pool?mode=memory&cache=shared&uri=true",
        SQLALCHEMY_ENGINE_OPTIONS=options,
    )


def test_open_transaction_of_the_thread_is_not_rolled_back(
    db: SQLAlchemy, bus: SignalBus, greeting: SignalModel
) -> None:
    """A flush on the connection of ``db.session`` is refused while that is in use."""
    db.session.add(greeting(text="not committed yet"))
    db.session.flush()
    with pytest.raises(SignalBusError, match="a transaction is open"):
        bus.flushmany()
    db.session.commit()

    assert db.session.scalars(sa.select(greeting.text)).all() == []


def test_signals_are_sent_after_the_transaction(
    db: SQLAlchemy, bus: SignalBus, greeting: SignalModel
) -> None:
    """When the connection is free, it is the bus's."""
    bus.autoflush = False
    db.session.add(greeting())
    db.session.commit()

    assert bus.flushmany() == 1
