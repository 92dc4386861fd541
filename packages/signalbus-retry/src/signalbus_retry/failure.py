"""What is known about a failed signal, and how its next failure changes that."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import sqlalchemy.exc as sa_exc
from signalbus.exceptions import describe_error
from signalbus.exceptions import hide_passwords

from signalbus_retry.exceptions import Park
from signalbus_retry.exceptions import RetryLater
from signalbus_retry.exceptions import is_delay

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry.policy import RetryPolicy

__all__ = ["Failure", "FailureGroup"]

#: How much of an error is kept, in characters.
MAX_TYPE: t.Final = 255
MAX_TEXT: t.Final = 10_000

#: How many causes of an error are kept with it.
_MAX_CAUSES: t.Final = 5


@dataclasses.dataclass(frozen=True)
class Failure:
    """A signal that has failed: it waits for its next attempt, or is parked.

    All times are in UTC, by the clock of the database.
    """

    #: The signal model.
    model: SignalModel

    #: The primary key of the signal.
    key: PrimaryKey

    #: How often it was tried. 0 if it was parked or postponed before it failed.
    attempts: int

    #: When it failed for the first time, and for the last time.
    first_failed_at: dt.datetime
    last_failed_at: dt.datetime

    #: When it will be tried again, by the first flush from then on. ``None`` if it is
    #: parked.
    next_attempt_at: dt.datetime | None

    #: The class of the last error, and its text.
    error_type: str
    error_text: str

    @property
    def is_parked(self) -> bool:
        """Whether the signal is not tried again until a person replays it."""
        return self.next_attempt_at is None

    @property
    def error(self) -> str:
        """The class and the text of the last error, in one string."""
        return f"{self.error_type}: {self.error_text}".removesuffix(": ")


@dataclasses.dataclass(frozen=True)
class FailureGroup:
    """Failed signals of one model whose last errors are alike.

    :param error_text: the text of one of the errors.
    :param next_attempt_at: when the first of the waiting signals is tried again.
    """

    model: SignalModel
    error_type: str
    error_text: str
    waiting: int
    parked: int
    first_failed_at: dt.datetime
    last_failed_at: dt.datetime
    next_attempt_at: dt.datetime | None

    @property
    def count(self) -> int:
        """How many signals there are."""
        return self.waiting + self.parked

    def merged(self, other: FailureGroup) -> FailureGroup:
        """Return this group together with *other*."""
        times = (self.next_attempt_at, other.next_attempt_at)
        return dataclasses.replace(
            self,
            waiting=self.waiting + other.waiting,
            parked=self.parked + other.parked,
            first_failed_at=min(self.first_failed_at, other.first_failed_at),
            last_failed_at=max(self.last_failed_at, other.last_failed_at),
            next_attempt_at=min((time for time in times if time), default=None),
        )


def recorded(
    model: SignalModel,
    key: PrimaryKey,
    error: BaseException,
    now: dt.datetime,
    before: Failure | None,
) -> Failure:
    """Return the failure of a signal that is parked because of *error*.

    :param before: what was known of it.
    """
    return Failure(
        model=model,
        key=key,
        attempts=before.attempts if before else 0,
        first_failed_at=before.first_failed_at if before else now,
        last_failed_at=now,
        next_attempt_at=None,
        error_type=type(error).__name__[:MAX_TYPE],
        error_text=_text(error),
    )


def attempted(failure: Failure, error: BaseException, policy: RetryPolicy) -> Failure:
    """Return *failure* after one more attempt: waiting or parked, as *policy* says."""
    wait = _asked_wait(error)
    attempts = failure.attempts if wait is not None else failure.attempts + 1
    seconds = _seconds_to_wait(error, attempts, policy) if wait is None else wait
    next_attempt_at = failure.last_failed_at + dt.timedelta(seconds=seconds or 0)
    return dataclasses.replace(
        failure,
        attempts=attempts,
        next_attempt_at=None if seconds is None else next_attempt_at,
    )


def _asked_wait(error: BaseException) -> float | None:
    """Return how long the sender has asked to wait, if it did.

    A subclass of :exc:`RetryLater` may not have set it.
    """
    seconds = getattr(error, "seconds", None) if isinstance(error, RetryLater) else None
    return seconds if is_delay(seconds) else None


def _seconds_to_wait(
    error: BaseException, attempts: int, policy: RetryPolicy
) -> float | None:
    """Return how long the signal waits, or ``None`` if it is parked."""
    if isinstance(error, (Park, *policy.park_on)) or attempts >= policy.max_attempts:
        return None
    return policy.delay(attempts)


def _text(error: BaseException) -> str:
    """Return the text of *error* and its causes, in a form that any database can store.

    Passwords are hidden before the text is cut, since that may leave half a URL.
    """
    parts = [_message(error)]
    cause = error.__cause__
    while cause is not None and len(parts) <= _MAX_CAUSES:
        parts.append(f"caused by {type(cause).__name__}: {_message(cause)}")
        cause = cause.__cause__
    text = hide_passwords("\n".join(parts)).replace("\0", "\\0")
    return text.encode(errors="backslashreplace").decode()[:MAX_TEXT]


def _message(error: BaseException) -> str:
    """Return the text of *error*, without the parameters of database errors."""
    if isinstance(error, sa_exc.StatementError):
        return describe_error(error)
    try:
        return str(error).strip()
    except Exception:  # noqa: BLE001 a sender's error may fail to say anything
        return ""
