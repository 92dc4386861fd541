"""An outbox with models of all kinds, and how long it is searched for bugs."""

from __future__ import annotations

import logging
import os
import typing as t

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck
from hypothesis import Phase
from hypothesis import settings
from outbox.models import MEMORY
from outbox.models import declare
from outbox.shop import CommitListener
from outbox.shop import Listener
from outbox.shop import Shop
from outbox.wire import Wire
from outbox.wire import WireBroker
from outbox.wire import connect_memory
from signalbus.testing import MemoryBroker

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

#: How many sequences of steps are tried, each time others. Without it, a few are, and
#: always the same ones: a run of the tests must not fail by accident.
EXAMPLES = os.environ.get("SIGNALBUS_TEST_EXAMPLES")

#: Whether a sequence that fails is made as short as possible.
SHRINKS = "SIGNALBUS_TEST_SHRINK" in os.environ


@pytest.fixture
def effort() -> t.Callable[[int, int], settings]:
    """Make the settings of a test: how many sequences it tries, of how many steps."""

    def make(examples: int, steps: int) -> settings:
        phases = [Phase.explicit, Phase.reuse, Phase.generate]
        if SHRINKS:  # that takes longer than a test may
            phases.append(Phase.shrink)
        return settings(
            max_examples=int(EXAMPLES or examples),
            stateful_step_count=steps,
            derandomize=not EXAMPLES,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        )

    return make


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no other distribution's plugin: what they hear costs, and changes, paths."""
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "otel, relay, retry")


@pytest.fixture
def hears_commits() -> bool:
    """Tell whether a plugin wants to know of every commit."""
    return False


@pytest.fixture
def shop(
    app: Flask, db: SQLAlchemy, bus: SignalBus, hears_commits: bool
) -> t.Iterator[Shop]:
    """Declare the models, and connect them to a wire."""
    wire, memory = Wire(), MemoryBroker(MEMORY)
    listener = CommitListener() if hears_commits else Listener()
    for plugin in (WireBroker(wire), memory, listener):
        bus.plugin_manager.register(plugin)
    models = declare(db, wire)
    connect_memory(memory, wire, "Memory")
    logging.disable()
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            sa.event.listen(db.engine, "connect", _write_no_disk)
        db.create_all()
        yield Shop(db, bus, models, wire, memory, listener)
        db.session.remove()
    logging.disable(logging.NOTSET)


def _write_no_disk(connection: t.Any, _: object) -> None:
    """Let SQLite not wait for the disk, which would take most of the time."""
    connection.execute("PRAGMA synchronous = OFF")
