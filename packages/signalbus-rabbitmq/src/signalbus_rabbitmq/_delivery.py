"""Publish a batch, over one link or several in turn, until all of it is settled."""

from __future__ import annotations

import itertools
import typing as t

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._ledger import Ledger
from signalbus_rabbitmq._link import ChannelClosedError
from signalbus_rabbitmq._round import Round

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._link import Link
    from signalbus_rabbitmq._patience import Patience
    from signalbus_rabbitmq.message import Message

#: How many failed messages are named in an error.
MAX_NAMED = 5


class Delivery:
    """The delivery of one batch.

    :meth:`run` may be called again, with another link, when the first is lost; what is
    settled by then is not sent again.

    All goes at once where all is well. Over a new link, one message goes first: a
    broker that takes no messages for the moment is left with one, not with as many as
    fit into its socket. After trouble, pieces begin with one message and grow again.
    """

    def __init__(self, messages: t.Sequence[Message]) -> None:
        self._ledger = Ledger(messages)
        self._window = max(1, len(messages))
        self._alone: int | None = None
        self._suspects: dict[int, str] = {}
        self._confirmed_before = 0

    @property
    def failures(self) -> dict[int, Exception]:
        """Why messages were not confirmed, by position."""
        return self._ledger.failures

    def run(self, link: Link, patience: Patience) -> None:
        """Publish what is unsettled and wait until all of it is settled."""
        while positions := self._next(link):
            try:
                self._publish(link, positions, patience)
                self._window *= 2
            except ChannelClosedError as reason:
                self._find_refused(link, positions, patience, reason)
                self._window = 1

    def suspect(self, error: exceptions.DeliveryError) -> bool:
        """Go on in small pieces after *error*; return whether one message is to blame.

        If one was published alone, it is put aside.
        """
        self._window = 1
        if self._alone is None:
            return False
        self._suspects[self._alone] = str(error)
        self._ledger.put_aside(self._alone)
        return True

    def take_progress(self) -> bool:
        """Return whether something was confirmed since this was last asked."""
        before, self._confirmed_before = self._confirmed_before, self._ledger.confirmed
        return self._ledger.confirmed > before

    def finish(self) -> None:
        """Fail the messages that were put aside: everything else was settled."""
        for position, reason in self._suspects.items():
            message = self._ledger.message(position)
            self._ledger.fail(
                position,
                exceptions.UnconfirmedError(
                    f"The message to exchange {message.exchange!r} with routing key"
                    f" {message.routing_key!r} ({len(message.body):,} bytes) was not"
                    f" confirmed: {reason} The broker answers otherwise. If the way to"
                    " it is slow, raise SIGNALBUS_RABBITMQ_TIMEOUT."
                ),
            )
        self._suspects.clear()

    def give_up(self, error: exceptions.DeliveryError) -> bool:
        """Take *error* for the reason that the unsettled messages failed.

        Return whether there was any.
        """
        ledger = self._ledger
        unsettled = [*self._suspects, *ledger.unsettled, *ledger.doubtful]
        for position in unsettled:
            ledger.fail(position, type(error)(str(error)))
        self._suspects.clear()
        return bool(unsettled)

    def _next(self, link: Link) -> list[int]:
        """Return the positions of what is to be published next."""
        unsettled = self._ledger.unsettled
        if not unsettled:
            return list(itertools.islice(self._ledger.doubtful, 1))
        if self._suspects:
            # Large messages may stand together: learn from one far off.
            return [next(reversed(unsettled))]
        if not link.is_proven:
            return [next(iter(unsettled))]
        return list(itertools.islice(unsettled, self._window))

    def _publish(
        self, link: Link, positions: t.Sequence[int], patience: Patience
    ) -> None:
        self._alone = positions[0] if len(positions) == 1 else None
        Round(self._ledger, link, patience).publish(positions)
        self._alone = None
        if link.is_proven:
            self.finish()

    def _find_refused(
        self,
        link: Link,
        positions: t.Sequence[int],
        patience: Patience,
        reason: ChannelClosedError,
    ) -> None:
        """Find which of the messages at *positions* the broker refused.

        It closes the channel at a message that it refuses, without saying which it was,
        and drops those behind it. So they go one at a time, until one is refused again.
        """
        self._alone = None  # the broker has answered for it
        if len(positions) == 1:
            self._ledger.refuse(positions[0], reason)
        link.open_channel(patience.deadline())
        if len(positions) == 1:
            return
        for position in positions:
            if position in self._ledger.unsettled:
                try:
                    self._publish(link, [position], patience)
                except ChannelClosedError as its_reason:
                    self._find_refused(link, [position], patience, its_reason)
                    return


def describe(
    failures: t.Mapping[int, Exception],
    count: int,
    error: exceptions.DeliveryError | None = None,
) -> str:
    """Say in a sentence or two what *failures* out of *count* messages are.

    :param error: what kept most of them from being confirmed, if it is one thing.
    """
    fact = f"{len(failures):,} of {count:,} messages were not confirmed"
    first = failures[min(failures)]
    if error is not None:
        told = f"{error} {fact}."
        return told if str(error) in str(first) else f"{told} The first: {first}"
    some = ", ".join(map(str, sorted(failures)[:MAX_NAMED]))
    more = ", …" if len(failures) > MAX_NAMED else ""
    return f"{fact} (at {some}{more}). The first: {first}"
