"""Interpret the errors of Kafka."""

from __future__ import annotations

import enum
import re
import typing as t

from confluent_kafka import KafkaError


class Meaning(enum.Enum):
    """What an error means for its message."""

    #: The producer does not know what became of it, or did not send it.
    LOST = enum.auto()
    #: No broker accepts it at the moment.
    UNAVAILABLE = enum.auto()
    #: It took too long.
    TIMED_OUT = enum.auto()
    #: It is refused.
    REFUSED = enum.auto()
    #: It is refused, or another message in the same batch is.
    ANY_REFUSED = enum.auto()


_LOST: t.Final = (
    KafkaError._PURGE_QUEUE,  # noqa: SLF001 the public names of local errors
    KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
    KafkaError._FATAL,  # noqa: SLF001
    KafkaError._FENCED,  # noqa: SLF001
    KafkaError._GAPLESS_GUARANTEE,  # noqa: SLF001
    KafkaError._DESTROY,  # noqa: SLF001
    KafkaError.INVALID_PRODUCER_EPOCH,
    KafkaError.INVALID_PRODUCER_ID_MAPPING,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.UNKNOWN_PRODUCER_ID,
)
_UNAVAILABLE: t.Final = (
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError._CRIT_SYS_RESOURCE,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._SSL,  # noqa: SLF001
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.SASL_AUTHENTICATION_FAILED,
)
_TIMED_OUT: t.Final = (
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
    KafkaError.REQUEST_TIMED_OUT,
)
_NO_TOPIC: t.Final = (
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError.UNKNOWN_TOPIC_OR_PART,
)
_REFUSED: t.Final = (
    *_NO_TOPIC,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
)

_MEANINGS: t.Final[dict[int, Meaning]] = {
    **dict.fromkeys(_LOST, Meaning.LOST),
    **dict.fromkeys(_UNAVAILABLE, Meaning.UNAVAILABLE),
    **dict.fromkeys(_TIMED_OUT, Meaning.TIMED_OUT),
    **dict.fromkeys(_REFUSED, Meaning.REFUSED),
}

#: Errors of a topic that may have been fixed without the producer knowing it yet.
OF_TOPIC: t.Final = frozenset(_REFUSED)

_REMEDIES: t.Final[dict[int, str]] = {
    **dict.fromkeys(_NO_TOPIC, "Create the topic, or correct signalbus_topic."),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "Allow the user to write to the topic.",
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "Make it smaller, or raise max.message.bytes of the topic and message.max.bytes"
        " in SIGNALBUS_KAFKA."
    ),
}
_REMEDY: t.Final = "Correct the signal, or the topic."

#: Why librdkafka has no room for a message although its queue is empty.
TOO_LARGE_FOR_QUEUE: t.Final = (
    "The message is larger than the queue of librdkafka. Make it smaller, or raise"
    " queue.buffering.max.kbytes in SIGNALBUS_KAFKA."
)

#: What librdkafka adds to the text of a connection error.
_BROKER = re.compile(r"^\S+: |\s*\(after \d+ms in state .*$")


def meaning(error: KafkaError) -> Meaning:
    """Return what *error* means for its message."""
    return _MEANINGS.get(error.code(), Meaning.ANY_REFUSED)


def refusal(error: KafkaError, topic: str | None, size: int) -> str:
    """Return why a message of *size* bytes to *topic* is refused, and what to do."""
    remedy = _REMEDIES.get(error.code(), _REMEDY)
    return (
        f"Kafka refused the message of {size:,} bytes to the topic {topic!r}:"
        f" {reason(error)}. {remedy}"
    )


def reason(error: KafkaError) -> str:
    """Return the text of *error*, shortened."""
    text = _BROKER.sub("", error.str())
    for prefix in ("Unable to produce message: ", "Broker: ", "Local: "):
        text = text.removeprefix(prefix)
    return text.rstrip(".")
