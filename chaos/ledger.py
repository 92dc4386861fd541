"""What arrived: read from the broker and from the file."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import typing as t

import pika

if t.TYPE_CHECKING:
    from pathlib import Path

#: Between two looks at a file, and two tries to reach a broker, in seconds.
INTERVAL = 0.05

#: How many messages a broker hands out before they are acknowledged.
PREFETCH = 20


@dataclasses.dataclass(frozen=True)
class Arrival:
    """A message that arrived.

    :ivar model: the name of the signal's model.
    :ivar number: the number of the signal.
    :ivar sent: when it was made, to be sent, in seconds since 1970. A sender that loses
        its connection may send it later, as it is, over another one.
    :ivar arrived: when it was read, likewise.
    """

    model: str
    number: str
    sent: float
    arrived: float


class Ledger:
    """All messages that arrived, in order. Readers add to it from their threads."""

    def __init__(self) -> None:
        self._arrivals: list[Arrival] = []
        self._known: set[str] = set()
        self._condition = threading.Condition()

    def add(self, model: str, body: str, *, is_redelivery: bool = False) -> None:
        """Add a message, unless the broker only hands out again what it has.

        A redelivery of a message that is not known is its first delivery.
        """
        number, sent = body.split()
        with self._condition:
            if not (is_redelivery and number in self._known):
                self._known.add(number)
                self._arrivals.append(Arrival(model, number, float(sent), time.time()))
                self._condition.notify_all()

    def arrivals(self) -> list[Arrival]:
        """Return what has arrived so far."""
        with self._condition:
            return list(self._arrivals)

    def wait(self, count: int, seconds: float) -> int:
        """Wait until there are more than *count*, or time is up; return how many."""
        with self._condition:
            self._condition.wait_for(lambda: len(self._arrivals) > count, seconds)
            return len(self._arrivals)


class Reader(t.Protocol):
    """Reads messages into a ledger until it is stopped."""

    def stop(self) -> None:
        """Read what there is, and end."""


class FileReader:
    """Follows the file to which senders write."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        path.touch()
        self._path = path
        self._ledger = ledger
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read the rest, and end."""
        self._is_stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with self._path.open(encoding="ascii") as file:
            rest = ""
            is_last = False
            while not is_last:
                is_last = self._is_stopping.wait(INTERVAL)
                *lines, rest = (rest + file.read()).split("\n")
                for line in lines:
                    self._ledger.add(*line.split(" ", 1))


class QueueReader:
    """Takes the messages of a queue, whatever happens to the broker meanwhile.

    :param pause: how long to wait after each message, in seconds.
    """

    def __init__(
        self, url: str, queue: str, ledger: Ledger, arguments: dict[str, t.Any]
    ) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.heartbeat = 2
        self._parameters.blocked_connection_timeout = 5
        self._parameters.socket_timeout = 2
        self._parameters.stack_timeout = 4
        self._queue = queue
        self._ledger = ledger
        self.pause = 0.0
        self._is_stopping = threading.Event()
        self._declare(arguments)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take what is left, and end."""
        self._is_stopping.set()
        self._thread.join()

    def _declare(self, arguments: dict[str, t.Any]) -> None:
        with pika.BlockingConnection(self._parameters) as connection:
            channel = connection.channel()
            channel.queue_declare(self._queue, durable=True, arguments=arguments)

    def _run(self) -> None:
        """Read until the queue is empty and there will be no more."""
        while True:
            with contextlib.suppress(pika.exceptions.AMQPError, OSError):
                if self._read():
                    return
            time.sleep(INTERVAL)

    def _read(self) -> bool:
        """Read over one connection; return whether this was the last message."""
        with pika.BlockingConnection(self._parameters) as connection:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=PREFETCH)
            messages = channel.consume(self._queue, inactivity_timeout=0.5)
            for method, properties, body in messages:
                if method is None:
                    if self._is_stopping.is_set():
                        return True
                    continue
                is_redelivery = method.redelivered
                self._ledger.add(
                    properties.type, body.decode(), is_redelivery=is_redelivery
                )
                channel.basic_ack(method.delivery_tag)
                if self.pause:
                    connection.sleep(self.pause)
        return False
