"""Autoflush signals only in tests that ask for it."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from signalbus import hookimpl
from signalbus.logs import get_logger
from signalbus.testing import autoflush
from signalbus.testing import joining

from signalbus_pytest._discovery import context_of
from signalbus_pytest._transactions import outer_connection

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import Autoflush
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel

    from signalbus_pytest._snapshot import Entry

logger = get_logger("signalbus.pytest")

#: The marker, and the setting.
NAME: t.Final = "signalbus_autoflush"

#: The values of the setting.
VALUES: t.Final[dict[str, Autoflush]] = {
    "off": False,
    "on": True,
    "background": "background",
}


@contextlib.contextmanager
def autoflushing(
    request: pytest.FixtureRequest, bus: SignalBus
) -> t.Iterator[t.Callable[[t.Sequence[Entry]], object]]:
    """Set ``bus.autoflush`` as the test asks; yield what to call after commits."""
    value = _wanted(request)
    with autoflush(bus, value):
        if not value:
            yield lambda _: None
            return
        joined = JoinedAutoflush(bus, lambda: context_of(request, bus))
        bus.plugin_manager.register(joined)
        try:
            yield joined.send
        finally:
            bus.plugin_manager.unregister(joined)


class JoinedAutoflush:
    """Autoflush in tests that keep a transaction open around all commits.

    In such a test, the bus would look for committed signals on another connection.
    """

    def __init__(
        self, bus: SignalBus, context: t.Callable[[], t.ContextManager[object]]
    ) -> None:
        self._bus = bus
        self._context = context

    @hookimpl(tryfirst=True)
    def signalbus_autoflush(self, recorded: Recorded) -> bool | None:
        """Handle a commit that other connections do not see."""
        return True if any(map(self._is_joined, recorded)) else None

    def send(self, entries: t.Sequence[Entry]) -> None:
        """Send the committed signals if other connections do not see all of them.

        In another database, the same commit may be a real one. The commit is complete,
        so errors are logged, not raised.
        """
        try:
            with self._context():
                self._send(entries)
        except Exception:
            logger.exception("Signals stay pending after a commit.")

    def _send(self, entries: t.Sequence[Entry]) -> None:
        recorded: dict[SignalModel, list[PrimaryKey]] = {}
        for entry in entries:
            if entry.key is not None and self._bus.declaration(entry.model).autoflush:
                recorded.setdefault(entry.model, []).append(entry.key)
        # Another thread, as in the background, would not work in the transaction.
        with (
            autoflush(self._bus, True),
            joining(lambda declaration: outer_connection(self._bus, declaration)),
        ):
            manager = self._bus.plugin_manager
            hook = manager.subset_hook_caller("signalbus_autoflush", [self])
            if any(map(self._is_joined, recorded)):
                hook(bus=self._bus, recorded=recorded)

    def _is_joined(self, model: SignalModel) -> bool:
        return outer_connection(self._bus, self._bus.declaration(model)) is not None


def _wanted(request: pytest.FixtureRequest) -> Autoflush:
    """Return the value of the marker, or else of the setting."""
    marker = request.node.get_closest_marker(NAME)
    if marker is None:
        return _configured(request.config)
    value: Autoflush = marker.args[0] if marker.args else True
    if value not in {True, False, "background"}:
        raise pytest.UsageError(
            f'The marker {NAME} has {value!r}. Give it True, False or "background".'
        )
    return value


def _configured(config: pytest.Config) -> Autoflush:
    configured = str(config.getini(NAME)).lower()
    if configured not in VALUES:
        raise pytest.UsageError(
            f"The setting {NAME} is {configured!r}. Set it to off, on or background."
        )
    return VALUES[configured]
