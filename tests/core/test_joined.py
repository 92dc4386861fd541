"""Flushes that work inside a transaction of somebody else, as tests begin one."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import SignalBusError
from signalbus import hookimpl
from signalbus.testing import joining

if t.TYPE_CHECKING:
    from conftest import Wire
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

Outer: t.TypeAlias = tuple[sa.Connection, sa_orm.sessionmaker[sa_orm.Session]]

pytestmark = pytest.mark.databases


@pytest.fixture
def outer(db: SQLAlchemy, app_ctx: object) -> t.Iterator[Outer]:
    """Begin a transaction, and give it with sessions that commit to its savepoints."""
    if db.engine.dialect.name == "sqlite":
        _let_sqlite_begin(db.engine)
    connection = db.engine.connect()
    transaction = connection.begin()
    sessions = sa_orm.sessionmaker(connection, join_transaction_mode="create_savepoint")
    yield connection, sessions
    if transaction.is_active:
        transaction.rollback()
    connection.close()


@pytest.fixture
def joined(outer: Outer) -> t.Iterator[None]:
    """Let all flushes of the test work on the connection of that transaction."""
    with joining(lambda _: outer[0]):
        yield


def _let_sqlite_begin(engine: sa.Engine) -> None:
    """Let SQLAlchemy begin transactions: the driver does so too late for savepoints."""

    @sa.event.listens_for(engine, "connect")
    def connect(driver_connection: t.Any, _: object) -> None:
        driver_connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    engine.dispose()


def _record(outer: Outer, model: SignalModel, *texts: str) -> None:
    with outer[1]() as session, session.begin():
        session.add_all([model(text=text) for text in texts])


def _texts(outer: Outer, model: SignalModel) -> list[str]:
    table = sa.inspect(model, raiseerr=True).local_table
    return list(outer[0].scalars(sa.select(table.c.text).order_by(table.c.id)))


@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_what_only_the_transaction_sees_is_sent(
    bus: SignalBus,
    new_model: t.Callable[..., SignalModel],
    wire: Wire,
    outer: Outer,
    pending: t.Callable[[SignalModel], list[t.Any]],
    form: str,
    method: str,
) -> None:
    """Without joining there is nothing to send; with it, all is sent and deleted."""
    model = new_model(form=form)
    _record(outer, model, "a", "b")

    # SQLite has one writer at a time, which is the test.
    if bus.db.engine.dialect.name != "sqlite":
        assert 0 == getattr(bus, method)()
    with joining(lambda _: outer[0]):
        assert 2 == getattr(bus, method)()
    assert ["a", "b"] == wire.sent
    assert [] == _texts(outer, model)


def test_rolling_back_undoes_the_deletion(
    bus: SignalBus,
    greeting: SignalModel,
    wire: Wire,
    outer: Outer,
    joined: None,
    pending: t.Callable[[SignalModel], list[t.Any]],
) -> None:
    """The transaction is still the test's own, and has committed nothing."""
    _record(outer, greeting, "a")
    bus.flush()
    outer[0].get_transaction().rollback()  # type: ignore[union-attr]

    assert ["a"] == wire.sent
    assert [] == pending(greeting)


def test_failing_signal_stays_and_the_transaction_goes_on(
    bus: SignalBus, greeting: SignalModel, wire: Wire, outer: Outer, joined: None
) -> None:
    """A burst that is rolled back takes nothing else with it."""
    wire.failures["b"] = ValueError("no")
    _record(outer, greeting, "a", "b", "c")

    with pytest.raises(ValueError, match="no"):
        bus.flush()
    assert ["b"] == _texts(outer, greeting)
    _record(outer, greeting, "d")
    assert ["b", "d"] == _texts(outer, greeting)


def test_flush_works_while_a_session_is_in_a_savepoint(
    bus: SignalBus, greeting: SignalModel, wire: Wire, outer: Outer, joined: None
) -> None:
    """Savepoints of a session are left as they are, whatever their names.

    One that is rolled back brings back what was deleted in it.
    """
    _record(outer, greeting, "a")
    with outer[1]() as session:
        session.add(greeting(text="kept"))
        session.flush()
        with contextlib.suppress(LookupError), session.begin_nested():
            session.add(greeting(text="lost"))
            session.flush()
            wire.failures.update(dict.fromkeys(["kept", "lost"], ValueError("no")))
            with pytest.raises(ValueError, match="no"):
                bus.flush()
            raise LookupError
        session.commit()

    assert ["a"] == wire.sent
    assert ["a", "kept"] == _texts(outer, greeting)


class Careless:
    """A plugin that reads, writes, commits and fails on the connection of a flush."""

    @hookimpl
    def signalbus_held_back(self, bus: Bus, connection: sa.Connection) -> None:
        """Do what is allowed there, and what breaks a transaction."""
        connection.execute(sa.text("UPDATE greeting SET text = 'held' WHERE 1 = 1"))
        connection.rollback()
        connection.execute(sa.text("UPDATE greeting SET text = 'seen' WHERE 1 = 1"))
        connection.commit()
        with pytest.raises(sa.exc.DBAPIError):
            connection.execute(sa.text("SELECT * FROM there_is_no_such_table"))


def test_plugins_may_end_transactions_as_always(
    bus: SignalBus, greeting: SignalModel, wire: Wire, outer: Outer, joined: None
) -> None:
    """What they roll back, commit or break is a savepoint."""
    bus.plugin_manager.register(Careless())
    _record(outer, greeting, "a")

    assert 1 == bus.flush()
    assert ["seen"] == wire.sent


class Settler:
    """A plugin that writes in a savepoint of its own."""

    @hookimpl
    def signalbus_burst_settled(self, connection: sa.Connection) -> None:
        """Write, and take it back."""
        savepoint = connection.begin_nested()
        connection.execute(sa.text("UPDATE greeting SET text = 'settled'"))
        savepoint.rollback()
        with connection.begin_nested():
            connection.execute(sa.text("SELECT 1"))


def test_savepoints_of_plugins_have_names_of_their_own(
    bus: SignalBus, greeting: SignalModel, wire: Wire, outer: Outer, joined: None
) -> None:
    """On MySQL, one that has the name of a session's would end that."""
    bus.plugin_manager.register(Settler())
    _record(outer, greeting, "a")
    with outer[1]() as session:
        session.add(greeting(text="b"))
        session.flush()
        assert 2 == bus.flush()
        session.add(greeting(text="c"))
        session.commit()

    assert ["a", "b"] == wire.sent
    assert ["c"] == _texts(outer, greeting)


def test_pending_signals_are_counted_there(
    bus: SignalBus, greeting: SignalModel, outer: Outer, joined: None
) -> None:
    """``count_pending`` sees what the transaction sees."""
    _record(outer, greeting, "a", "b")

    assert {greeting: 2} == bus.count_pending()


def test_models_without_a_connection_have_their_own(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Callable[..., None],
    wire: Wire,
) -> None:
    """A function that returns ``None`` changes nothing."""
    record(greeting, "a")
    with joining(lambda _: None):
        assert 1 == bus.flush()


def test_connection_in_place_of_an_engine_is_refused(
    db: SQLAlchemy,
    bus: SignalBus,
    greeting: SignalModel,
    outer: Outer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tests that roll back may have put one there, and must join it."""
    monkeypatch.setitem(t.cast("dict[t.Any, t.Any]", db.engines), None, outer[0])
    for call in (bus.flush, bus.count_pending):
        with pytest.raises(SignalBusError, match="engine is a connection") as caught:
            call()
        assert "in `with flush_signals.joined():`" in str(caught.value)
    with joining(lambda _: outer[0]):
        assert 0 == bus.flush()
