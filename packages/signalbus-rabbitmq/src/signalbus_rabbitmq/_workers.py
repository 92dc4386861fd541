"""Threads that process deliveries, and the record of what became of each."""

from __future__ import annotations

import collections
import queue
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from signalbus_rabbitmq.message import MessageProperties


class Delivered(t.NamedTuple):
    """A message as the broker delivered it.

    :param consumer_tag: the consumer, of this channel, that it was delivered to.
    :param at: when it was delivered, by the monotonic clock.
    :param earlier: how many attempts at it failed before this delivery.
    :param attempts: how many attempts at it have failed, the earlier ones included.
    """

    tag: int
    body: bytes
    properties: MessageProperties
    consumer_tag: str
    at: float
    earlier: int = 0
    attempts: int = 0

    @property
    def name(self) -> str:
        """What the message is called in logs and errors."""
        message_id = self.properties.message_id
        return f"message {message_id!r}" if message_id else "a message without an id"


class Result(t.NamedTuple):
    """What became of a delivery.

    :param accepted: what the processing answered; ``None`` if there was no answer.
    :param error: what it raised instead. Without an error, it did not begin.
    """

    delivered: Delivered
    accepted: bool | None
    error: BaseException | None = None


class Workers:
    """A number of threads that take deliveries in the order they came.

    All methods are for the thread that made the workers. The threads themselves only
    process, leave a result, and call *notify*.

    :param process: processes a delivery; answers whether to accept it, or raises.
    :param notify: called from a worker when there is a result to be collected.
    :param is_stopping: while it answers true, nothing more is begun; nor is it after a
        :exc:`SystemExit` or its like.

    The threads are daemons: one that hangs does not keep the process alive.
    """

    def __init__(
        self,
        count: int,
        process: t.Callable[[Delivered], bool],
        notify: t.Callable[[], None],
        is_stopping: t.Callable[[], bool],
    ) -> None:
        self.unfinished = 0
        self._is_dismissed = False
        self._is_stopping = is_stopping
        self._process = process
        self._notify = notify
        self._waiting: queue.SimpleQueue[Delivered | None] = queue.SimpleQueue()
        self._results: collections.deque[Result] = collections.deque()
        self._threads = [
            threading.Thread(
                target=self._work, name=f"signalbus-consumer-{number}", daemon=True
            )
            for number in range(1, count + 1)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, delivered: Delivered) -> None:
        """Have *delivered* processed by the next free worker."""
        self.unfinished += 1
        self._waiting.put(delivered)

    def collect(self) -> t.Iterator[Result]:
        """Yield the results that there are."""
        while self._results:
            self.unfinished -= 1
            yield self._results.popleft()

    def discard_waiting(self) -> None:
        """Forget the deliveries that no worker has begun to process."""
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                return
            self.unfinished -= 1

    def dismiss(self) -> None:
        """Have the threads end by themselves, without waiting for them."""
        self.discard_waiting()
        self._is_dismissed = True
        for _ in self._threads:
            self._waiting.put(None)

    def join(self, limit: float | None = None) -> bool:
        """End the threads, when each has finished what it is at.

        Return whether all have ended; those that have not by *limit*, in seconds, end
        by themselves later.
        """
        self.dismiss()
        deadline = limit and time.monotonic() + limit
        for thread in self._threads:
            thread.join(deadline and max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (delivered := self._waiting.get()) is not None:
            self._results.append(self._result(delivered))
            self._notify()

    def _result(self, delivered: Delivered) -> Result:
        if self._is_dismissed or self._is_stopping():
            return Result(delivered, accepted=None)
        try:
            return Result(delivered, self._process(delivered))
        except Exception as error:  # noqa: BLE001 it is an attempt that failed
            return Result(delivered, accepted=None, error=error)
        except BaseException as error:  # noqa: BLE001 a worker must not just vanish
            self._is_dismissed = True
            return Result(delivered, accepted=None, error=error)
