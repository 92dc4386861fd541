"""Wait for a call that cannot be interrupted, but no longer than a limit."""

from __future__ import annotations

import concurrent.futures
import contextvars
import threading
import typing as t

from signalbus.exceptions import BrokerTimeoutError

if t.TYPE_CHECKING:
    from signalbus._broker_limit import WaitLimit

T = t.TypeVar("T")


def call_in_thread(
    function: t.Callable[[], T],
    limit: WaitLimit,
    *,
    discard: t.Callable[[T], object] = lambda _: None,
) -> T:
    """Call *function* in a thread, and return its result within *limit*.

    What *function* raises is raised here. Client libraries may take any time to resolve
    names, connect and write, and cannot be interrupted. So *function* is called in a
    thread of its own, in a copy of the context: ``flask.current_app`` is the same. When
    the limit is reached, that thread is abandoned. It does not keep the process from
    exiting.

    :param discard: called in that thread with a result that comes too late. Let it
        close what *function* has opened.
    :raises BrokerTimeoutError: if the limit is reached.
    """
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    _start(future, function)
    try:
        _wait(future, limit)
    except BaseException:
        future.add_done_callback(lambda late: _discard(late, discard))
        raise
    return future.result()


def _start(future: concurrent.futures.Future[T], function: t.Callable[[], T]) -> None:
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001 it is raised where one waits
            future.set_exception(error)

    try:
        threading.Thread(target=run, name="signalbus-call", daemon=True).start()
    except RuntimeError:  # an interpreter that is about to end starts no threads
        run()


def _wait(future: concurrent.futures.Future[t.Any], limit: WaitLimit) -> None:
    while not concurrent.futures.wait([future], limit.nap()).done:
        if limit.is_over:
            raise BrokerTimeoutError


def _discard(
    future: concurrent.futures.Future[T], discard: t.Callable[[T], object]
) -> None:
    if future.exception() is None:
        discard(future.result())
