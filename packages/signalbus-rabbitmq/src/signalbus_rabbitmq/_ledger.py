"""Keep the messages of a batch, and what became of each."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._remedies import DECLARE

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._link import ChannelClosedError
    from signalbus_rabbitmq.message import Message

_NOT_FOUND = 404
_ACCESS_REFUSED = 403


class Ledger:
    """The messages of one batch, known by their position.

    A message is asked for when it is first published, kept for as long as it may have
    to be published again, and let go when it is settled: a burst of large ones is never
    in memory as a whole.

    :param messages: where the messages come from; an item may be made when it is asked
        for, and may raise what keeps it from being made.
    """

    def __init__(self, messages: t.Sequence[Message]) -> None:
        self.failures: dict[int, Exception] = {}
        #: What is to be published, in order.
        self.unsettled = dict.fromkeys(range(len(messages)))
        #: What was confirmed and perhaps returned: to be published again, one by one.
        self.doubtful: dict[int, None] = {}
        self.confirmed = 0
        self._messages = messages
        self._kept: dict[int, Message] = {}
        self._refusals: dict[tuple[str, ...], str] = {}

    def message(self, position: int) -> Message:
        """Return the message at *position*; raise what keeps it from being sent."""
        message = self._kept.get(position)
        if message is None:
            message = self._kept[position] = self._messages[position]
        if self._refusals:
            self._check(message)
        return message

    def confirm(self, positions: t.Sequence[int]) -> None:
        """Note that the broker has the messages at *positions*."""
        self.confirmed += len(positions)
        unsettled, kept = self.unsettled, self._kept
        for position in positions:
            unsettled.pop(position, None)
            del kept[position]
        if self.doubtful:
            for position in positions:
                self.doubtful.pop(position, None)

    def fail(self, position: int, error: Exception) -> None:
        """Note why the message at *position* was not confirmed."""
        self.failures[position] = error
        self._drop(position)
        self._kept.pop(position, None)

    def doubt(self, positions: t.Iterable[int]) -> None:
        """Note that the messages at *positions* were perhaps returned."""
        for position in positions:
            self._drop(position)
            self.doubtful[position] = None

    def put_aside(self, position: int) -> None:
        """Do not publish the message at *position* for now; it has no fate yet."""
        self._drop(position)

    def refuse(self, position: int, reason: ChannelClosedError) -> None:
        """Note that the broker refused the message at *position*.

        What *reason* must hold for, too, is refused without being published: all that
        goes to an exchange that is missing or may not be written to.
        """
        message = self._kept[position]
        if reason.code == _NOT_FOUND:
            self._refusals[message.exchange,] = f"{reason}. {DECLARE}"
        if reason.code == _ACCESS_REFUSED:
            self._refusals[message.exchange, message.routing_key] = str(reason)
        told = self._refusals.get(message[:1], str(reason))
        self.fail(position, _refused(message, told))

    def _check(self, message: Message) -> None:
        for address in (message[:1], message[:2]):
            if reason := self._refusals.get(address):
                raise _refused(message, reason)

    def _drop(self, position: int) -> None:
        self.unsettled.pop(position, None)
        self.doubtful.pop(position, None)


def _refused(message: Message, reason: str) -> exceptions.RefusedError:
    return exceptions.RefusedError(
        f"RabbitMQ refused the message to exchange {message.exchange!r}:"
        f" {reason.rstrip('.')}."
    )
