"""Find out which message of a batch the broker returned: a return has no number."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq.message import PERSISTENT
from signalbus_rabbitmq.message import Message
from signalbus_rabbitmq.message import MessageProperties

#: A header that RabbitMQ takes away: it has addresses that recipients must not see.
_BLIND_COPIES = "BCC"


class Returns:
    """Find the messages that come back.

    A message is known by its message id, if no other message has the same. Otherwise it
    is known by what is in it: messages that are the same in exchange, routing key,
    properties and body share their fate, so it does no harm to take one for the other.

    :param start: the index of the first message that is added.
    """

    def __init__(self, start: int = 0) -> None:
        self.end = start
        self._messages: dict[int, Message] = {}
        self._by_id = _Groups(_id)
        self._by_identity = _Groups(_identity)
        self._by_content = _Groups(_content)
        self._by_address = _Groups(_address)

    def add(self, message: Message) -> None:
        """Add the message that was published next."""
        if message.mandatory:
            self._messages[self.end] = message
            for groups in self._groups():
                groups.add(self.end, message)
        self.end += 1

    def forget(self, indexes: t.Iterable[int]) -> None:
        """Forget the messages at *indexes*: they cannot come back any more."""
        for index in indexes:
            if self._messages.pop(index, None):
                for groups in self._groups():
                    groups.remove(index)

    def match(self, returned: Message) -> t.Sequence[int]:
        """Return the index of the published message that *returned* is.

        The broker may have changed something. Where nothing is equal to *returned*,
        return all that it may be, as few as possible.
        """
        namesakes = self._like(returned, self._by_id)
        if len(namesakes) == 1:
            return list(namesakes)
        equals = self._like(returned, self._by_identity)
        if equals:
            return [next(iter(equals))]
        return list(
            self._like(returned, self._by_content)
            or self._like(returned, self._by_address)
            or self._messages
        )

    def _groups(self) -> t.Iterator[_Groups]:
        """Yield the groups that were needed so far; most batches need the first."""
        every = (self._by_id, self._by_identity, self._by_content, self._by_address)
        return (groups for groups in every if groups.in_use)

    def _like(self, returned: Message, groups: _Groups) -> t.Collection[int]:
        if not groups.in_use:
            groups.in_use = True
            for index, message in self._messages.items():
                groups.add(index, message)
        return groups.like(returned)


class _Groups:
    """Messages that are alike in something, by their index, in order."""

    def __init__(self, key: t.Callable[[Message], t.Hashable]) -> None:
        self.in_use = False
        self._key = key
        self._keys: dict[int, t.Hashable] = {}
        self._groups: dict[t.Hashable, dict[int, None]] = {}

    def add(self, index: int, message: Message) -> None:
        key = self._keys[index] = self._key(message)
        self._groups.setdefault(key, {})[index] = None

    def remove(self, index: int) -> None:
        del self._groups[self._keys.pop(index)][index]

    def like(self, returned: Message) -> t.Collection[int]:
        """Return the indexes of the messages that are like *returned*."""
        key = self._key(returned)
        return () if key is None else self._groups.get(key, ())


def _id(message: Message) -> t.Hashable:
    message_id: str | None = (message.properties or PERSISTENT).message_id
    return message_id


def _address(message: Message) -> t.Hashable:
    return message.exchange, message.routing_key, _id(message)


def _content(message: Message) -> t.Hashable:
    return message.exchange, message.routing_key, _id(message), message.body


def _identity(message: Message) -> t.Hashable:
    """Return all of *message* as it looks when it comes back, or None if it cannot."""
    try:
        properties = b"".join(_canonical(message.properties or PERSISTENT).encode())
    except Exception:  # noqa: BLE001 the broker may add what pika cannot write
        return None
    return message.exchange, message.routing_key, properties, message.body


def _canonical(properties: MessageProperties) -> MessageProperties:
    """Return *properties* as they look when they come back from the wire."""
    decoded = MessageProperties()
    decoded.decode(b"".join(properties.encode()))
    headers = decoded.headers or {}
    kept = {name: headers[name] for name in sorted(headers) if name != _BLIND_COPIES}
    decoded.headers = kept or None
    return decoded
