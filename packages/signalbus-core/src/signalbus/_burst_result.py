"""What became of one burst, as its steps fill it in."""

from __future__ import annotations

import dataclasses
import typing as t

from signalbus._locked import NOTHING
from signalbus._locked import Burst

if t.TYPE_CHECKING:
    from signalbus._outcome import Outcome
    from signalbus.typing import PrimaryKey


@dataclasses.dataclass
class BurstResult:
    """What became of a burst."""

    #: The rows that were locked, and those of them whose signals were to be sent.
    locked: Burst = NOTHING
    burst: Burst = NOTHING

    #: The sender's answer. ``None`` if it was not called, or did not return.
    outcome: Outcome | None = None

    #: The values of the signals as they were given to the sender.
    values: t.Sequence[t.Any] = ()

    #: The keys of the signals that were confirmed.
    confirmed: t.Sequence[PrimaryKey] = ()

    #: What plugins answered when they settled the burst, in the order of their calls.
    answers: t.Sequence[object] = ()

    #: Those of the confirmed whose rows were not deleted, and why.
    undeleted: dict[PrimaryKey, Exception] = dataclasses.field(default_factory=dict)

    #: Whether the run of the model ends here: the database is in no state to go on.
    is_last: bool = False

    #: The time of the transaction, in seconds.
    seconds: float = 0.0

    def failed(self) -> dict[PrimaryKey, Exception]:
        """Return the keys of the signals that failed, and why."""
        return self.outcome.failed(self.burst.keys) if self.outcome else {}

    def doubtful(self) -> list[PrimaryKey]:
        """Return the keys of the signals of which the sender told nothing."""
        positions = self.outcome.doubtful if self.outcome else ()
        return [self.burst.keys[position] for position in sorted(positions)]

    def untimely(self) -> list[PrimaryKey]:
        """Return the keys of the signals for which the burst had no time."""
        if self.outcome is None or self.outcome.unavailable is not None:
            return []
        return [self.burst.keys[position] for position in self.outcome.untried]

    def left(self) -> list[PrimaryKey]:
        """Return the keys of the signals that stay pending."""
        gone = set(self.confirmed)
        return [key for key in self.burst.keys if key not in gone]
