"""A plugin may take charge of what the core would send right after the commit."""

from __future__ import annotations

import typing as t

import flask
import pytest
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel


class Courier:
    """Keeps what it is asked to send, and gives its answer."""

    def __init__(self, answer: bool | None) -> None:
        """Give *answer* to every commit."""
        self.answer = answer
        self.asked: list[dict[t.Any, list[tuple[t.Any, ...]]]] = []
        self.calls: list[str] = []

    @hookimpl
    def signalbus_committed(self) -> None:
        """Keep the call."""
        self.calls.append("committed")

    @hookimpl
    def signalbus_autoflush(self, bus: SignalBus, recorded: Recorded) -> bool | None:
        """Keep what was recorded."""
        self.calls.append("autoflush" if flask.has_app_context() else "no context")
        self.asked.append({model: list(keys) for model, keys in recorded.items()})
        return self.answer


def _register(bus: SignalBus, answer: bool | None) -> Courier:
    courier = Courier(answer)
    bus.plugin_manager.register(courier)
    return courier


@pytest.mark.databases
def test_hook_signalbus_autoflush(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """With ``True``, a plugin takes over: the core leaves the signals to it."""
    courier = _register(bus, True)
    db.session.add_all([greeting(text="a"), greeting(text="b")])
    db.session.commit()

    assert [{greeting: [(1,), (2,)]}] == courier.asked
    assert [] == wire.sent
    assert ["a", "b"] == pending(greeting)


@pytest.mark.databases
def test_hook_signalbus_autoflush_may_leave_it_to_the_core(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """With ``None``, the core sends before the commit returns."""
    courier = _register(bus, None)
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert [{greeting: [(1,)]}] == courier.asked
    assert ["a"] == wire.sent


def test_first_plugin_that_takes_over_is_the_last_one_asked(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel
) -> None:
    """Whoever returns ``True`` sees to the signals alone."""
    couriers = [_register(bus, None), _register(bus, True), _register(bus, None)]
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert [0, 1, 1] == [len(courier.asked) for courier in couriers]


def test_models_that_are_not_autoflushed_are_left_out(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any
) -> None:
    """A model with ``signalbus_autoflush = False`` is nobody's business here."""
    courier = _register(bus, None)
    manual = new_model("Manual", signalbus_autoflush=False)
    automatic = new_model("Automatic")
    db.session.add_all([manual(text="m"), automatic(text="a")])
    db.session.commit()

    assert [{automatic: [(1,)]}] == courier.asked


def test_nothing_to_autoflush_is_no_call(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any
) -> None:
    """Where only such models were recorded, the hook is not called."""
    courier = _register(bus, None)
    manual = new_model(signalbus_autoflush=False)
    db.session.add(manual(text="m"))
    db.session.commit()

    assert [] == courier.asked


def test_plugins_are_not_asked_without_autoflush(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel
) -> None:
    """With ``bus.autoflush`` off, signals stay, whatever is installed."""
    courier = _register(bus, True)
    bus.autoflush = False
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert [] == courier.asked
    assert ["committed"] == courier.calls


def test_plugins_are_asked_in_an_app_context_after_they_were_told(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel
) -> None:
    """All plugins know of the commit before one of them acts on it."""
    courier = _register(bus, True)
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert ["committed", "autoflush"] == courier.calls


def test_transaction_that_rolls_back_asks_nobody(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel
) -> None:
    """What was not recorded need not be sent."""
    courier = _register(bus, True)
    db.session.add(greeting(text="a"))
    db.session.flush()
    db.session.rollback()
    db.session.commit()

    assert [] == courier.asked


def test_models_and_keys_are_asked_for_in_their_order(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any
) -> None:
    """Both are in the order in which the signals were added to the session."""
    courier = _register(bus, True)
    zebra, ape = new_model("Zebra"), new_model("Ape")
    db.session.add_all([zebra(id=9), ape(id=3), zebra(id=1)])
    db.session.commit()

    assert [(zebra, [(9,), (1,)]), (ape, [(3,)])] == [*courier.asked[0].items()]


def test_exception_of_a_plugin_fails_no_commit(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    pending: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged; the signals stay pending."""

    class Broken:
        @hookimpl
        def signalbus_autoflush(self) -> None:
            raise LookupError("no horse")

    bus.plugin_manager.register(Broken())
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert ["a"] == pending(greeting)
    assert "no horse" in caplog.text


def test_what_a_plugin_took_over_can_be_flushed(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """The signals are pending like any others."""
    _register(bus, True)
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert 1 == bus.flush()
    assert ["a"] == wire.sent
