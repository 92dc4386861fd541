"""The relays that are running in this process."""

from __future__ import annotations

import contextlib
import typing as t
import weakref

if t.TYPE_CHECKING:
    from signalbus.typing import Bus


class RunningRelay(t.Protocol):
    """What others in the same process can learn about a running relay."""

    @property
    def sent(self) -> int:
        """The number of signals sent so far."""

    @property
    def listeners(self) -> dict[str, str]:
        """What wakes the relay, by the names of the databases on PostgreSQL."""


_running: weakref.WeakKeyDictionary[Bus, RunningRelay] = weakref.WeakKeyDictionary()


def running_relay(bus: Bus) -> RunningRelay | None:
    """Return the relay that is running on *bus* in this process, if there is one."""
    return _running.get(bus)


@contextlib.contextmanager
def running(bus: Bus, relay: RunningRelay) -> t.Iterator[None]:
    """Let *relay* be the one that is running on *bus*."""
    _running[bus] = relay
    try:
        yield
    finally:
        _running.pop(bus, None)
