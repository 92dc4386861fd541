"""What became of a burst, as its sender has answered."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a burst.

    :param failures: by position, why a signal failed.
    :param untried: the positions of signals that were not sent, through no fault of
        theirs: the broker was not there, or one before them failed.
    :param unavailable: why the broker cannot be reached, if it cannot.
    :param unknown: the error of a sender that did not say which signals got through.
    :param doubtful: the positions of those signals.
    """

    failures: t.Mapping[int, Exception] = dataclasses.field(default_factory=dict)
    untried: t.Collection[int] = ()
    unavailable: Exception | None = None
    unknown: Exception | None = None
    doubtful: t.Collection[int] = ()

    def confirmed(self, keys: t.Sequence[PrimaryKey]) -> t.Sequence[PrimaryKey]:
        """Return those of the burst's *keys* whose messages were confirmed."""
        if self is ALL_SENT:
            return keys
        left = {*self.failures, *self.untried, *self.doubtful}
        return [key for position, key in enumerate(keys) if position not in left]

    def failed(self, keys: t.Sequence[PrimaryKey]) -> dict[PrimaryKey, Exception]:
        """Return those of the burst's *keys* whose signals failed, and why."""
        if not self.failures:
            return {}
        return {keys[position]: error for position, error in self.failures.items()}


ALL_SENT = Outcome()
