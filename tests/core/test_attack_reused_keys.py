"""What was sent is deleted later only if it is still the same."""

from __future__ import annotations

import time
import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

LOST_RACE = "database is locked"


@pytest.fixture
def failing_delete(app_ctx: object) -> t.Iterator[list[str]]:
    """Let the first DELETE that comes lose a race."""
    deletes: list[str] = []

    def fail(connection: object, cursor: object, text: str, *rest: object) -> None:
        if text.startswith("DELETE"):
            deletes.append(text)
            if len(deletes) == 1:
                raise sa.exc.OperationalError(text, {}, Exception(LOST_RACE))

    sa.event.listen(sa.Engine, "before_cursor_execute", fail)
    yield deletes
    sa.event.remove(sa.Engine, "before_cursor_execute", fail)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["row", "instance"])
def test_row_that_has_changed_since_it_was_sent_is_kept(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    pending: t.Any,
    failing_delete: list[str],
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    """A row that the application changes while its deletion is tried again is new."""
    model = new_model(form=form, burst=True, signalbus_burst_count=3)
    record(model, "a", "b", "c")

    def change(seconds: float) -> None:
        with db.engine.begin() as connection:
            table = model.__table__
            update = sa.update(table).where(table.c.text == "b")
            connection.execute(update.values(text="new"))

    monkeypatch.setattr(time, "sleep", change)
    bus.flushmany()
    assert ["new"] == pending(model)

    bus.flushmany()
    assert ["a", "b", "c", "new"] == sorted(wire.sent)
