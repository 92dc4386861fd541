"""Entries of attempts that have begun, and what becomes of them.

Such an entry is written before the signal is sent. If the process ends meanwhile, it is
what is left of the attempt.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import shlex
import typing as t

from signalbus.exceptions import escape_controls

from signalbus_retry._keys import as_json
from signalbus_retry._keys import as_plain
from signalbus_retry.exceptions import ProcessEndedError
from signalbus_retry.failure import Failure
from signalbus_retry.failure import attempted
from signalbus_retry.failure import recorded

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry.policy import RetryPolicy

logger = logging.getLogger("signalbus.retry")

#: What stands in place of the class of an error: not a name that a class can have.
BEING_SENT: t.Final = "being sent"

#: The class of the error of signals whose process has ended.
ENDED: t.Final = ProcessEndedError.__name__

#: How long others leave a signal alone whose attempt has begun. While it is being sent,
#: its row is locked anyway: this is for the moments before and after that.
LEASE: t.Final = dt.timedelta(seconds=60)


def text_of(by: str) -> str:
    """Return what the entries of attempts say that *by* has begun."""
    return f"by the relay {by}"


def begun(
    model: SignalModel,
    key: PrimaryKey,
    by: str,
    now: dt.datetime,
    before: Failure | None,
) -> Failure:
    """Return the entry of a signal that *by* is about to send.

    :param before: what was known of it.
    """
    return Failure(
        model=model,
        key=key,
        attempts=(before.attempts if before else 0) + 1,
        first_failed_at=before.first_failed_at if before else now,
        last_failed_at=now,
        next_attempt_at=now + LEASE,
        error_type=BEING_SENT,
        error_text=text_of(by),
    )


def is_begun(failure: Failure) -> bool:
    """Return whether *failure* is that of an attempt that has begun."""
    return failure.error_type == BEING_SENT


def without_attempt(failure: Failure) -> Failure:
    """Return *failure* without the attempt that has begun, if one has.

    Whoever knows how that attempt ended counts it.
    """
    if not is_begun(failure):
        return failure
    return dataclasses.replace(failure, attempts=failure.attempts - 1)


def ended(failure: Failure, now: dt.datetime, policy: RetryPolicy) -> Failure:
    """Return what becomes of a begun attempt whose process has ended.

    Attempts are written down before they are made only after a process has ended. If
    the signal had no attempt before, that process may have ended because of it: this
    counts, too.
    """
    before = failure if failure.attempts == 1 else without_attempt(failure)
    error = ProcessEndedError()
    record = recorded(failure.model, failure.key, error, now, before)
    return attempted(record, error, policy)


def log_ended(declaration: Declaration, failure: Failure) -> None:
    """Log what became of a signal whose process has ended, as a flush would."""
    name = escape_controls(declaration.describe(failure.key))
    if failure.next_attempt_at is None:
        fact = "%s was not sent and is parked: %s To have it sent, run `%s`."
        logger.error(fact, name, failure.error, _replay(declaration, failure.key))
    else:
        time = f"{failure.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"
        fact = "%s was not sent and waits, next attempt at %s: %s"
        logger.error(fact, name, time, failure.error)


def _replay(declaration: Declaration, key: PrimaryKey) -> str:
    """Return the command that lets a signal be sent again."""
    plain = str(as_plain(key[0])) if len(key) == 1 else as_json(declaration, key)
    name = declaration.model.__name__
    return f"flask signalbus replay {name} --key {shlex.quote(escape_controls(plain))}"
