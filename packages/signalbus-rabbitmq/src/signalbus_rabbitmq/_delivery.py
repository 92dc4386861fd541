"""Publish a batch and follow each of its messages to its end."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._link import ChannelClosedError
from signalbus_rabbitmq._returns import Returns

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._link import Link
    from signalbus_rabbitmq._link import ReturnedMessage
    from signalbus_rabbitmq.message import Message

#: How much is encoded before it is given to the socket, and how much may wait for the
#: socket before encoding stops, in bytes.
CHUNK = 32 * 1024
MOST_UNWRITTEN = 256 * 1024

_NOT_FOUND = 404
_ACCESS_REFUSED = 403


class Delivery:
    """The delivery of one batch, over one link or several in turn.

    :meth:`run` may be called again, with another link, when the first is lost; what is
    settled by then is not sent again.
    """

    def __init__(self, messages: t.Sequence[Message]) -> None:
        self.failures: dict[int, Exception] = {}
        self.unsettled = list(range(len(messages)))
        self._messages = messages

    def run(self, link: Link, deadline: float) -> None:
        """Publish what is unsettled and wait until all of it is settled.

        The broker closes the channel at a message it refuses, without saying which it
        was, and drops those behind it. Then the messages up to it go one at a time,
        and those behind it in batches that grow again.
        """
        window = len(self.unsettled)
        while self.unsettled:
            try:
                self._publish(link, self.unsettled[:window], deadline)
                window *= 2
            except ChannelClosedError:
                link.open_channel(deadline)
                self._find_refused(link, self.unsettled[:window], deadline)
                window = 1

    def give_up(self, error: exceptions.DeliveryError) -> None:
        """Take *error* for the reason that the unsettled messages failed."""
        for position in self.unsettled:
            self.failures[position] = type(error)(str(error))
        self.unsettled = []

    def _find_refused(
        self, link: Link, suspects: t.Iterable[int], deadline: float
    ) -> None:
        """Publish *suspects* one at a time, until one is refused."""
        for position in suspects:
            try:
                self._publish(link, [position], deadline)
            except ChannelClosedError as reason:
                self._refuse(position, reason)
                link.open_channel(deadline)
                return

    def _refuse(self, position: int, reason: ChannelClosedError) -> None:
        """Fail the message at *position*, and those that *reason* must hold for too."""
        refused = self._messages[position]
        for other in self.unsettled:
            message = self._messages[other]
            if (
                other == position
                or (reason.code == _NOT_FOUND and message.exchange == refused.exchange)
                or (reason.code == _ACCESS_REFUSED and message[:2] == refused[:2])
            ):
                self.failures[other] = exceptions.RefusedError(
                    f"RabbitMQ refused the message to exchange {message.exchange!r}:"
                    f" {reason}."
                )
        self._forget()

    def _publish(self, link: Link, positions: t.Sequence[int], deadline: float) -> None:
        """Publish the messages at *positions*, await their confirms, book them."""
        published: list[int] = []
        try:
            self._write(link, positions, published, deadline)
            while link.confirms.pending:
                link.advance(deadline)
        finally:
            self._settle(link, published)

    def _write(
        self,
        link: Link,
        positions: t.Iterable[int],
        published: list[int],
        deadline: float,
    ) -> None:
        """Encode and write, while confirms for what was written before come in."""
        encode = link.start_batch().encode
        frames: list[bytes] = []
        size = 0
        for position in positions:
            try:
                encoded = encode(self._messages[position])
            except Exception as error:  # noqa: BLE001 one never stops the others
                self.failures[position] = error
                continue
            published.append(position)
            frames.append(encoded)
            size += len(encoded)
            if size >= CHUNK:
                self._hand_over(link, frames, deadline)
                size = 0
        link.publish(frames)

    @staticmethod
    def _hand_over(link: Link, frames: list[bytes], deadline: float) -> None:
        """Give *frames* to the socket; stay while it, or the broker, takes no more."""
        link.publish(frames)
        frames.clear()
        link.advance(deadline)
        while (
            link.connection.blocked_because
            or link.connection.unwritten > MOST_UNWRITTEN
        ):
            link.advance(deadline)

    def _settle(self, link: Link, published: t.Sequence[int]) -> None:
        """Book what the broker said about the messages *published* over *link*."""
        # What waited to be handed over when something failed was not published.
        published = published[: len(link.confirms)]
        settled = set(published)
        settled.difference_update(
            published[index] for index in link.confirms.pending_indexes()
        )
        for index in link.confirms.nacked_indexes():
            self.failures[published[index]] = self._nacked(published[index])
        if link.returned:
            self._book_returns(link.returned, published)
        self._forget(settled)

    def _book_returns(
        self, came_back: t.Iterable[ReturnedMessage], published: t.Sequence[int]
    ) -> None:
        """Fail the messages that came back."""
        returns = Returns([self._messages[position] for position in published])
        for returned in came_back:
            for index in returns.match(returned.message):
                position = published[index]
                self.failures[position] = self._unroutable(position, returned.reason)

    def _forget(self, settled: t.Collection[int] = ()) -> None:
        """Take what is *settled*, or failed, from what is unsettled."""
        self.unsettled = [
            position
            for position in self.unsettled
            if position not in settled and position not in self.failures
        ]

    def _nacked(self, position: int) -> exceptions.NackedError:
        message = self._messages[position]
        return exceptions.NackedError(
            f"RabbitMQ could not take the message to exchange {message.exchange!r} with"
            f" routing key {message.routing_key!r}. Look into the broker's log."
        )

    def _unroutable(self, position: int, reason: str) -> exceptions.ReturnedError:
        message = self._messages[position]
        return exceptions.ReturnedError(
            f"No queue takes the message to exchange {message.exchange!r} with routing"
            f" key {message.routing_key!r}: {reason}. Bind a queue to the exchange."
        )


def describe(failures: t.Mapping[int, Exception], count: int) -> str:
    """Say in a sentence or two what *failures* out of *count* messages are."""
    some = ", ".join(map(str, sorted(failures)[:5]))
    more = ", …" if len(failures) > 5 else ""  # noqa: PLR2004 as many as are shown
    first = failures[min(failures)]
    return (
        f"{len(failures)} of {count} messages were not confirmed (at {some}{more})."
        f" The first: {first}"
    )
