"""Threads that process deliveries, and the record of what became of each."""

from __future__ import annotations

import collections
import queue
import threading
import typing as t

if t.TYPE_CHECKING:
    from signalbus_rabbitmq.message import MessageProperties


class Delivered(t.NamedTuple):
    """A message as the broker delivered it."""

    tag: int
    body: bytes
    properties: MessageProperties


class Result(t.NamedTuple):
    """What became of a delivery.

    :param accepted: what the processing answered; ``None`` if there was no answer.
    :param error: what it raised instead. Without an error, it did not begin.
    """

    tag: int
    accepted: bool | None
    error: BaseException | None = None


class Workers:
    """A number of threads that take deliveries in the order they came.

    All methods are for the thread that made the workers. The threads themselves only
    process, leave a result, and call *notify*.

    :param process: processes a delivery; answers whether to accept it, or raises.
    :param notify: called from a worker when there is a result to be collected.
    :param is_stopping: while it answers true, nothing more is begun; nor is it after an
        error.
    """

    def __init__(
        self,
        count: int,
        process: t.Callable[[Delivered], bool],
        notify: t.Callable[[], None],
        is_stopping: t.Callable[[], bool],
    ) -> None:
        self.unfinished = 0
        self._has_failed = False
        self._is_stopping = is_stopping
        self._process = process
        self._notify = notify
        self._waiting: queue.SimpleQueue[Delivered | None] = queue.SimpleQueue()
        self._results: collections.deque[Result] = collections.deque()
        self._threads = [
            threading.Thread(target=self._work, name=f"signalbus-consumer-{number}")
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

    def join(self) -> None:
        """End the threads, when each has finished what it is at."""
        self.discard_waiting()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (delivered := self._waiting.get()) is not None:
            self._results.append(self._result(delivered))
            self._notify()

    def _result(self, delivered: Delivered) -> Result:
        if self._has_failed or self._is_stopping():
            return Result(delivered.tag, accepted=None)
        try:
            return Result(delivered.tag, self._process(delivered))
        except BaseException as error:  # noqa: BLE001 a worker must not just vanish
            self._has_failed = True
            return Result(delivered.tag, accepted=None, error=error)
