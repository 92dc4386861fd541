"""Plugins learn what a transaction has recorded, right after its commit."""

from __future__ import annotations

import logging
import threading
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel


class Listener:
    """Keeps what was recorded, and looks around meanwhile."""

    def __init__(self, look: t.Callable[[], object] = str) -> None:
        """Begin with nothing heard."""
        self.heard: list[dict[t.Any, list[tuple[t.Any, ...]]]] = []
        self.seen: list[object] = []
        self.look = look

    @hookimpl
    def signalbus_committed(self, bus: SignalBus, recorded: Recorded) -> None:
        """Keep what was recorded."""
        self.heard.append({model: list(keys) for model, keys in recorded.items()})
        self.seen.append(self.look())


@pytest.fixture
def listener(bus: SignalBus) -> Listener:
    """Register a listener."""
    listener = Listener()
    bus.plugin_manager.register(listener)
    return listener


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_hook_signalbus_committed(
    db: SQLAlchemy, new_model: t.Any, listener: Listener, form: str
) -> None:
    """After each commit: the primary keys of the signals, by model."""
    model = new_model(form=form)
    db.session.add_all([model(text="a"), model(text="b")])
    db.session.commit()
    db.session.add(model(id=3, text="c"))
    db.session.commit()

    assert [{model: [(1,), (2,)]}, {model: [(3,)]}] == listener.heard


@pytest.mark.databases
def test_models_and_keys_come_in_their_order(
    db: SQLAlchemy, new_model: t.Any, listener: Listener
) -> None:
    """Both are in the order in which the signals were added to the session."""
    zebra, ape = new_model("Zebra"), new_model("Ape")
    db.session.add_all([zebra(id=9), ape(id=3), zebra(id=1), ape(id=2), zebra(id=5)])
    db.session.commit()
    (recorded,) = listener.heard

    assert [(zebra, [(9,), (1,), (5,)]), (ape, [(3,), (2,)])] == [*recorded.items()]


def test_what_is_flushed_first_comes_first(
    db: SQLAlchemy, new_model: t.Any, listener: Listener
) -> None:
    """The order of the signals is that of all flushes, those of savepoints included."""
    zebra, ape = new_model("Zebra"), new_model("Ape")
    db.session.add_all([zebra(id=9), zebra(id=8)])
    db.session.flush()
    with db.session.begin_nested():
        db.session.add(ape(id=7))
        db.session.flush()
        db.session.add(ape(id=6))
    db.session.add_all([zebra(id=4), ape(id=5)])
    db.session.commit()
    (recorded,) = listener.heard

    assert {zebra: [(9,), (8,), (4,)], ape: [(7,), (6,), (5,)]} == recorded
    assert [zebra, ape] == list(recorded)


def test_composite_keys_have_all_columns(
    db: SQLAlchemy, new_model: t.Any, listener: Listener
) -> None:
    """A key is a tuple with the values of the primary key's columns, in their order."""
    model = new_model(
        id=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        part=sa.Column(sa.String(10), primary_key=True),
    )
    db.session.add(model(part="x", id=1))
    db.session.commit()

    assert [{model: [(1, "x")]}] == listener.heard
    assert {tuple} == {type(key) for key in listener.heard[0][model]}


def test_models_that_are_not_autoflushed_are_reported(
    db: SQLAlchemy, new_model: t.Any, listener: Listener
) -> None:
    """The hook is about what was recorded, not about what is sent."""
    model = new_model(signalbus_autoflush=False)
    db.session.add(model(text="a"))
    db.session.commit()

    assert [{model: [(1,)]}] == listener.heard


def test_commits_without_autoflush_are_reported(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel, listener: Listener
) -> None:
    """It makes no difference whether the bus sends anything itself."""
    bus.autoflush = False
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert [{greeting: [(1,)]}] == listener.heard


def test_models_of_a_broker_that_is_down_are_reported(
    db: SQLAlchemy,
    new_model: t.Any,
    new_broker: t.Any,
    listener: Listener,
    clock: t.Any,
) -> None:
    """A circuit breaker keeps signals from being sent, not from being recorded."""
    new_broker("down").wire.cut = ConnectionError("reset")
    model = new_model(form="down")
    for _ in range(2):
        db.session.add(model(text="a"))
        db.session.commit()

    assert [{model: [(1,)]}, {model: [(2,)]}] == listener.heard


@pytest.mark.databases
def test_what_is_rolled_back_is_not_reported(
    db: SQLAlchemy, greeting: SignalModel, listener: Listener
) -> None:
    """A savepoint that rolls back takes its signals with it."""
    db.session.add(greeting(id=1, text="a"))
    with db.session.begin_nested() as savepoint:
        db.session.add(greeting(id=2, text="b"))
        db.session.flush()
        savepoint.rollback()
    with db.session.begin_nested():
        db.session.add(greeting(id=3, text="c"))
    db.session.commit()

    assert [{greeting: [(1,), (3,)]}] == listener.heard


def test_a_savepoint_is_not_a_commit(
    db: SQLAlchemy, greeting: SignalModel, listener: Listener
) -> None:
    """Nothing is reported before the outermost transaction has committed."""
    with db.session.begin_nested():
        db.session.add(greeting(text="a"))

    assert [] == listener.heard


def test_rollback_is_not_reported(
    db: SQLAlchemy, greeting: SignalModel, listener: Listener
) -> None:
    """A transaction that rolls back has recorded nothing; the next begins afresh."""
    db.session.add(greeting(id=1, text="a"))
    db.session.flush()
    db.session.rollback()
    db.session.add(greeting(id=2, text="b"))
    db.session.commit()

    assert [{greeting: [(2,)]}] == listener.heard


def test_signal_that_was_deleted_again_is_not_reported(
    db: SQLAlchemy, greeting: SignalModel, listener: Listener
) -> None:
    """Only what is there after the commit has been recorded."""
    signals = [greeting(id=1, text="a"), greeting(id=2, text="b")]
    db.session.add_all(signals)
    db.session.flush()
    db.session.delete(signals[0])
    db.session.commit()

    assert [{greeting: [(2,)]}] == listener.heard


def test_transaction_without_signals_is_not_reported(
    db: SQLAlchemy, greeting: SignalModel, listener: Listener
) -> None:
    """No signals, no call."""

    class Customer(db.Model):  # type: ignore[name-defined, misc]
        id = sa.Column(sa.Integer, primary_key=True)

    db.create_all()
    db.session.add(Customer())
    db.session.commit()
    db.session.commit()

    assert [] == listener.heard


def test_nothing_has_been_sent_yet(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """The hook comes before autoflush: the signals are there for everybody."""
    listener = Listener(lambda: ([*wire.sent], pending(greeting)))
    bus.plugin_manager.register(listener)
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert [([], ["a"])] == listener.seen
    assert ["a"] == wire.sent


def test_hook_is_called_in_the_thread_that_commits(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel, background: t.Any
) -> None:
    """A plugin that must not wait hands over to a thread of its own."""
    listener = Listener(threading.get_ident)
    bus.plugin_manager.register(listener)

    def commit() -> int:
        db.session.add(greeting(text="a"))
        db.session.commit()
        return threading.get_ident()

    assert [background(commit).result()] == listener.seen


class Deaf:
    """Raises whatever it hears."""

    @hookimpl
    def signalbus_committed(self) -> None:
        """Raise."""
        raise LookupError("deaf")


def test_exception_is_logged_and_stops_nobody(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The other plugins are called, the signals are sent, and the commit returns."""
    listeners = [Listener(), Listener()]
    for plugin in [Deaf(), listeners[0], Deaf(), listeners[1], Deaf()]:
        bus.plugin_manager.register(plugin)
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert [1, 1] == [len(listener.heard) for listener in listeners]
    assert ["a"] == wire.sent
    assert 3 == caplog.text.count("LookupError: deaf")
    assert logging.ERROR == max(record.levelno for record in caplog.records)


def test_exception_of_a_wrapper_is_logged(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A commit does not fail because of a wrapper either."""

    class Broken:
        @hookimpl(wrapper=True)
        def signalbus_committed(self) -> t.Generator[None, object, object]:
            yield
            raise LookupError("deaf")

    bus.plugin_manager.register(Broken())
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert ["a"] == wire.sent
    assert "deaf" in caplog.text


def _caller(name: str, calls: list[str], **options: bool) -> object:
    """Return a plugin that keeps its name when it is called."""

    class Caller:
        @hookimpl(**options)
        def signalbus_committed(self) -> None:
            calls.append(name)
            raise LookupError(name)

    return Caller()


def test_plugins_are_called_in_the_order_of_pluggy(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel
) -> None:
    """``tryfirst``, ``trylast`` and wrappers hold, though each plugin fails alone."""
    calls: list[str] = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def signalbus_committed(self) -> t.Generator[None, object, object]:
            calls.append("before")
            try:
                return (yield)
            finally:
                calls.append("after")

    for plugin in [
        _caller("late", calls, trylast=True),
        _caller("early", calls, tryfirst=True),
        _caller("first registered", calls),
        Wrapper(),
        _caller("last registered", calls),
    ]:
        bus.plugin_manager.register(plugin)
    db.session.add(greeting(text="a"))
    db.session.commit()

    expected = ["before", "early", "last registered", "first registered", "late"]
    assert [*expected, "after"] == calls
