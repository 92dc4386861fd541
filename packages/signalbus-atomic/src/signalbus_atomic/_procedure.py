"""Run a procedure in an atomic block, and again if it loses a race."""

from __future__ import annotations

import inspect
import typing as t

from signalbus import stopping
from signalbus.retry import backoff

from signalbus_atomic import _guard
from signalbus_atomic._attempt import Attempt
from signalbus_atomic._attempt import current_attempt

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm

R = t.TypeVar("R")

#: The first and the longest wait between two attempts, in seconds.
FIRST_WAIT = 0.01
MAX_WAIT = 0.5


def run_atomic(session: sa_orm.Session, procedure: t.Callable[[], R], tries: int) -> R:
    """Run *procedure* in the atomic block that *session* is in, or in a new one."""
    outer = current_attempt(session)
    if outer:
        return outer.run_nested(procedure)
    _guard.listen_to_rollbacks(session)
    for wait in backoff(tries, FIRST_WAIT, MAX_WAIT):
        attempt = Attempt(session)
        try:
            return attempt.run(procedure)
        except Exception as error:
            if not attempt.may_be_repeated(error):
                raise
        if stopping.wait(wait):
            break
    return Attempt(session).run(procedure)


def check_procedure(function: object) -> None:
    """Refuse a function whose work is not done when it returns."""
    name = getattr(function, "__qualname__", repr(function))
    if not callable(function):
        raise TypeError(
            f"{name} is not a function. Put @db.atomic under @staticmethod,"
            " @classmethod or @property, not above them."
        )
    for kind, is_kind in LAZY_KINDS.items():
        if is_kind(function) or is_kind(type(function).__call__):
            raise TypeError(
                f"{name} is {kind}. Its code would run after the transaction has ended."
                " Make it an ordinary function."
            )


def check_tries(tries: int) -> int:
    """Return *tries*, or raise if it is not a positive integer."""
    if not isinstance(tries, int) or tries < 1:
        raise ValueError(f"The number of tries is {tries!r}. Pass a positive integer.")
    return tries


LAZY_KINDS: t.Final[dict[str, t.Callable[[t.Any], bool]]] = {
    "a generator function": inspect.isgeneratorfunction,
    "a coroutine function": inspect.iscoroutinefunction,
    "an asynchronous generator function": inspect.isasyncgenfunction,
}
