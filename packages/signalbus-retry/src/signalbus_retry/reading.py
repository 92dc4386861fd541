"""Read failed signals in bounded time, for programs that poll.

Nothing is locked and nothing is deleted, so signals that were deleted since the last
flush may be counted. All functions must be called in an app context, and raise
:exc:`~signalbus.MissingTableError` if the table ``signalbus_failure`` is missing.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from signalbus_retry import _keys
from signalbus_retry import _queries
from signalbus_retry._choice import Choice
from signalbus_retry._groups import merge
from signalbus_retry._outbox import outboxes

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry.failure import Failure
    from signalbus_retry.failure import FailureGroup

__all__ = [
    "FailureCounts",
    "FailurePage",
    "count_failures",
    "failure_page",
    "find_failure",
    "group_failures",
    "key_text",
    "parse_key",
]

#: How many entries of one model are read by default.
LIMIT: t.Final = 10_000


@dataclasses.dataclass(frozen=True)
class FailureCounts:
    """How many signals of one model wait, and how many are parked.

    :param is_complete: whether all were counted. Otherwise, there may be more.
    """

    waiting: int
    parked: int
    is_complete: bool

    @property
    def total(self) -> int:
        """How many signals there are in both states."""
        return self.waiting + self.parked


@dataclasses.dataclass(frozen=True)
class FailurePage:
    """Some failed signals of one model, in the order of their keys.

    :param has_more: whether others follow.
    """

    failures: t.Sequence[Failure]
    has_more: bool


def count_failures(
    bus: Bus,
    model: SignalModel,
    *,
    error: str | None = None,
    parked: bool | None = None,
    limit: int = LIMIT,
) -> FailureCounts:
    """Return how many signals of *model* have failed, counted up to *limit*.

    :param error: a text that the class or the message of the last error must contain.
    :param parked: whether to count the parked or the waiting signals; by default, both.
    """
    (outbox,) = outboxes(bus, [model])
    choice = Choice(None, error, parked)
    with outbox.look() as connection:
        waiting, total = _queries.count_some(outbox.entries, connection, choice, limit)
    return FailureCounts(waiting, total - waiting, is_complete=total < limit)


def failure_page(  # noqa: PLR0913 by name
    bus: Bus,
    model: SignalModel,
    *,
    error: str | None = None,
    parked: bool | None = None,
    offset: int = 0,
    count: int = 50,
) -> FailurePage:
    """Return *count* failed signals of *model* after the first *offset*.

    Those that were deleted meanwhile are left out. The other arguments are those of
    :func:`count_failures`.
    """
    (outbox,) = outboxes(bus, [model])
    choice = Choice(None, error, parked)
    with outbox.look() as connection:
        found = list(
            _queries.find(outbox.entries, connection, choice, offset, count + 1)
        )
        shown = found[:count]
        keys = [failure.key for failure in shown]
        present = {
            outbox.entries.identify(key)
            for key in outbox.rows.present(connection, keys)
        }
    failures = [
        failure for failure in shown if outbox.entries.identify(failure.key) in present
    ]
    return FailurePage(failures, has_more=len(found) > count)


def group_failures(
    bus: Bus,
    model: SignalModel,
    *,
    error: str | None = None,
    parked: bool | None = None,
    limit: int = LIMIT,
) -> list[FailureGroup]:
    """Return up to *limit* failed signals of *model* in groups, the largest first.

    Errors that differ only in numbers and quoted values are in the same group. Only the
    beginning of each text is compared and kept. If there are more than 1,000 different
    texts, only the most frequent are grouped, and the other signals are left out. The
    other arguments are those of :func:`count_failures`.
    """
    (outbox,) = outboxes(bus, [model])
    choice = Choice(None, error, parked)
    with outbox.look() as connection:
        return merge(_queries.groups(outbox.entries, connection, choice, limit))


def find_failure(bus: Bus, model: SignalModel, key: PrimaryKey) -> Failure | None:
    """Return what is known about one signal; ``None`` if it has not failed."""
    (outbox,) = outboxes(bus, [model])
    (checked,) = outbox.checked([key])
    with outbox.look() as connection:
        return outbox.entries.read(connection, [checked]).get(checked)


def key_text(bus: Bus, model: SignalModel, key: PrimaryKey) -> str:
    """Return *key* as text that people can type and :func:`parse_key` can read.

    That is the value, or a JSON array if the key has several columns.
    """
    text = _keys.as_json(bus.declaration(model), key)
    if len(key) > 1:
        return text
    (value,) = json.loads(text)
    return value if isinstance(value, str) else json.dumps(value)


def parse_key(bus: Bus, model: SignalModel, text: str) -> PrimaryKey:
    """Return the primary key of *model* that *text* represents.

    :raises ValueError: if it is not a key of the model.
    """
    return _keys.parse(bus.declaration(model), text)
