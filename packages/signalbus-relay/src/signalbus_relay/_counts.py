"""Count what a relay has sent, and what failed, by model."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import time
import typing as t

from signalbus import hookimpl
from signalbus.exceptions import describe_error

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

#: How many characters of an error are kept. One row has the errors of many models.
_MAX_ERROR: t.Final = 200


@dataclasses.dataclass(frozen=True)
class ModelCounts:
    """What a relay has done with the signals of one model, since it began.

    A signal that fails counts each time it is tried. If a broker or a database is down,
    that is an error, but no signal counts as failed.
    """

    sent: int = 0
    failed: int = 0
    #: The last error, as one line. It is kept even if later signals were sent.
    last_error: str | None = None
    #: When something was sent last, in UTC, by the clock of this host.
    last_success: dt.datetime | None = None
    #: When a burst ended last, whatever became of it, by ``time.monotonic()``.
    last_burst: float | None = None

    def as_json(self) -> dict[str, t.Any]:
        """Return the counts as they appear in the relay's row and health report."""
        return {
            "sent": self.sent,
            "failed": self.failed,
            "last_error": self.last_error,
            "last_success": self.last_success and self.last_success.isoformat(),
        }


class Counts:
    """A plugin that counts. Register it with ``bus.plugin_manager``.

    Its methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[SignalModel, ModelCounts] = {}

    def of(self, model: SignalModel) -> ModelCounts:
        """Return the counts of *model*."""
        return self._counts.get(model, ModelCounts())

    @property
    def last_success(self) -> dt.datetime | None:
        """When something was sent last, of any model."""
        times = [each.last_success for each in list(self._counts.values())]
        return max((time for time in times if time), default=None)

    @hookimpl
    def signalbus_burst_sent(self, model: SignalModel, count: int) -> None:
        """Count the signals that were sent."""
        now = dt.datetime.now(dt.timezone.utc)
        with self._lock:
            before = self.of(model)
            self._set(model, sent=before.sent + count, last_success=now)

    @hookimpl
    def signalbus_burst_failed(
        self,
        model: SignalModel,
        error: BaseException,
        failed: t.Mapping[PrimaryKey, Exception],
    ) -> None:
        """Count the signals that could not be sent."""
        text = describe_error(error)[:_MAX_ERROR]
        with self._lock:
            before = self.of(model)
            self._set(model, failed=before.failed + len(failed), last_error=text)

    def _set(self, model: SignalModel, **changes: t.Any) -> None:
        counts = dataclasses.replace(self.of(model), **changes)
        self._counts[model] = dataclasses.replace(counts, last_burst=time.monotonic())
