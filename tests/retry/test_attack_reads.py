"""A burst reads entries of its own signals, not of all between them."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus_retry import park

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus


@pytest.mark.databases("postgresql", "mariadb")
def test_signals_far_apart_cost_no_more(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, record: t.Any, wire: t.Any
) -> None:
    """In an order of the model's own, their numbers may grow, but not one by one."""
    model = new_model(
        form="partial",
        signalbus_burst_count=2,
        signalbus_on_parked="skip",
        signalbus_order_by=(sa.literal_column("text"),),
    )
    record(model, "a", *["z"] * 1000, "b", "b", "b")
    park(bus, model, [(number,) for number in range(2, 1002)])
    read: list[int] = []

    def count(connection: object, cursor: t.Any, statement: str, *rest: object) -> None:
        if "BETWEEN" in statement:  # in a range of the entries' numbers
            read.append(cursor.rowcount)

    sa.event.listen(db.engine, "after_cursor_execute", count)

    assert 4 == bus.flushordered()
    assert ["a", "b", "b", "b"] == wire.sent
    assert read[0] < 10
