"""Attempts to stop autoflush in the background, by senders and by forks."""

from __future__ import annotations

import asyncio
import os
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

#: Longer than anything takes here, in seconds.
LONG = 60.0

RAW_FORKER = Path(__file__).parents[1] / "plugins" / "raw_forker.py"


@pytest.mark.databases
@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError]
)
def test_what_is_no_exception_stops_no_other_signal(
    db: SQLAlchemy,
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    pending: t.Any,
    kind: type[BaseException],
) -> None:
    """Neither the rest of its burst nor what is behind it, nor another model."""
    bus.autoflush = "background"
    ape = new_model("Ape", burst=True, signalbus_burst_count=3)
    bee = new_model("Bee")
    wire.failures["bad"] = kind()
    db.session.add_all([ape(text=text) for text in ("a", "bad", "b", "c")])
    db.session.add(bee(text="d"))
    db.session.commit()
    assert bus.drain_autoflush(LONG)

    assert ["a", "b", "c", "d"] == sorted(wire.sent)
    assert ["bad"] == pending(ape)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork.")
@pytest.mark.databases("postgresql")
def test_fork_without_the_hooks_of_python(engine_url: str, interpreter: t.Any) -> None:
    """As that of uWSGI: the child makes a thread of its own."""
    program = interpreter(RAW_FORKER, engine_url, "background")

    assert ["parent\n", "child\n"] == [program.stdout.readline() for _ in range(2)]
    assert ("parent again\n", None) == program.communicate("go on\n", timeout=LONG)
    assert 0 == program.returncode
