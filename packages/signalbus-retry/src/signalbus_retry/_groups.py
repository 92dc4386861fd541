"""Failed signals in groups: those of one model that failed for similar reasons."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import without_values

from signalbus_retry import _queries
from signalbus_retry._outbox import outboxes

if t.TYPE_CHECKING:
    from signalbus.typing import Bus

    from signalbus_retry._outbox import Keys
    from signalbus_retry._outbox import Models
    from signalbus_retry.failure import FailureGroup


def failure_groups(
    bus: Bus,
    models: Models = None,
    *,
    keys: Keys = None,
    error: str | None = None,
    parked: bool | None = None,
) -> list[FailureGroup]:
    """Return the failed signals in groups, the largest of each model first.

    Errors that differ only in numbers and quoted values are in the same group. The
    arguments and errors are those of :func:`failures`.
    """
    groups: list[FailureGroup] = []
    for outbox in outboxes(bus, models):
        outbox.sweep()
        groups += merge(outbox.ask(_queries.groups, outbox.choice(keys, error, parked)))
    return groups


def merge(groups: t.Iterable[FailureGroup]) -> list[FailureGroup]:
    """Return the groups of one model, with those merged whose errors are alike."""
    merged: dict[tuple[str, str], FailureGroup] = {}
    for group in groups:
        alike = (group.error_type, without_values(group.error_text))
        known = merged.get(alike)
        merged[alike] = known.merged(group) if known else group
    return sorted(merged.values(), key=lambda group: -group.count)
