"""Attempts to stop autoflush in the background, by senders and by forks."""

from __future__ import annotations

import asyncio
import ctypes
import os
import typing as t

import pytest

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

#: Longer than anything takes here, in seconds.
LONG = 60.0


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
def test_fork_without_the_hooks_of_python(
    db: SQLAlchemy, bus: SignalBus, greeting: SignalModel, wire: t.Any
) -> None:
    """As that of uWSGI: the child makes a thread of its own."""
    bus.autoflush = "background"

    def commit(text: str) -> None:
        db.session.add(greeting(text=text))
        db.session.commit()

    commit("before")
    assert bus.drain_autoflush(LONG)
    child = ctypes.PyDLL(None).fork()
    if child == 0:
        try:
            assert bus.drain_autoflush(0.1)
            db.engine.dispose(close=False)
            commit("child")
            assert bus.drain_autoflush(5)
            assert ["before", "child"] == wire.sent
        except BaseException:  # noqa: BLE001 the child must not run other tests
            os._exit(1)
        os._exit(0)

    assert 0 == os.waitpid(child, 0)[1]
    commit("after")
    assert bus.drain_autoflush(LONG)
    assert ["before", "after"] == wire.sent
