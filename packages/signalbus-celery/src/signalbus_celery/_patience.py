"""Use a connection in a thread of its own, with a limit."""

from __future__ import annotations

import typing as t

from signalbus.brokers import call_in_thread
from signalbus.exceptions import BrokerTimeoutError

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit


class Connection(t.Protocol):
    """The connection that the thread uses."""

    def timed_out(self) -> BrokerTimeoutError:
        """Return the error that the broker is silent."""

    def interrupt(self) -> None:
        """Make the thread that uses it end soon, if possible. Do not wait."""

    def abort(self) -> None:
        """Close the connection, which is no longer in use. Do not wait."""


def run_within(
    limit: WaitLimit, run: t.Callable[[], object], connection: Connection
) -> None:
    """Call *run*, and raise what it raises; then *connection* is closed.

    :raises BrokerTimeoutError: if the limit is reached.
    """
    try:
        error = call_in_thread(
            lambda: _error_of(run), limit, discard=lambda _: connection.abort()
        )
    except BrokerTimeoutError:
        connection.interrupt()
        raise connection.timed_out() from None
    except BaseException:
        connection.interrupt()
        raise
    if error is not None:
        connection.abort()
        raise error


def _error_of(run: t.Callable[[], object]) -> BaseException | None:
    """Call *run*, and return what it raises. The connection must be closed then."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001 it is raised where one waits
        return error
    return None
