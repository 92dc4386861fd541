"""Keys that were read ahead are sent, also if their transaction fails at its end."""

from __future__ import annotations

import sqlite3
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey

METHODS = ("flush", "flushmany", "flushordered")


class HoldsFirst:
    """Holds back the signal with the first key: so others are read ahead."""

    @hookimpl
    def signalbus_held_back(self) -> HoldsFirst:
        """Hold back signals of all models."""
        return self

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Hold back one key, which nothing needs to wait for."""
        return {key: False for key in keys if key == (1,)}


@pytest.fixture
def failing_steps(db: SQLAlchemy, app_ctx: object) -> t.Iterator[t.Callable[..., None]]:
    """Let the database fail in passing at some steps: statements, and commits."""
    steps: list[int] = []
    count = 0

    def fail(*_: object) -> None:
        nonlocal count
        count += 1
        if count in steps:
            locked = sqlite3.OperationalError("database is locked")
            raise sa.exc.OperationalError("COMMIT", {}, locked)

    events = ("before_cursor_execute", "commit")
    for event in events:
        sa.event.listen(db.engine, event, fail)

    def arm(*numbers: int) -> None:
        nonlocal count
        count = 0
        steps[:] = numbers

    yield arm
    for event in events:
        sa.event.remove(db.engine, event, fail)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", range(1, 9))
def test_queues_are_not_lost(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    failing_steps: t.Any,
    method: str,
    step: int,
) -> None:
    """Wherever it fails, a flush with an ordering key sends all, once."""
    model = new_model(signalbus_ordering_key="text", signalbus_burst_count=2)
    record(model, "a", "b", "a")
    failing_steps(step)

    assert 3 == getattr(bus, method)()
    assert ["a", "a", "b"] == sorted(wire.sent)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", range(1, 13))
def test_windows_are_not_lost(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    failing_steps: t.Any,
    method: str,
    step: int,
) -> None:
    """Wherever it fails, a flush that passes over a signal sends all others, once."""
    bus.plugin_manager.register(HoldsFirst())
    model = new_model()
    record(model, "held", "a", "b", "c")
    failing_steps(step)

    assert 3 == getattr(bus, method)()
    assert ["a", "b", "c"] == wire.sent
