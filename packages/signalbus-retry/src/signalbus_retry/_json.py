"""Failed signals, and the values of their columns, as JSON."""

from __future__ import annotations

import json
import typing as t

from signalbus_retry import _keys

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry.failure import Failure
    from signalbus_retry.failure import FailureGroup


def dumps(value: object) -> str:
    """Return *value* as one line of JSON; unsupported values are strings."""
    text = json.dumps(value, default=_keys.as_plain, ensure_ascii=False)
    if text.isprintable():
        return text
    # JSON leaves some characters as they are that steer a terminal.
    return "".join(
        each if each.isprintable() else json.dumps(each)[1:-1] for each in text
    )


def of_failure(failure: Failure) -> dict[str, t.Any]:
    """Return what is known about a failed signal."""
    return {
        "model": failure.model.__name__,
        "key": list(failure.key),
        "state": "parked" if failure.is_parked else "waiting",
        "attempts": failure.attempts,
        "first_failed_at": failure.first_failed_at,
        "last_failed_at": failure.last_failed_at,
        "next_attempt_at": failure.next_attempt_at,
        "error_type": failure.error_type,
        "error_text": failure.error_text,
    }


def of_signal(
    model: SignalModel, key: PrimaryKey, failure: Failure | None
) -> dict[str, t.Any]:
    """Return what is known about a signal, which need not have failed."""
    if failure is not None:
        return of_failure(failure)
    return {"model": model.__name__, "key": list(key), "state": "pending"}


def of_group(group: FailureGroup) -> dict[str, t.Any]:
    """Return what failed signals have in common."""
    return {
        "model": group.model.__name__,
        "error_type": group.error_type,
        "error_text": group.error_text,
        "count": group.count,
        "waiting": group.waiting,
        "parked": group.parked,
        "first_failed_at": group.first_failed_at,
        "last_failed_at": group.last_failed_at,
        "next_attempt_at": group.next_attempt_at,
    }
