"""What the relay has sent, model by model."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    import datetime as dt

    from signalbus.typing import SignalModel


@dataclasses.dataclass
class ModelCounts:
    """What has become of the signals of one model."""

    sent: int = 0
    failed: int = 0
    last_error: str | None = None
    last_success: dt.datetime | None = None


class Counts:
    """A plugin that counts."""

    def of(self, model: SignalModel) -> ModelCounts:  # noqa: ARG002
        """Return the counts of *model*."""
        return ModelCounts()
