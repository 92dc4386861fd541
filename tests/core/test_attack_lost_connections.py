"""Connections that the server cuts, under engines of every isolation level."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import SignalBus
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

LEVELS = ("AUTOCOMMIT", "REPEATABLE READ")

pytestmark = [
    pytest.mark.databases("postgresql", "mariadb"),
    pytest.mark.parametrize("level", LEVELS),
    pytest.mark.usefixtures("app_ctx"),
]


@pytest.fixture
def app(
    new_app: t.Callable[..., Flask], engine_url: str, level: str, database: str
) -> Flask:
    """Give an app whose engine has the isolation level of the test."""
    options: dict[str, t.Any] = {"isolation_level": level}
    if database == "postgresql":
        options["connect_args"] = {"application_name": "shop"}
    return new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)


@pytest.fixture
def bus(db: SQLAlchemy) -> SignalBus:
    """Give a bus that leaves the sending to us."""
    bus = SignalBus(db)
    bus.autoflush = False
    return bus


@pytest.fixture
def refused(db: SQLAlchemy, bus: SignalBus) -> SignalModel:
    """Declare a model whose signals are always refused, and record one of them."""

    class Refused(db.Model):
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)

        @classmethod
        def send_signalbus_message(cls, signal: Signal) -> None:
            raise ValueError(signal.id)

    db.create_all()
    db.session.add(Refused())
    db.session.commit()
    return Refused


def cut(db: SQLAlchemy) -> None:
    """Cut all connections of the app to its database."""
    engine = sa.create_engine(
        db.engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        if engine.name == "postgresql":
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'shop'"
            )
            return
        for thread in connection.exec_driver_sql(
            "SELECT id FROM information_schema.processlist"
            " WHERE db = database() AND id <> connection_id()"
        ).all():
            connection.exec_driver_sql(f"KILL {thread.id}")


class CutAfterCommit:
    """A plugin that cuts all connections when a burst has been committed."""

    def __init__(self, db: SQLAlchemy) -> None:
        """Cut those of *db*."""
        self.db = db

    @hookimpl
    def signalbus_burst_sent(self) -> None:
        """Cut."""
        cut(self.db)


class TestPoolThatDoesNotRollBack:
    """The pool does not look at what it gets back: so the bus has to."""

    @pytest.fixture
    def app(
        self, new_app: t.Callable[..., Flask], engine_url: str, app: Flask
    ) -> Flask:
        """Give an app whose pool takes its connections back as they are."""
        options = app.config["SQLALCHEMY_ENGINE_OPTIONS"]
        options = {**options, "pool_reset_on_return": None, "pool_size": 2}
        return new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)

    @pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
    def test_connection_that_breaks_at_the_end_is_not_kept(
        self, db: SQLAlchemy, bus: SignalBus, refused: SignalModel, method: str
    ) -> None:
        """A connection that is lost after the commit costs no slot of the pool."""
        refused.send_signalbus_message = classmethod(lambda cls, signal: None)
        bus.plugin_manager.register(CutAfterCommit(db))
        db.session.remove()

        assert 1 == getattr(bus, method)()
        assert 0 == db.engine.pool.checkedout()


def test_refused_signal_stays_when_the_connection_was_lost(
    db: SQLAlchemy, bus: SignalBus, refused: SignalModel
) -> None:
    """A burst that is tried again is in a transaction, as the first try was."""
    cutting = iter([lambda: cut(db)])

    def cut_once(_: sa.Connection, __: object, text: str, *rest: object) -> None:
        if "SKIP LOCKED" in text:
            next(cutting, lambda: None)()

    sa.event.listen(db.engine, "before_cursor_execute", cut_once)
    with pytest.raises(ValueError, match="1"):
        bus.flushmany()

    assert next(cutting, None) is None
    assert bus.count_pending() == {refused: 1}


def test_connection_that_is_lost_twice_is_replaced_again(
    db: SQLAlchemy, bus: SignalBus, refused: SignalModel
) -> None:
    """A connection that replaces a lost one may be lost as well."""
    refused.send_signalbus_message = classmethod(lambda cls, signal: None)
    cutting = iter([lambda: cut(db), lambda: cut(db)])

    def cut_at_select(_: sa.Connection, __: object, text: str, *rest: object) -> None:
        if "SKIP LOCKED" in text:
            next(cutting, lambda: None)()
            sa.event.listen(db.engine, "checkout", cut_at_checkout)

    def cut_at_checkout(*_: object) -> None:
        next(cutting, lambda: None)()

    sa.event.listen(db.engine, "before_cursor_execute", cut_at_select)

    assert 1 == bus.flushmany()
    assert next(cutting, None) is None


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_connections_that_died_in_the_pool_are_replaced(
    db: SQLAlchemy, bus: SignalBus, refused: SignalModel, method: str
) -> None:
    """A server that was restarted is no reason to give a model up."""
    refused.send_signalbus_message = classmethod(lambda cls, signal: None)
    bus.get_signal_models()
    cut(db)

    assert getattr(bus, method)() == 1


class ReconnectsInSilence:
    """A plugin that does not mind that its connection is cut."""

    def __init__(self, db: SQLAlchemy) -> None:
        """Cut those of *db*."""
        self.db = db

    @hookimpl
    def signalbus_held_back(self, connection: sa.Connection) -> None:
        """Cut it, and reconnect."""
        cut(self.db)
        with contextlib.suppress(sa.exc.DBAPIError):
            connection.exec_driver_sql("SELECT 1")
        connection.rollback()
        connection.exec_driver_sql("SELECT 1")


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_refused_signal_stays_when_a_plugin_has_reconnected(
    db: SQLAlchemy, bus: SignalBus, refused: SignalModel, method: str
) -> None:
    """The new connection is at the level that locks need, too."""
    bus.plugin_manager.register(ReconnectsInSilence(db))
    db.session.remove()
    with pytest.raises(ValueError, match="1"):
        getattr(bus, method)()

    assert bus.count_pending() == {refused: 1}
