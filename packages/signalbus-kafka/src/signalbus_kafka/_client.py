"""The producer of one process, which serves all its threads."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

from confluent_kafka import KafkaError
from confluent_kafka import KafkaException
from confluent_kafka import Producer
from signalbus.exceptions import BrokerUnavailableError

from signalbus_kafka import _forks
from signalbus_kafka._errors import reason
from signalbus_kafka._idle import serve_idle
from signalbus_kafka._logs import DebugLogger
from signalbus_kafka._outlook import Outlook
from signalbus_kafka._settings import SETTING

if t.TYPE_CHECKING:
    from signalbus_kafka._settings import ClientSettings
    from signalbus_kafka._topics import ClusterMetadata

#: How long the producer is polled at once, in seconds. A poll handles the reports of
#: all threads, and does not return early when one thread has all that it needs.
SLICE: t.Final = 0.005

#: How long closing may take, in seconds: to get the last reports, and then for
#: librdkafka's threads to end. One of them may hang while it resolves a host name.
REPORT_PATIENCE: t.Final = 0.2
CLOSE_PATIENCE: t.Final = 0.5

#: How long a request for metadata may take, in seconds, and a request that only checks
#: whether there is a connection.
METADATA_PATIENCE: t.Final = 0.5
PROBE_PATIENCE: t.Final = 0.1

_NO_CONNECTION: t.Final = KafkaError._TRANSPORT  # noqa: SLF001 its public name


class Client:
    """A wrapper around a producer. Nothing else may use the producer.

    A thread that waits for a report polls the producer for all threads. Only one thread
    does so at a time.

    :raises BrokerUnavailableError: if librdkafka rejects the settings.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.outlook = Outlook()
        self._redact = settings.redact
        #: The producer, until the client is closed.
        self.producer: Producer | None = self._make(settings)
        self._changed = threading.Condition()
        self._is_served = False
        self._closing = threading.Lock()
        self._closed = threading.Event()
        _forks.remember(self)
        serve_idle(self, self._closed)

    @property
    def is_usable(self) -> bool:
        """Whether the client still accepts messages."""
        return self.producer is not None and self.outlook.fatal is None

    @property
    def problem(self) -> str | None:
        """The current error of the client, in a few words; ``None`` without one."""
        problem = self.outlook.problem
        return None if problem is None else self._redact(problem)

    def serve(self, seconds: float) -> None:
        """Handle reports, in this thread or another, for *seconds* at most.

        Messages that were produced are sent at once.
        """
        seconds = min(seconds, SLICE)
        with self._changed:
            if self._is_served:
                self._changed.wait(seconds)
                return
            self._is_served = True
        try:
            self._serve(seconds)
        finally:
            with self._changed:
                self._is_served = False
                self._changed.notify_all()

    def topics(self, topic: str | None, seconds: float) -> ClusterMetadata | None:
        """Return the metadata of *topic*, or of all topics; ``None`` if that fails.

        The producer caches it. Wait for *seconds* at most.
        """
        try:
            return self._metadata(topic, min(seconds, METADATA_PATIENCE))
        except KafkaException:
            return None

    def is_down(self, since: float) -> bool:
        """Return whether there is no connection, if the caller has waited *since* then.

        This takes a moment if the connection is probably lost.
        """
        if not self.outlook.is_dim(since):
            return False
        try:
            self._metadata(None, PROBE_PATIENCE)
        except KafkaException as error:
            if error.args[0].code() == _NO_CONNECTION:
                return True
        self.outlook.note_answer()  # or, if it is silent, that it is there at least
        return False

    def take_back(self) -> None:
        """Discard the unsent messages of all threads; each is reported as failed.

        Messages that were sent are still awaited. Only for a producer that has not sent
        anything yet: later messages are numbered, and must not leave a gap.
        """
        producer = self.producer
        if producer is not None:
            producer.purge(in_flight=False, blocking=False)

    def close(self) -> None:
        """Discard the messages of all threads, and close the connections.

        Nothing is sent after it has returned.
        """
        with self._closing:
            owned = [self.producer]
            self.producer = None
            self._closed.set()
            self._purge(owned[0])
            _end(owned)

    def _make(self, settings: ClientSettings) -> Producer:
        config = {**settings.config, "error_cb": self.outlook.note_error}
        try:
            return Producer(config, logger=DebugLogger(settings.redact))
        except KafkaException as error:
            text = reason(error.args[0])
        except (TypeError, ValueError) as error:
            text = str(error)
        # Not in the clauses: the causes may have the values.
        raise BrokerUnavailableError(
            f"{SETTING} cannot be used: {settings.redact(text)}. Correct it; until"
            " then, signals stay pending."
        )

    def _metadata(self, topic: str | None, seconds: float) -> ClusterMetadata:
        producer = self.producer
        if producer is None:
            raise KafkaException(KafkaError(_NO_CONNECTION))
        return producer.list_topics(topic, seconds)

    def _serve(self, seconds: float) -> None:
        producer = self.producer
        if producer is None:
            return
        try:
            if seconds > 0:
                producer.flush(seconds)
            else:
                producer.poll(0)
        except KafkaException as error:  # what is fatal is raised
            self.outlook.note_error(error.args[0])

    def _purge(self, producer: Producer | None) -> None:
        """Purge the messages, and handle the reports of that, for all threads."""
        if producer is None:
            return
        until = time.monotonic() + REPORT_PATIENCE
        producer.purge(blocking=False)
        while True:
            with contextlib.suppress(KafkaException):
                producer.poll(0.001)
            if not len(producer) or time.monotonic() > until:
                break
        with self._changed:
            self._changed.notify_all()


def _end(owned: list[Producer | None]) -> None:
    """Release the producer in *owned*, which ends its threads.

    If other threads are still using it, the last of them ends it.
    """
    thread = threading.Thread(target=owned.clear, daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter ends, and starts no threads
        owned.clear()
    else:
        thread.join(CLOSE_PATIENCE)
