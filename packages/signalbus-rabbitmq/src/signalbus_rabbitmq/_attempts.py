"""Remember how often messages failed here while they are back in their queue."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._workers import Delivery

#: How many messages are remembered; beyond that, the first are forgotten.
MAX_REMEMBERED = 10_000


class Attempts:
    """The attempts at messages that went back to their queue unsettled.

    A quorum queue counts how often a message came back to it, whether or not it was
    tried. A consumer knows better: a message that comes back because a connection was
    lost has no more attempts than before. Messages are recognised by their ids.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    def remember(self, delivery: Delivery) -> None:
        """Remember the attempts at a message that goes back to its queue."""
        message_id = delivery.properties.message_id
        if not message_id:
            return
        self._known.pop(message_id, None)
        self._known[message_id] = delivery.attempts, _returns(delivery) + 1
        if len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]

    def recall(self, delivery: Delivery, redelivered: bool) -> int:
        """Return how many attempts failed before a message was delivered.

        Attempts by other consumers, and by earlier processes, are those that the broker
        has counted.
        """
        returns = _returns(delivery)
        message_id = delivery.properties.message_id
        if redelivered and message_id in self._known:
            attempts, counted = self._known.pop(message_id)
            return attempts + max(0, returns - counted)
        return returns


def _returns(delivery: Delivery) -> int:
    """Return how often a message came back to its queue, if the queue counts it."""
    count = (delivery.properties.headers or {}).get("x-delivery-count")
    return count if isinstance(count, int) else 0
