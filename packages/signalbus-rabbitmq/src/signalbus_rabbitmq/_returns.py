"""Tell which message of a batch the broker returned: a return has no number."""

from __future__ import annotations

import collections
import itertools
import typing as t

from signalbus_rabbitmq.message import PERSISTENT
from signalbus_rabbitmq.message import Message
from signalbus_rabbitmq.message import MessageProperties


class Returns:
    """Find the messages that come back, by what is in them.

    Messages that are the same in exchange, routing key, properties and body share
    their fate, so it does no harm to take one for the other.
    """

    def __init__(self, published: t.Sequence[Message]) -> None:
        self._indexes: dict[t.Hashable, collections.deque[int]] = {}
        for index, message in enumerate(published):
            if message.mandatory:
                self._note(_identity(message), index)

    def match(self, returned: Message) -> t.Sequence[int]:
        """Return the index of the published message that *returned* is.

        Where nothing is equal to it, return all that it may be: better to send too
        many again than to lose one.
        """
        indexes = self._indexes.get(_identity(returned))
        return [indexes.popleft()] if indexes else self._rest()

    def _note(self, identity: t.Hashable, index: int) -> None:
        self._indexes.setdefault(identity, collections.deque()).append(index)

    def _rest(self) -> list[int]:
        return sorted(itertools.chain.from_iterable(self._indexes.values()))


def _identity(message: Message) -> t.Hashable:
    properties = b"".join(_canonical(message.properties or PERSISTENT).encode())
    return message.exchange, message.routing_key, properties, message.body


def _canonical(properties: MessageProperties) -> MessageProperties:
    """Return *properties* as they look when they come back from the wire."""
    decoded = MessageProperties()
    decoded.decode(b"".join(properties.encode()))
    return decoded
