"""Failed signals. Imported only where `signalbus-retry` is installed."""

from __future__ import annotations

import dataclasses
import typing as t

import signalbus_retry
from signalbus.exceptions import hide_passwords
from signalbus.exceptions import without_values
from signalbus.rows import SignalRows
from signalbus_retry import reading

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel
    from signalbus_retry import Failure
    from signalbus_retry import FailureGroup
    from signalbus_retry.reading import FailureCounts
    from signalbus_retry.reading import FailurePage

#: How many signals a page has.
PAGE: t.Final = 50

#: Up to how many failed signals are grouped.
GROUPED: t.Final = 10_000

#: How many groups are shown.
GROUPS: t.Final = 20


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The failed signals of a model that a person has chosen.

    :param error: a text that their errors contain.
    :param state: ``"failing"``, ``"parked"``, or empty for both.
    """

    error: str = ""
    state: str = ""

    @property
    def parked(self) -> bool | None:
        """The state, as the functions of ``signalbus-retry`` take it."""
        return {"parked": True, "failing": False}.get(self.state)

    @property
    def conditions(self) -> dict[str, t.Any]:
        """The arguments for the functions of ``signalbus-retry``."""
        return {"error": self.error or None, "parked": self.parked}

    @property
    def query(self) -> dict[str, str]:
        """The query parameters of a URL for it."""
        pairs = {"error": self.error, "state": self.state}
        return {name: value for name, value in pairs.items() if value}


def count(bus: Bus, model: SignalModel, limit: int) -> FailureCounts:
    """Return how many signals of *model* have failed, up to *limit*."""
    return reading.count_failures(bus, model, limit=limit)


def count_chosen(
    bus: Bus, model: SignalModel, chosen: Chosen, limit: int
) -> FailureCounts:
    """Return how many are chosen, up to *limit*."""
    return reading.count_failures(bus, model, limit=limit, **chosen.conditions)


def page(bus: Bus, model: SignalModel, chosen: Chosen, number: int) -> FailurePage:
    """Return a page of those that are chosen; the first page is number 1."""
    offset = (number - 1) * PAGE
    return reading.failure_page(
        bus, model, offset=offset, count=PAGE, **chosen.conditions
    )


def groups(bus: Bus, model: SignalModel, chosen: Chosen) -> list[FailureGroup]:
    """Return the largest groups of those that are chosen."""
    found = reading.group_failures(bus, model, limit=GROUPED, **chosen.conditions)
    return found[:GROUPS]


def telling_part(group: FailureGroup) -> str:
    """Return the longest text that all errors of a group have in common.

    It contains no password, since it becomes a part of URLs.
    """
    whole = hide_passwords(f"{group.error_type}: {group.error_text}".partition("\n")[0])
    parts = without_values(whole.replace("***", "…")).split("…")
    parts = [part.strip() for part in parts]
    return max(parts, key=len, default="") or group.error_type


def find(bus: Bus, model: SignalModel, key: PrimaryKey) -> Failure | None:
    """Return what is known about one signal; ``None`` if it has not failed."""
    return reading.find_failure(bus, model, key)


def key_text(bus: Bus, model: SignalModel, key: PrimaryKey) -> str:
    """Return *key* in the form used in URLs."""
    return reading.key_text(bus, model, key)


def stored_key(bus: Bus, model: SignalModel, text: str) -> PrimaryKey:
    """Return the key in a URL, in the form that the database has, if it is there.

    :raises ValueError: if it is not a key of the model.
    """
    key = reading.parse_key(bus, model, text)
    rows = SignalRows(bus, model)
    with rows.look() as connection:
        return next(iter(rows.present(connection, [key])), key)


def replay(bus: Bus, model: SignalModel, **conditions: t.Any) -> int:
    """Let signals be sent by the next flush, and return how many."""
    return signalbus_retry.replay(bus, [model], **conditions)


def park(bus: Bus, model: SignalModel, key: PrimaryKey, reason: str) -> int:
    """Park a signal, and return 1 if it was still there."""
    return signalbus_retry.park(bus, model, [key], reason)


def discard(bus: Bus, model: SignalModel, **conditions: t.Any) -> int:
    """Delete failed signals without sending them, and return how many."""
    return signalbus_retry.discard(bus, [model], **conditions)
