"""Tools for testing applications and plugins, such as an in-memory broker.

``signalbus-pytest`` provides them as fixtures.
"""

from __future__ import annotations

import contextlib
import typing as t

from signalbus._sql.joined import joining
from signalbus.testing._memory_broker import MemoryBroker
from signalbus.testing._sent_signal import SentSignal

if t.TYPE_CHECKING:
    from signalbus.extension import SignalBus
    from signalbus.typing import Autoflush

__all__ = ["MemoryBroker", "SentSignal", "autoflush", "joining"]


@contextlib.contextmanager
def autoflush(bus: SignalBus, value: Autoflush) -> t.Iterator[None]:
    """Set ``bus.autoflush`` to *value* inside a ``with`` block.

    It applies to all threads. Afterwards, autoflush is what it was before, whether the
    program or the configuration has set it.
    """
    before = bus._autoflush  # noqa: SLF001 what it reads may come from the configuration
    bus.autoflush = value
    try:
        yield
    finally:
        bus._autoflush = before  # noqa: SLF001
