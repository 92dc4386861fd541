"""The ledger in a file: a line is a message that arrived."""

from __future__ import annotations

import os
import time
import typing as t

from signalbus import PartialDeliveryError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


class LedgerFile:
    """A file to which many processes append, which no kill leaves half written."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, model: str, body: bytes) -> None:
        """Append a message. It has arrived when this returns."""
        os.write(self._file, b"%s %s\n" % (model.encode(), body))


class LedgerSender:
    """Sends signals to the ledger, all but those that have no message.

    :param body: returns the message of a signal, or raises ``ValueError``.
    :param delay: how long it takes to confirm a burst, in seconds.
    """

    def __init__(
        self, ledger: LedgerFile, body: t.Callable[[Signal], bytes], delay: float
    ) -> None:
        self._ledger = ledger
        self._body = body
        self._delay = delay

    def send(self, model: str, signal: Signal) -> None:
        """Send one.

        :raises ValueError: if it has no message.
        """
        time.sleep(self._delay)
        self._ledger.write(model, self._body(signal))

    def send_burst(self, model: str, signals: t.Iterable[Signal]) -> None:
        """Send several.

        :raises PartialDeliveryError: if some have no message.
        """
        time.sleep(self._delay)
        failures: dict[int, Exception] = {}
        for position, signal in enumerate(signals):
            try:
                self._ledger.write(model, self._body(signal))
            except ValueError as error:
                failures[position] = error
        if failures:
            raise PartialDeliveryError(failures)


class LedgerBroker:
    """The broker ``ledger``: a server that is never down, and knows what it has got."""

    name = "ledger"

    def __init__(self, sender: LedgerSender) -> None:
        self._sender = sender

    @hookimpl
    def signalbus_send_burst(
        self, bus: Bus, model: SignalModel, signals: t.Sequence[Signal]
    ) -> bool | None:
        """Append a burst, and confirm all of it but the poison."""
        if bus.declaration(model).sender != self.name:
            return None
        self._sender.send_burst(model.__name__, signals)
        return True
