"""Signals that are held back at the last moment, or by a plugin that breaks rules."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import SignalBusError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]


class Holds:
    """Holds back some keys of every model."""

    def __init__(self) -> None:
        """Begin with none."""
        self.held: dict[PrimaryKey, bool] = {}

    @hookimpl
    def signalbus_held_back(self, connection: sa.Connection) -> t.Any:
        """Look, and return itself."""
        connection.execute(sa.text("SELECT 1"))
        return self

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Return those of *keys* that are held."""
        return {key: self.held[key] for key in keys if key in self.held}


@pytest.fixture
def holds(bus: SignalBus) -> Holds:
    """Register a plugin that holds back what it is told to."""
    holds = Holds()
    bus.plugin_manager.register(holds)
    return holds


@pytest.fixture
def holding_model(new_model: t.Any, wire: t.Any, holds: Holds) -> SignalModel:
    """Declare a model whose bursts fail, while another process parks a signal."""

    def send(cls: SignalModel, signals: t.Sequence[Signal]) -> None:
        if len(signals) > 1:
            holds.held[(2,)] = True
            raise ValueError("boom")
        wire.carry(*signals)

    return new_model(signalbus_burst_count=3, send_signalbus_messages=classmethod(send))


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_what_is_held_back_after_a_burst_failed_is_not_sent(
    bus: SignalBus, holding_model: SignalModel, record: t.Any, wire: t.Any, method: str
) -> None:
    """The plugins are asked again before its signals are sent one by one."""
    record(holding_model, *"abcde")

    assert 4 == getattr(bus, method)()
    assert ["a", "c", "d", "e"] == wire.sent


@pytest.mark.databases
def test_flushordered_ends_at_what_is_held_back_after_a_burst_failed(
    bus: SignalBus, holding_model: SignalModel, record: t.Any, wire: t.Any
) -> None:
    """Neither its burst nor a later one sends anything behind it."""
    record(holding_model, *"abcde")

    assert 1 == bus.flushordered()
    assert ["a"] == wire.sent


@pytest.mark.parametrize("key", [1, "1", ("1",), (1, 1)])
@pytest.mark.parametrize("method", METHODS)
def test_key_in_another_form_is_refused(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    holds: Holds,
    wire: t.Any,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    key: t.Any,
) -> None:
    """It would hold nothing back, so nothing is sent."""
    monkeypatch.setattr(holds, "among", lambda *_: {key: True})
    record(greeting, "a")
    with pytest.raises(SignalBusError, match="not one of the primary keys"):
        getattr(bus, method)()

    assert [] == wire.attempts


class Broken(sa.TypeDecorator[str]):
    """Text that cannot be read."""

    impl = sa.String(50)
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: object) -> str | None:
        """Refuse any text."""
        if value is not None:
            raise ValueError("this value is broken")
        return value


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 2, 10])
@pytest.mark.parametrize("method", METHODS)
def test_signal_that_is_held_back_is_not_read(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    holds: Holds,
    wire: t.Any,
    form: str,
    burst_count: int,
    method: str,
) -> None:
    """One that could not be read has not failed, and stops no other."""
    model = new_model(
        form=form, more=sa.Column(Broken), signalbus_burst_count=burst_count
    )
    texts = {"a": None, "b": "broken", "c": None}
    rows = [{"text": text, "more": more} for text, more in texts.items()]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), rows)
    holds.held[(2,)] = False

    assert 2 == getattr(bus, method)()
    assert ["a", "c"] == wire.sent


#: How a connection learns its number, and how another one cuts it.
CUT = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({}, 30000)"),
    "mariadb": ("SELECT connection_id()", "KILL {}"),
}


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("method", METHODS)
def test_connection_that_a_plugin_finds_dead_is_replaced(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    record: t.Any,
    database: str,
    method: str,
) -> None:
    """A plugin that is the first to notice is called again."""
    number, cut = CUT[database]

    class Unlucky:
        calls = 0

        @hookimpl
        def signalbus_held_back(self, connection: sa.Connection) -> None:
            self.calls += 1
            found = connection.exec_driver_sql(number).scalar()
            if self.calls == 1:
                with db.engine.connect() as other:
                    other.exec_driver_sql(cut.format(found))
            connection.exec_driver_sql(number)

    bus.plugin_manager.register(Unlucky())
    record(greeting, "a")

    assert 1 == getattr(bus, method)()
