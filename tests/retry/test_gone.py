"""Entries whose signal is gone disappear by themselves."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus_retry import Park
from signalbus_retry import discard
from signalbus_retry import failures
from signalbus_retry import park
from signalbus_retry import replay

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]


@pytest.fixture
def orphaned(
    greeting: SignalModel, record: t.Any, wire: t.Any, run: t.Any, execute: t.Any
) -> SignalModel:
    """Give a model that had three failed signals, of which a person deleted two."""
    wire.failures = {"x": ValueError("x"), "y": Park(), "z": ValueError("z")}
    record(greeting, "x", "y", "z")
    run()
    execute("DELETE FROM greeting WHERE id <> 3")
    return greeting


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_flush_deletes_entries_of_signals_that_are_gone(
    bus: SignalBus,
    orphaned: t.Any,
    record: t.Any,
    due: t.Any,
    run: t.Any,
    entries: t.Any,
    clock: t.Any,
    method: str,
) -> None:
    """Once a minute, if it tries anything; the entries of the others stay."""
    clock.advance(61)
    due()
    run(method)

    assert ["[3]"] == [each.key for each in entries()]


def test_another_process_deletes_them(
    new_app: t.Any, engine_url: str, orphaned: t.Any, entries: t.Any, record: t.Any
) -> None:
    """A flusher that has just started does not have to know of them."""
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

    app = new_app(engine_url)
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    record(orphaned, "a")
    methods = {"send_signalbus_message": lambda self: None}
    columns = {"id": sa.Column(sa.Integer, primary_key=True)}
    model = type("Greeting", (db.Model,), {**columns, **methods})
    with app.app_context():
        assert 1 == bus.flush([model])

    assert ["[3]"] == [each.key for each in entries()]


@pytest.mark.databases
def test_many_are_deleted_in_some_minutes(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    execute: t.Any,
    entries: t.Any,
    clock: t.Any,
) -> None:
    """A flush looks at a part of them, so that it takes no longer than it may."""
    texts = [str(number) for number in range(1200)]
    wire.failures = dict.fromkeys(texts, Park())
    model = new_model(form="partial", signalbus_burst_count=600)
    record(model, *texts)
    run()
    execute("DELETE FROM greeting WHERE id > 10 AND id < 1200")
    wire.failures = {}
    left = []
    for _ in range(6):
        clock.advance(61)
        record(model, "a")
        bus.flush()
        left.append(len(entries()))

    assert 600 < left[0]
    assert 11 == left[-1]


@pytest.mark.databases
def test_failures_are_those_of_signals_that_are_there(
    bus: SignalBus, orphaned: t.Any, entries: t.Any
) -> None:
    """Whoever lists them never sees one that is gone, and sees to it that it goes."""
    assert [(3,)] == [each.key for each in failures(bus)]
    assert ["[3]"] == [each.key for each in entries()]


@pytest.mark.databases
@pytest.mark.parametrize("operation", [replay, discard])
def test_signals_that_are_gone_are_not_counted(
    bus: SignalBus, orphaned: t.Any, entries: t.Any, operation: t.Any
) -> None:
    """Neither as replayed nor as discarded; their entries go."""
    assert 1 == operation(bus)
    assert [] == entries()


def test_signals_that_are_gone_are_not_parked(
    bus: SignalBus, orphaned: t.Any, failed: t.Any
) -> None:
    """What does not exist cannot be parked."""
    assert 1 == park(bus, orphaned, [(1,), (2,), (3,)])
    assert [(3,)] == [each.key for each in failed()]


def test_commands_show_what_is_there(orphaned: t.Any, flask: t.Any) -> None:
    """A signal that is gone is neither listed nor shown."""
    assert "id=1" not in flask("failures", "--list").out
    assert 1 == flask("show", "Greeting", "1").status


@pytest.mark.databases
def test_cascade_takes_entries_along(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    boom: t.Any,
    run: t.Any,
    entries: t.Any,
    clock: t.Any,
) -> None:
    """It does not matter who deleted the signal."""

    class Owner(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    owner_id = sa.Column(sa.ForeignKey(Owner.id))
    owner = sa.orm.relationship(Owner, backref=sa.orm.backref("all", cascade="all"))
    model = new_model(owner_id=owner_id, owner=owner, signalbus_autoflush=False)
    db.session.add(model(text="bad", owner=Owner(id=1)))
    db.session.commit()
    run()

    assert 1 == len(entries())

    db.session.delete(db.session.get(Owner, 1))
    db.session.add(model(text="a"))
    db.session.commit()
    clock.advance(61)
    run()

    assert [] == entries()


@pytest.mark.databases
def test_signal_that_is_there_keeps_its_entry(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    attempts: t.Any,
    clock: t.Any,
) -> None:
    """However often entries are looked at, whatever its key is like."""
    wire.failures = {"x": Park(), "y": ValueError("boom")}
    record(new_model(), "x", "y")
    run()
    before = attempts()
    for _ in range(5):
        clock.advance(61)
        run()

    assert before == attempts()
    assert 2 == len(before)


@pytest.mark.databases
def test_ordered_model_goes_on_when_its_obstacle_is_deleted(
    bus: SignalBus,
    greeting: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    execute: t.Any,
) -> None:
    """An entry without a signal holds nothing back."""
    wire.failures["bad"] = Park()
    record(greeting, "bad", "a")
    run("flushordered")
    execute("DELETE FROM greeting WHERE id = 1")

    assert 1 == bus.flushordered()
    assert ["a"] == wire.sent
