"""The messages of one batch: which are published next, and what became of each."""

from __future__ import annotations

import itertools
import typing as t

from signalbus_rabbitmq import _failures
from signalbus_rabbitmq._channel import ChannelClosedError
from signalbus_rabbitmq._hints import DECLARE

if t.TYPE_CHECKING:
    from signalbus_rabbitmq import exceptions
    from signalbus_rabbitmq._channel import ConfirmChannel
    from signalbus_rabbitmq._timeouts import Timeout
    from signalbus_rabbitmq.message import Message

_NOT_FOUND = 404
_ACCESS_REFUSED = 403


class PublishBatch:
    """A batch of messages, known by their positions.

    :meth:`publish` may be called again, with another channel, when the first is lost.
    What is settled by then is not sent again.

    All messages go at once where all is well. Over a new connection, one message goes
    first: a broker that takes no messages for the moment is left with one, not with as
    many as fit into its socket. After trouble, pieces begin with one message and grow.

    A message is requested when it is first published, kept as long as it may have to be
    published again, and released when it is settled: a burst of large messages is never
    in memory as a whole.

    :param messages: where the messages come from. An item may be made when it is
        requested, and may raise what keeps it from being made.
    """

    def __init__(self, messages: t.Sequence[Message]) -> None:
        #: Why messages were not confirmed.
        self.failures: dict[int, Exception] = {}
        self._messages = messages
        self._unsettled = dict.fromkeys(range(len(messages)))
        self._single: dict[int, None] = {}  # to be sent again, one by one
        self._timed_out: dict[int, str] = {}  # each of them alone, and why
        self._kept: dict[int, Message] = {}
        self._refusals: dict[tuple[str, ...], str] = {}
        self._window = max(1, len(messages))
        self._alone: int | None = None  # what is being published, if it is one message
        self._has_progress = False

    def publish(self, channel: ConfirmChannel, timeout: Timeout) -> None:
        """Publish over *channel* what is unsettled, until all of it is settled."""
        while positions := self._next(channel):
            try:
                self._publish(channel, positions, timeout)
                self._window *= 2
            except ChannelClosedError as reason:
                self._find_refused(channel, positions, timeout, reason)
                self._window = 1

    def isolate(self, error: exceptions.TimeoutError) -> bool:
        """Continue in small pieces after *error*. Return whether one message caused it.

        A message that was published alone is put aside.
        """
        self._window = 1
        if self._alone is None:
            return False
        self._timed_out[self._alone] = str(error)
        self._drop(self._alone)
        return True

    def fail_timed_out(self) -> None:
        """Fail the messages that were put aside: the broker confirms others."""
        for position, reason in self._timed_out.items():
            failure = _failures.unconfirmed(self.published(position), reason)
            self.fail(position, failure)
        self._timed_out.clear()

    def fail_rest(self, error: exceptions.DeliveryError) -> bool:
        """Fail all unsettled messages because of *error*; return whether any is."""
        rest = [*self._timed_out, *self._unsettled, *self._single]
        for position in rest:
            self.fail(position, type(error)(str(error)))
        self._timed_out.clear()
        return bool(rest)

    def pop_progress(self) -> bool:
        """Return whether a message was confirmed since the last call."""
        had_progress, self._has_progress = self._has_progress, False
        return had_progress

    def message(self, position: int) -> Message:
        """Return the message at *position*. Raise what keeps it from being sent."""
        message = self._kept.get(position)
        if message is None:
            message = self._kept[position] = self._messages[position]
        if self._refusals:
            self._check(message)
        return message

    def published(self, position: int) -> Message:
        """Return the message at *position*, which was published and is not settled."""
        return self._kept[position]

    def confirm(self, positions: t.Sequence[int]) -> None:
        """Record that the broker has the messages at *positions*."""
        self._has_progress = self._has_progress or bool(positions)
        unsettled, kept = self._unsettled, self._kept
        for position in positions:
            unsettled.pop(position, None)
            del kept[position]
        if self._single:
            for position in positions:
                self._single.pop(position, None)

    def fail(self, position: int, error: Exception) -> None:
        """Record why the message at *position* was not confirmed."""
        self.failures[position] = error
        self._drop(position)
        self._kept.pop(position, None)

    def resend_singly(self, positions: t.Iterable[int]) -> None:
        """Publish the messages at *positions* again, one by one: one was returned."""
        for position in positions:
            self._drop(position)
            self._single[position] = None

    def _next(self, channel: ConfirmChannel) -> list[int]:
        """Return the positions of what is to be published next."""
        if not self._unsettled:
            return list(itertools.islice(self._single, 1))
        if self._timed_out:
            # Large messages may stand together: learn from one far off.
            return [next(reversed(self._unsettled))]
        count = self._window if channel.is_proven else 1
        return list(itertools.islice(self._unsettled, count))

    def _publish(
        self, channel: ConfirmChannel, positions: t.Sequence[int], timeout: Timeout
    ) -> None:
        self._alone = positions[0] if len(positions) == 1 else None
        channel.publish(self, positions, timeout)
        self._alone = None
        if channel.is_proven:
            self.fail_timed_out()

    def _find_refused(
        self,
        channel: ConfirmChannel,
        positions: t.Sequence[int],
        timeout: Timeout,
        reason: ChannelClosedError,
    ) -> None:
        """Find which of the messages at *positions* the broker refused.

        It closes the channel at a message that it refuses, without naming it, and drops
        those behind it. So they go one at a time, until one is refused again.
        """
        self._alone = None  # the broker has answered for it
        if len(positions) == 1:
            self._refuse(positions[0], reason)
        channel.reopen(timeout.deadline())
        if len(positions) == 1:
            return
        for position in positions:
            if position in self._unsettled:
                try:
                    self._publish(channel, [position], timeout)
                except ChannelClosedError as its_reason:
                    self._find_refused(channel, [position], timeout, its_reason)
                    return

    def _refuse(self, position: int, reason: ChannelClosedError) -> None:
        """Record that the broker refused the message at *position*.

        What *reason* must hold for, too, is refused without being published: all that
        goes to an exchange that is missing or may not be written to.
        """
        message = self.published(position)
        if reason.code == _NOT_FOUND:
            self._refusals[message.exchange,] = f"{reason}. {DECLARE}"
        if reason.code == _ACCESS_REFUSED:
            self._refusals[message.exchange, message.routing_key] = str(reason)
        text = self._refusals.get(message[:1], str(reason))
        self.fail(position, _failures.refused(message, text))

    def _check(self, message: Message) -> None:
        for address in (message[:1], message[:2]):
            if reason := self._refusals.get(address):
                raise _failures.refused(message, reason)

    def _drop(self, position: int) -> None:
        self._unsettled.pop(position, None)
        self._single.pop(position, None)
