"""The event loop of nats-py, in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import threading
import typing as t

from signalbus_nats._event_loop import new_event_loop
from signalbus_nats._logs import demote

#: How long ending the loop may take, in seconds.
END_TIMEOUT = 3.0

T = t.TypeVar("T")


class LoopClosedError(Exception):
    """The loop accepts no more work."""


class LoopThread:
    """An event loop that runs in a daemon thread, for the process that made it.

    While the interpreter exits, no threads can be started, but there may be signals to
    send. Then the loop runs in the threads that wait.
    """

    def __init__(self) -> None:
        self._loop = new_event_loop()
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._is_closed = False
        # The context of this thread has the app, which must not be kept.
        run = contextvars.Context().run
        self._thread = threading.Thread(
            target=run, args=(self._run,), name="signalbus-nats", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:
            self._has_thread = False
        else:
            self._has_thread = True

    def submit(
        self, coroutine: t.Coroutine[t.Any, t.Any, T]
    ) -> concurrent.futures.Future[T]:
        """Run *coroutine* in the loop. Cancelling the future cancels it.

        :raises LoopClosedError: after :meth:`close`.
        """
        with self._lock:
            if not self._is_closed:
                return self._start(coroutine)
        coroutine.close()
        raise LoopClosedError

    def wait(self, future: concurrent.futures.Future[t.Any], seconds: float) -> bool:
        """Wait up to *seconds* for *future*; return whether it is done."""
        if self._has_thread:
            concurrent.futures.wait([future], seconds)
        else:
            self._run_until_done(future, seconds)
        return future.done()

    def close(self, last: t.Coroutine[t.Any, t.Any, object]) -> None:
        """Run *last*, cancel everything else, and end the thread.

        May be called in any thread, even that of the loop, since garbage collection may
        call it. Callers that wait for a future get ``CancelledError``.
        """
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if was_closed:
            last.close()
            return
        self._start(self._end(last))
        if not self._has_thread:
            with self._turn:
                self._run()
        elif threading.current_thread() is not self._thread:
            self._thread.join(END_TIMEOUT)

    def _start(
        self, coroutine: t.Coroutine[t.Any, t.Any, T]
    ) -> concurrent.futures.Future[T]:
        """Run *coroutine*, in an empty context."""
        start = asyncio.run_coroutine_threadsafe
        return contextvars.Context().run(start, coroutine, self._loop)

    def _run(self) -> None:
        demote()
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _run_until_done(
        self, future: concurrent.futures.Future[t.Any], seconds: float
    ) -> None:
        demote()
        with self._turn:
            if not self._loop.is_closed():
                self._loop.run_until_complete(_done(future, seconds))

    async def _end(self, last: t.Coroutine[t.Any, t.Any, object]) -> None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(last, END_TIMEOUT / 2)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=END_TIMEOUT / 4)
        self._loop.stop()


async def _done(future: concurrent.futures.Future[t.Any], seconds: float) -> None:
    """Wait up to *seconds* for *future*."""
    await asyncio.wait([asyncio.wrap_future(future)], timeout=seconds)
