"""Trying again: after which errors of a database, and after which waits."""

from __future__ import annotations

import functools
import random
import typing as t

import sqlalchemy.exc as sa_exc

from signalbus import stopping
from signalbus._markers import hookimpl
from signalbus._sql import errors
from signalbus._sql.errors import is_outage
from signalbus._sql.errors import is_race
from signalbus.exceptions import DBSerializationError
from signalbus.exceptions import SignalModelError
from signalbus.exceptions import describe_error
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus.typing import Bus

__all__ = [
    "backoff",
    "call_repeatedly",
    "is_outage",
    "is_race",
    "retry_on_deadlock",
]

logger = get_logger("signalbus")

P = t.ParamSpec("P")
R = t.TypeVar("R")


def backoff(tries: int, first: float = 0.05, longest: float = 5.0) -> t.Iterator[float]:
    """Yield the waits between *tries* tries, in seconds.

    Each is about twice the one before, from *first* up to *longest*, minus a random
    part of up to one half, so that those who collided do not collide again.
    """
    for number in range(tries - 1):
        yield min(longest, first * 2**number) * random.uniform(0.5, 1.0)  # noqa: S311 no secret


def call_repeatedly(
    function: t.Callable[[], R], tries: int, may_repeat: t.Callable[[Exception], bool]
) -> R:
    """Call *function*, and again after growing waits, up to *tries* times in all.

    An error for which *may_repeat* is false is raised at once; so is any error once the
    thread is told to stop. The last error is raised. The first one that is passed over
    is logged as a warning.

    :param function: what to call. It must leave nothing half done when it raises: it
        may be a whole transaction.
    :param may_repeat: returns whether an error passes, such as :func:`is_race`.
    """
    waits: t.Iterator[float] | None = None
    while True:
        try:
            return function()
        except Exception as error:
            is_first = waits is None
            waits = waits or backoff(tries)
            seconds = next(waits, None)
            if seconds is None or stopping.is_stopping() or not may_repeat(error):
                raise
            if is_first:
                logger.warning(
                    "Trying again after: %s",
                    describe_error(error),
                    extra={"signalbus_is_retry": True},
                )
            if stopping.wait(seconds):
                raise


def is_transient(bus: Bus, error: Exception) -> bool:
    """Return whether *error* is a passing one of the database: ask the plugins."""
    if not isinstance(error, sa_exc.SQLAlchemyError):
        return False
    hook = bus.plugin_manager.hook.signalbus_is_transient_error
    return hook(error=error) is True


def is_about_no_row(bus: Bus, error: Exception) -> bool:
    """Return whether *error* would meet any other row, too."""
    return (
        isinstance(error, SignalModelError)
        or is_transient(bus, error)
        or errors.is_permanent(error)
    )


@hookimpl(trylast=True)
def signalbus_is_transient_error(error: BaseException) -> bool | None:
    """Know the errors of PostgreSQL, MySQL, MariaDB and SQLite."""
    return True if errors.is_transient(error) else None


def retry_on_deadlock(
    session: t.Any, retries: int = 6, min_wait: float = 0.1, max_wait: float = 10.0
) -> t.Callable[[t.Callable[P, R]], t.Callable[P, R]]:
    """Return a decorator that calls a function again when it loses a race.

    When the function raises a serialization failure or a deadlock, *session* is rolled
    back and the function is called again after a growing, jittered wait. When all
    tries are used up, the last error is raised. Other errors are raised at once, and
    *session* is left as it is. A thread that is told to stop does not wait, and tries
    once more.

    :param session: the session, or scoped session, that the function works in.
    :param retries: how many times to try again, at most.
    :param min_wait: the first wait, in seconds.
    :param max_wait: the longest wait, in seconds.
    """

    def decorator(function: t.Callable[P, R]) -> t.Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            for wait in backoff(retries + 1, min_wait, max_wait):
                try:
                    return function(*args, **kwargs)
                except (sa_exc.DBAPIError, DBSerializationError) as error:
                    if not is_race(error):
                        raise
                    session.rollback()
                if stopping.wait(wait):
                    break
            return function(*args, **kwargs)

        return wrapper

    return decorator
