"""Threads that process deliveries."""

from __future__ import annotations

import collections
import queue
import threading
import time
import typing as t

from signalbus_rabbitmq._failure_log import logger

if t.TYPE_CHECKING:
    import types

    from signalbus.stopping import StopToken

    from signalbus_rabbitmq.message import MessageProperties

#: How long workers may take to finish after an error, in seconds: before a warning is
#: logged, and after it.
QUIET_PERIOD = 0.5
GRACE_PERIOD = 3.0


class Delivery(t.NamedTuple):
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

    :param accepted: what the processing returned; ``None`` if it did not return.
    :param error: what it raised instead. Without an error, it did not begin.
    """

    delivery: Delivery
    accepted: bool | None
    error: BaseException | None = None


class Workers:
    """A number of threads that process deliveries in the order they came.

    All methods are for the thread that made the workers. It uses them as a context: on
    leaving it, the threads finish their messages. After an error they have a few
    seconds for that. After an interrupt they are left alone.

    This is not a ``ThreadPoolExecutor``: at its end, Python waits for the threads of
    every executor, so a thread that hangs would keep the process alive. These threads
    are daemons.

    :param process: processes a delivery; returns whether to accept it, or raises.
    :param notify: called in a worker when there is a result to be collected.
    :param token: once it is stopped, nothing more is begun; nor is it after a
        :exc:`SystemExit` or its like.
    """

    def __init__(
        self,
        count: int,
        process: t.Callable[[Delivery], bool],
        notify: t.Callable[[], None],
        token: StopToken,
    ) -> None:
        self.unfinished = 0
        self._is_dismissed = False
        self._process = process
        self._notify = notify
        self._token = token
        self._waiting: queue.SimpleQueue[Delivery | None] = queue.SimpleQueue()
        self._results: collections.deque[Result] = collections.deque()
        self._threads = [
            threading.Thread(
                target=self._work, name=f"signalbus-consumer-{number}", daemon=True
            )
            for number in range(1, count + 1)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Workers:  # noqa: PYI034 Self is not in Python 3.10
        """Return the workers."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        """End the threads, and wait for them."""
        self._dismiss()
        if error is None:
            self._join()
        elif isinstance(error, Exception) and not self._join(QUIET_PERIOD):
            logger.warning(
                "%s Some workers are still processing. They have %.0f seconds to"
                " finish. Their results are dropped, and their messages are delivered"
                " again.",
                error,
                GRACE_PERIOD,
            )
            self._join(GRACE_PERIOD)

    def submit(self, delivery: Delivery) -> None:
        """Have *delivery* processed by the next free worker."""
        self.unfinished += 1
        self._waiting.put(delivery)

    def collect(self) -> list[Result]:
        """Return the results that there are."""
        results = [self._results.popleft() for _ in range(len(self._results))]
        self.unfinished -= len(results)
        return results

    def discard_waiting(self) -> None:
        """Forget the deliveries that no worker has begun to process."""
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                return
            self.unfinished -= 1

    def _dismiss(self) -> None:
        """Let each thread end when it has finished its message."""
        self.discard_waiting()
        self._is_dismissed = True
        for _ in self._threads:
            self._waiting.put(None)

    def _join(self, timeout: float | None = None) -> bool:
        """Wait for the threads, up to *timeout* seconds; return whether all ended."""
        deadline = timeout and time.monotonic() + timeout
        for thread in self._threads:
            thread.join(deadline and max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (delivery := self._waiting.get()) is not None:
            self._results.append(self._result(delivery))
            self._notify()

    def _result(self, delivery: Delivery) -> Result:
        if self._is_dismissed or self._token.is_stopping:
            return Result(delivery, accepted=None)
        try:
            return Result(delivery, self._process(delivery))
        except Exception as error:  # noqa: BLE001 it is an attempt that failed
            return Result(delivery, accepted=None, error=error)
        except BaseException as error:  # noqa: BLE001 a worker must not just vanish
            self._is_dismissed = True
            return Result(delivery, accepted=None, error=error)
