"""A sender that exits in an autoflush has sent what is in front of it in the burst."""

from __future__ import annotations

import asyncio
import typing as t

import pytest

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

#: Longer than anything takes here, in seconds.
LONG = 60.0


@pytest.mark.databases
@pytest.mark.parametrize("way", [True, "background"])
@pytest.mark.parametrize("key", [None, "text"])
@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError])
def test_exit_repeats_nothing(
    db: SQLAlchemy,
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    pending: t.Any,
    way: t.Any,
    key: str | None,
    kind: type[BaseException],
) -> None:
    """Signals that are sent one at a time are not sent again, whatever comes later."""
    bus.autoflush = way
    attributes = {"signalbus_ordering_key": key} if key else {}
    model = new_model(form="row", signalbus_burst_count=10, **attributes)
    wire.failures.update(exit=kind("enough"), bad=ValueError("no"))
    db.session.add_all([model(text=text) for text in ("a", "bad", "exit", "b", "c")])
    db.session.commit()
    assert bus.drain_autoflush(LONG)

    assert [["a"], ["bad"], ["exit"], ["b"], ["c"]] == wire.attempts
    assert ["bad", "exit"] == pending(model)


def test_exit_that_others_raise_later_says_nothing(
    db: SQLAlchemy, bus: SignalBus, new_model: t.Any, wire: t.Any, pending: t.Any
) -> None:
    """The same object may come from a burst method, which has sent nothing."""
    single = new_model("Single", form="row", signalbus_burst_count=10)
    burst = new_model("Burst", form="row", burst=True, signalbus_burst_count=10)
    wire.failures["exit"] = SystemExit("enough")
    db.session.add_all([single(text=text) for text in ("a", "exit")])
    db.session.commit()
    db.session.add_all([burst(text=text) for text in ("b", "exit")])
    db.session.commit()

    assert ["a", "b"] == wire.sent
    assert ["exit"] == pending(single)
    assert ["exit"] == pending(burst)
