"""The pytest fixtures of signalbus.

pytest imports this module for every test suite, whether or not it uses signalbus. So
the fixtures import everything that is slow to import.
"""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.testing import MemoryBroker

    from signalbus_pytest._journal import Journal
    from signalbus_pytest.flushing import FlushSignals
    from signalbus_pytest.recorded import RecordedSignals

#: The name of the marker and of the setting that say whether tests autoflush.
AUTOFLUSH: t.Final = "signalbus_autoflush"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting."""
    parser.addini(
        AUTOFLUSH,
        "Whether tests with a fixture of signalbus send signals right after a commit:"
        " off (the default), on, or background.",
        default="off",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker."""
    config.addinivalue_line(
        "markers",
        f"{AUTOFLUSH}(value=True): send signals right after a commit: True, False or"
        ' "background"',
    )


@pytest.fixture
def signalbus_bus(request: pytest.FixtureRequest) -> SignalBus:
    """Return the bus of the fixture ``app``. Override it if your bus is elsewhere."""
    from signalbus_pytest._discovery import find_bus

    return find_bus(request)


@pytest.fixture
def _signalbus_journal(
    request: pytest.FixtureRequest, signalbus_bus: SignalBus
) -> t.Iterator[Journal]:
    """Follow all sessions, and autoflush only if the test asks for it."""
    from signalbus_pytest._autoflush import autoflushing
    from signalbus_pytest._journal import Journal
    from signalbus_pytest._listeners import following

    with (
        autoflushing(request, signalbus_bus) as committed,
        following(Journal(signalbus_bus, committed)) as journal,
    ):
        yield journal


@pytest.fixture
def recorded_signals(
    signalbus_bus: SignalBus, _signalbus_journal: Journal
) -> RecordedSignals:
    """Return the signals that the test records, even if it rolls everything back."""
    from signalbus_pytest.recorded import RecordedSignals

    return RecordedSignals(signalbus_bus, _signalbus_journal)


@pytest.fixture
def memory_broker(
    signalbus_bus: SignalBus, _signalbus_journal: Journal
) -> t.Iterator[MemoryBroker]:
    """Replace all brokers by an in-memory broker, and return it."""
    from signalbus.testing import MemoryBroker

    broker = MemoryBroker(None)
    signalbus_bus.plugin_manager.register(broker)
    yield broker
    broker.recover()  # for those who still wait for it
    signalbus_bus.drain_autoflush()
    signalbus_bus.plugin_manager.unregister(broker)
    signalbus_bus.reset_breakers()


@pytest.fixture
def flush_signals(
    request: pytest.FixtureRequest,
    signalbus_bus: SignalBus,
    memory_broker: MemoryBroker,
    _signalbus_journal: Journal,
) -> FlushSignals:
    """Return a function that sends the recorded signals and returns them."""
    from signalbus_pytest._discovery import context_of
    from signalbus_pytest.flushing import FlushSignals

    return FlushSignals(
        signalbus_bus,
        memory_broker,
        _signalbus_journal,
        lambda: context_of(request, signalbus_bus),
    )
