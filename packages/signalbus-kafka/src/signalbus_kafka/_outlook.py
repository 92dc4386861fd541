"""The state of the cluster, according to the recent reports of a producer."""

from __future__ import annotations

import time
import typing as t

from confluent_kafka import KafkaError

from signalbus_kafka._errors import reason

#: How many seconds all connections may be lost before the cluster is asked whether it
#: is there. A connection that has died is replaced sooner.
PATIENCE: t.Final = 1.0


class Outlook:
    """Whether the cluster can be reached, as far as a producer knows.

    librdkafka reports when the last connection is lost, but not when there is one
    again, and omits errors that equal the last one.

    Its methods may be called from several threads: librdkafka reports an error in the
    thread that polls the producer.
    """

    def __init__(self) -> None:
        #: Why the producer can no longer be used.
        self.fatal: KafkaError | None = None
        #: Whether the producer has sent messages.
        self.has_sent = False
        self._error: KafkaError | None = None
        self._answered = self._lost = float("-inf")

    def note_error(self, error: KafkaError) -> None:
        """Record an error that is not about a message."""
        if error.fatal():
            self.fatal = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 its public name
            self._lost = time.monotonic()
            self._error = self._error or error
        else:
            self._error = error

    def note_answer(self) -> None:
        """Record that the cluster has answered."""
        self._answered = time.monotonic()
        self._error = None

    def is_dim(self, since: float) -> bool:
        """Return whether to ask if there is a cluster, after waiting *since* then.

        The time is that of ``time.monotonic``.
        """
        is_lost = self._lost > self._answered
        return is_lost and time.monotonic() - max(since, self._lost) > PATIENCE

    @property
    def problem(self) -> str | None:
        """The current error of the producer, in a few words; ``None`` without one."""
        error = self.fatal or self._error
        return None if error is None else reason(error)
