"""Entries of attempts that have begun, and their outcome.

Such an entry is written before the signal is sent. If the process ends meanwhile, the
entry remains as the record of the attempt.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import shlex
import typing as t

from signalbus.exceptions import escape_controls
from signalbus.logs import get_logger

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

logger = get_logger("signalbus.retry")

#: Marks an entry in place of the class of an error. No class can have this name.
BEING_SENT: t.Final = "being sent"

#: The class of the error of signals whose process has ended.
ENDED: t.Final = ProcessEndedError.__name__

#: How long others skip a signal whose attempt has begun. While it is being sent, its
#: row is locked anyway; this covers the moments before and after that.
LEASE: t.Final = dt.timedelta(seconds=60)


def text_of(by: str) -> str:
    """Return the text in the entries of attempts that *by* has begun."""
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

    The code that knows how that attempt ended counts it.
    """
    if not is_begun(failure):
        return failure
    return dataclasses.replace(failure, attempts=failure.attempts - 1)


def ended(failure: Failure, now: dt.datetime, policy: RetryPolicy) -> Failure:
    """Return the failure of a begun attempt whose process has ended.

    Attempts are recorded in advance only after an earlier process has ended. If the
    signal had no attempt before, that process may have ended because of it, which
    counts as an attempt, too.
    """
    before = failure if failure.attempts == 1 else without_attempt(failure)
    error = ProcessEndedError()
    record = recorded(failure.model, failure.key, error, now, before)
    return attempted(record, error, policy)


def log_ended(declaration: Declaration, failure: Failure) -> None:
    """Log the outcome of a signal whose process has ended, as a flush would."""
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
    name = escape_controls(declaration.model.__name__)
    key_text = escape_controls(plain)
    return shlex.join(["flask", "signalbus", "replay", name, "--key", key_text])
