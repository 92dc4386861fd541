"""The content of the pages as JSON."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import hide_passwords

from signalbus_dashboard._times import ago
from signalbus_dashboard._times import count_text
from signalbus_dashboard._times import span

if t.TYPE_CHECKING:
    import datetime as dt

    from signalbus_relay import SeenRelay
    from signalbus_retry import Failure
    from signalbus_retry import FailureGroup

    from signalbus_dashboard._overview import ModelState
    from signalbus_dashboard._overview import Overview
    from signalbus_dashboard._signal import SignalDetails

Document: t.TypeAlias = "dict[str, t.Any]"


def of_overview(overview: Overview) -> Document:
    """Return the overview. ``text`` is what the page shows for a value."""
    return {
        "headline": {
            "level": overview.headline.level,
            "text": overview.headline.text,
            "detail": overview.headline.detail,
        },
        "pending": _count(overview.pending, is_complete=overview.is_complete),
        "failing": overview.failing,
        "parked": overview.parked,
        "sent": overview.sent,
        "models": [of_model(state) for state in overview.models],
        "relays": None
        if overview.relays is None
        else [of_relay(relay) for relay in overview.relays],
        "notes": list(overview.notes),
    }


def of_model(state: ModelState) -> Document:
    """Return one line of the overview."""
    oldest = state.pending.oldest_at
    return {
        "name": state.name,
        "broker": state.broker,
        "pending": _count(state.pending.count, is_complete=state.pending.is_complete),
        "oldest_at": _time(oldest),
        "oldest": oldest and ago(oldest),
        "failing": state.failing,
        "parked": state.parked,
        "counts_all_failures": state.counts_all_failures,
        "holds_back": state.holds_back,
        "is_down": state.is_down,
        "error": state.error,
    }


def of_relay(relay: SeenRelay) -> Document:
    """Return what is known about a relay."""
    reports = relay.models.values()
    return {
        "id": relay.id,
        "host": relay.host,
        "process": relay.process,
        "started_at": _time(relay.started_at),
        "started": ago(relay.started_at),
        "heartbeat_at": _time(relay.heartbeat_at),
        "seen": f"{span(relay.silence)} ago",
        "is_alive": relay.is_alive,
        "sent": sum(each.sent for each in reports),
        "failed": sum(each.failed for each in reports),
        "models": {
            name: {
                "sent": each.sent,
                "failed": each.failed,
                "last_error": each.last_error and hide_passwords(each.last_error),
                "last_success": _time(each.last_success),
                "is_down": each.is_down,
            }
            for name, each in relay.models.items()
        },
    }


def of_failure(failure: Failure, key: str) -> Document:
    """Return what is known about a failed signal."""
    return {
        "key": hide_passwords(key),
        "state": "parked" if failure.is_parked else "failing",
        "attempts": failure.attempts,
        "first_failed_at": _time(failure.first_failed_at),
        "last_failed_at": _time(failure.last_failed_at),
        "next_attempt_at": _time(failure.next_attempt_at),
        "error_type": failure.error_type,
        "error_text": hide_passwords(failure.error_text),
    }


def of_group(group: FailureGroup) -> Document:
    """Return what failed signals have in common."""
    return {
        "error_type": group.error_type,
        "error_text": hide_passwords(group.error_text),
        "count": group.count,
        "failing": group.waiting,
        "parked": group.parked,
        "first_failed_at": _time(group.first_failed_at),
        "last_failed_at": _time(group.last_failed_at),
        "next_attempt_at": _time(group.next_attempt_at),
    }


def of_signal(details: SignalDetails) -> Document:
    """Return one signal, without the columns that its model hides."""
    failure = details.failure
    return {
        "model": details.name,
        "key": hide_passwords(details.key),
        "columns": dict(details.columns),
        "hidden": list(details.hidden),
        "failure": None if failure is None else of_failure(failure, details.key),
    }


def _count(number: int, *, is_complete: bool) -> Document:
    text = count_text(number, is_complete=is_complete)
    return {"count": number, "is_complete": is_complete, "text": text}


def _time(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()
