"""The records of Kafka: topic, value, key and headers of a message."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import MessageRefusedError

from signalbus_kafka._headers import encodable
from signalbus_kafka._headers import kafka_headers
from signalbus_kafka._partition_key import key_reader
from signalbus_kafka._topics import complaint

if t.TYPE_CHECKING:
    from signalbus.messages import Message
    from signalbus.messages import MessageBatch

    from signalbus_kafka._headers import Headers
    from signalbus_kafka._partition_key import Key


#: A message in Kafka's terms: topic, value, key and headers.
Record: t.TypeAlias = "tuple[str, bytes, Key, Headers]"


class RecordFactory:
    """Makes the records of the messages of a batch."""

    def __init__(self, batch: MessageBatch) -> None:
        self._key = key_reader(batch)
        self._topics: set[str] = set()

    def record(self, message: Message) -> Record:
        """Return the record of *message*.

        :raises MessageRefusedError: if the name of its topic is invalid.
        :raises TypeError: if Kafka does not support the type of a header.
        """
        topic = message.attributes["signalbus_topic"]
        if topic not in self._topics:
            self._check(topic)
        key = self._key(message) if self._key is not None else None
        return topic, message.body, encodable(key), kafka_headers(message)

    def _check(self, topic: str) -> None:
        if problem := complaint(topic):
            raise MessageRefusedError(problem)
        self._topics.add(topic)
