"""Plugins that spoil the transaction in which they write down what was sent."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

    Spoil: t.TypeAlias = t.Callable[[sa.Connection], object]


class Spoiler:
    """Spoils the transaction of each burst."""

    def __init__(self, spoil: Spoil) -> None:
        """Spoil it like this."""
        self.spoil = spoil

    @hookimpl
    def signalbus_burst_settled(self, connection: sa.Connection) -> None:
        """Spoil."""
        self.spoil(connection)


def commit(connection: sa.Connection) -> None:
    """End the transaction."""
    connection.commit()


def rollback(connection: sa.Connection) -> None:
    """End the transaction otherwise."""
    connection.rollback()


def hide_an_error(connection: sa.Connection) -> None:
    """Break the transaction, where an error does so, and tell nobody."""
    with contextlib.suppress(sa.exc.DBAPIError):
        connection.exec_driver_sql("INSERT INTO missing VALUES (1)")


def roll_back_a_session(connection: sa.Connection) -> None:
    """End the transaction through a session."""
    with sa_orm.Session(connection) as session:
        session.execute(sa.text("SELECT 1"))
        session.rollback()


SPOILS = [commit, rollback, hide_an_error, roll_back_a_session]


@pytest.mark.databases
@pytest.mark.parametrize("burst_count", [1, 10])
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_transaction_that_a_plugin_spoils_sends_nothing_twice(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    wire: t.Any,
    spoil: Spoil,
    form: str,
    burst_count: int,
) -> None:
    """What was sent is deleted, if need be without what the plugin writes."""
    model = new_model(form=form, signalbus_burst_count=burst_count)
    bus.plugin_manager.register(Spoiler(spoil))
    record(model, "a", "b")

    assert 2 == bus.flush()
    assert ["a", "b"] == wire.sent
    assert [] == pending(model)


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("burst_count", [1, 10])
def test_entry_that_fails_at_the_commit_sends_nothing_twice(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    burst_count: int,
) -> None:
    """A deferred constraint that a plugin violates keeps none of the rows."""

    def violate(connection: sa.Connection) -> None:
        connection.exec_driver_sql("INSERT INTO entry VALUES (7)")

    model = new_model(signalbus_burst_count=burst_count)
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE entry (id INTEGER REFERENCES {model.__table__.name} (id)"
            " DEFERRABLE INITIALLY DEFERRED)"
        )
    bus.plugin_manager.register(Spoiler(violate))
    record(model, "a", "b")

    assert 2 == bus.flush()
    assert [] == pending(model)
