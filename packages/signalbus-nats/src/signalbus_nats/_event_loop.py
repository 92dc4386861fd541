"""An event loop that tracks the parts of connections and resolves names in threads."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import socket
import threading
import typing as t
import weakref

from signalbus.logs import get_logger
from signalbus.stopping import Selector

logger = get_logger("signalbus.nats")


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop, which does not inherit the context of this thread."""
    # Not epoll: it would keep state in the kernel, which a fork shares.
    loop = contextvars.Context().run(_Loop, Selector())
    loop.set_exception_handler(_log_unhandled)
    return loop


class Parts:
    """The transports and tasks of a connection, so that all of them can be ended.

    nats-py closes a connection only when the server has received everything that was
    written, and leaves tasks behind if the connection is lost meanwhile.
    """

    def __init__(self) -> None:
        self._transports: list[asyncio.Transport] = []
        self._tasks: weakref.WeakSet[asyncio.Task[t.Any]] = weakref.WeakSet()

    @contextlib.contextmanager
    def recorded(self) -> t.Iterator[None]:
        """Record the parts that are made in this context, and what they make later."""
        token = _parts.set(self)
        try:
            yield
        finally:
            _parts.reset(token)

    def add(self, part: asyncio.Transport | asyncio.Task[t.Any]) -> None:
        """Record *part*."""
        if isinstance(part, asyncio.Task):
            self._tasks.add(part)
        else:
            self._transports.append(part)

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS is used."""
        return any(each.get_extra_info("ssl_object") for each in self._transports)

    def end(self) -> None:
        """End all parts at once."""
        for transport in self._transports:
            transport.abort()
        for task in list(self._tasks):
            task.cancel()


class _Loop(asyncio.SelectorEventLoop):
    """A loop that records the parts of connections, and resolves names in threads."""

    async def create_connection(self, *args: t.Any, **options: t.Any) -> t.Any:
        """Make a connection, and record it."""
        transport, protocol = await super().create_connection(*args, **options)
        _record(transport)
        return transport, protocol

    async def start_tls(self, *args: t.Any, **options: t.Any) -> t.Any:
        """Encrypt a connection, and record that."""
        transport = await super().start_tls(*args, **options)
        _record(transport)
        return transport

    def create_task(self, coro: t.Any, **options: t.Any) -> t.Any:
        """Make a task, and record it."""
        task = super().create_task(coro, **options)
        _record(task)
        return task

    async def getaddrinfo(self, *args: t.Any, **options: t.Any) -> t.Any:
        """Resolve a name in a daemon thread.

        The threads of an executor keep the interpreter from exiting, and cannot be
        started once it has begun to exit.
        """
        found = self.create_future()

        def resolve() -> None:
            try:
                answer = socket.getaddrinfo(*args, **options)
            except OSError as error:
                self._settle(found.set_exception, found, error)
            else:
                self._settle(found.set_result, found, answer)

        try:
            threading.Thread(target=resolve, daemon=True).start()
        except RuntimeError:  # the interpreter is ending: nobody else waits
            resolve()
        return await found

    def _settle(
        self, settle: t.Callable[[t.Any], object], found: t.Any, answer: object
    ) -> None:
        """Pass *answer* to the waiting callers, unless they have given up."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.call_soon_threadsafe(lambda: found.done() or settle(answer))


def _record(part: asyncio.Transport | asyncio.Task[t.Any] | None) -> None:
    """Record *part* if it belongs to a connection."""
    parts = _parts.get(None)
    if parts is not None and part is not None:
        parts.add(part)


def _log_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, t.Any]) -> None:
    """Log unhandled errors. asyncio would print them, even while a process exits."""
    logger.debug("%s", context.get("message"), exc_info=context.get("exception"))


_parts: contextvars.ContextVar[Parts] = contextvars.ContextVar("signalbus_nats.parts")
