"""Connections, and pools of them, that are not the usual ones."""

from __future__ import annotations

import sys
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


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sqlite3 has no autocommit")
class TestAutocommit:
    """SQLite with ``autocommit=True``, where commit and rollback do nothing."""

    @pytest.fixture
    def app(self, new_app: t.Callable[..., Flask], engine_url: str) -> Flask:
        """Give an app whose driver begins no transaction."""
        options = {"connect_args": {"autocommit": True, "timeout": 1}}
        return new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)

    @pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
    def test_sent_signal_is_gone(
        self, bus: SignalBus, greeting: SignalModel, record: t.Any, method: str
    ) -> None:
        """A burst is committed, and leaves no lock behind."""
        record(greeting, "a", "b")

        assert 2 == getattr(bus, method)()
        assert 0 == getattr(bus, method)()
        record(greeting, "c")

    def test_refused_signal_stays(
        self,
        bus: SignalBus,
        greeting: SignalModel,
        record: t.Any,
        pending: t.Any,
        wire: t.Any,
    ) -> None:
        """A burst that is rolled back leaves no lock behind either."""
        wire.failures["a"] = ValueError("refused")
        record(greeting, "a", "b")
        with pytest.raises(ValueError, match="refused"):
            bus.flushmany()
        record(greeting, "c")

        assert ["a", "c"] == pending(greeting)
