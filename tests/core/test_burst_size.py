"""Bursts of large rows are smaller than their model allows."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

    Fill: t.TypeAlias = t.Callable[[SignalModel, int, int], None]

KILOBYTE = 1024

UNLIMITED = [sa.Text(), sa.LargeBinary(), sa.JSON(), sa.String(), sa.PickleType()]


@pytest.fixture
def fill(db: SQLAlchemy, bus: SignalBus) -> Fill:
    """Make *count* signals pending, with contents of *size* bytes each."""
    bus.autoflush = False

    def add(model: SignalModel, count: int, size: int) -> None:
        is_binary = isinstance(model.content.type, sa.LargeBinary)
        content: t.Any = bytes(size) if is_binary else "x" * size
        db.session.add_all(model(content=content) for _ in range(count))
        db.session.commit()
        db.session.close()

    return add


def sizes(wire: t.Any) -> list[int]:
    """Return how many signals each burst had."""
    return [len(attempt) for attempt in wire.attempts]


@pytest.mark.parametrize("form", ["row", "instance"])
@pytest.mark.parametrize("column_type", UNLIMITED, ids=repr)
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_burst_has_a_limited_size_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
    bus: SignalBus,
    new_model: t.Any,
    fill: Fill,
    wire: t.Any,
    form: str,
    column_type: t.Any,
    method: str,
) -> None:
    """Whatever their model allows, few large rows are in memory at a time."""
    monkeypatch.setattr("signalbus._burst_size.MAX_BYTES", 16 * KILOBYTE)
    content = sa.Column(column_type)
    model = new_model(form=form, burst=True, content=content, signalbus_burst_count=300)
    fill(model, 24, 2 * KILOBYTE)

    assert 24 == getattr(bus, method)()
    assert max(sizes(wire)) <= 8


def test_small_rows_fill_their_bursts(
    bus: SignalBus, new_model: t.Any, fill: Fill, wire: t.Any
) -> None:
    """The first burst is as large as declared, if its rows are small."""
    content = sa.Column(sa.Text)
    model = new_model(burst=True, content=content, signalbus_burst_count=100)
    fill(model, 150, 10)
    bus.flushmany()

    assert [100, 50] == sizes(wire)


def test_rows_that_grow_make_the_next_burst_smaller(
    bus: SignalBus,
    new_model: t.Any,
    fill: Fill,
    wire: t.Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was measured first is not believed for ever."""
    monkeypatch.setattr("signalbus._burst_size.MAX_BYTES", 16 * KILOBYTE)
    content = sa.Column(sa.Text)
    model = new_model(burst=True, content=content, signalbus_burst_count=20)
    fill(model, 20, 10)
    fill(model, 24, 2 * KILOBYTE)
    bus.flushmany()

    assert [20, 20, 4] == sizes(wire)


def test_rows_that_cannot_be_measured_go_in_small_bursts(
    bus: SignalBus, new_model: t.Any, db: SQLAlchemy, record: t.Any, wire: t.Any
) -> None:
    """A value that cannot be read is no obstacle to the others."""
    content = sa.Column(sa.JSON)
    model = new_model(burst=True, content=content, signalbus_burst_count=100)
    record(model, *map(str, range(40)))
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE greeting SET content = 'x' WHERE id = 1")
    with pytest.raises(ValueError, match="Expecting value"):
        bus.flushmany()

    assert 39 == len(wire.sent)


@pytest.mark.parametrize(
    ("column_type", "count"), [(sa.String(50), 100), (sa.Text(), 16)]
)
def test_bursts_that_cannot_be_large_are_as_declared(
    bus: SignalBus,
    new_model: t.Any,
    fill: Fill,
    wire: t.Any,
    column_type: t.Any,
    count: int,
) -> None:
    """Columns of limited length, and bursts of up to sixteen, are left alone."""
    content = sa.Column(column_type)
    model = new_model(burst=True, content=content, signalbus_burst_count=count)
    fill(model, count, 10)
    bus.flushmany()

    assert [count] == sizes(wire)


def test_deferred_column_is_not_loaded_to_be_measured(
    bus: SignalBus, new_model: t.Any, fill: Fill, statements: t.Any
) -> None:
    """A column that is loaded on demand stays unloaded."""
    content = sa_orm.deferred(sa.Column(sa.Text))
    model = new_model(burst=True, content=content, signalbus_burst_count=100)
    fill(model, 20, 10)
    statements.clear()
    bus.flushmany()

    assert [] == [text for text, _ in statements if "content" in text]
