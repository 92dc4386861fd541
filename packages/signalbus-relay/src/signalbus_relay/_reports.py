"""The reports of a relay: each failure at first, now and then, and when it is over.

Everything goes to the logger ``signalbus.relay``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
import typing as t

from signalbus.breakers import sender_name
from signalbus.exceptions import describe_error
from signalbus.failure_tracker import REMINDER_INTERVAL
from signalbus.failure_tracker import FailureTracker
from signalbus.failure_tracker import Reason
from signalbus.failure_tracker import reasons_of
from signalbus.logs import get_logger
from signalbus.retry import is_outage

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import SignalModel

logger = get_logger("signalbus.relay")

#: What is down as a whole: a database, by its bind key, or a broker, by its name.
Whole: t.TypeAlias = tuple[t.Literal["database", "broker"], str | None]


@dataclasses.dataclass
class Outage:
    """A database or a broker that is down."""

    since: float
    reported_at: float


class Reports:
    """The failures of all lanes. Its methods may be called by any thread.

    :param clock: returns the time in seconds.
    """

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._trackers: dict[SignalModel, FailureTracker] = {}
        self._outages: dict[Whole, Outage] = {}

    def failed(self, declaration: Declaration, error: BaseException) -> None:
        """Report why a model's signals were not sent, unless that is known."""
        with self._lock:
            if is_outage(error):
                self._down(
                    ("database", declaration.bind_key),
                    f"{_database(declaration)} is unavailable, its signals stay"
                    f" pending: {describe_error(error)}",
                )
            else:
                self._add(declaration, _reasons(declaration, error))

    def succeeded(self, declaration: Declaration) -> None:
        """Report that the model works again, if it had failed."""
        self.reached(declaration)
        with self._lock:
            runs = self._tracker(declaration).recover()
        if runs:
            what = "1 failed run" if runs == 1 else f"{runs:,} failed runs"
            name = declaration.model.__name__
            logger.warning("%s recovered after %s.", name, what)

    def broker_up(self, broker: str) -> None:
        """Forget that *broker* was down. The log of the bus says that it is back."""
        with self._lock:
            self._outages.pop(("broker", broker), None)

    def reached(self, declaration: Declaration) -> None:
        """Report that the database of a model is back, if it was down."""
        with self._lock:
            outage = self._outages.pop(("database", declaration.bind_key), None)
        if outage:
            seconds = self._clock() - outage.since
            database = _database(declaration)
            logger.warning("%s is back after %.1f seconds.", database, seconds)

    def longest_outage(self) -> float:
        """Return how many seconds the longest outage of a database has lasted."""
        with self._lock:
            times = [each.since for key, each in self._outages.items() if _is_db(key)]
        return max((self._clock() - since for since in times), default=0.0)

    @contextlib.contextmanager
    def instead_of_the_core(self, is_ours: t.Callable[[], bool]) -> t.Iterator[None]:
        """Keep out of the log what these reports repeat, or what recurs all the time.

        :param is_ours: returns whether this thread is one of the relay's.
        """
        core = logging.getLogger("signalbus")
        repeated = _Repeated(self._clock, is_ours)
        core.addFilter(repeated)
        try:
            yield
        finally:
            core.removeFilter(repeated)

    def _add(self, declaration: Declaration, reasons: t.Sequence[Reason]) -> None:
        for reason in reasons:
            if reason.about == "broker":
                self._down(("broker", sender_name(declaration.sender)), reason.line)
            elif reason.about == "database":
                self._down(("database", declaration.bind_key), reason.line)
        own = [reason for reason in reasons if reason.about == "signals"]
        if own:
            for line in self._tracker(declaration).add(own):
                logger.error("%s", line)

    def _down(self, key: Whole, line: str) -> None:
        now = self._clock()
        outage = self._outages.get(key)
        if outage is None:
            self._outages[key] = Outage(now, now)
            logger.error("%s", line)
        elif now - outage.reported_at >= REMINDER_INTERVAL:
            outage.reported_at = now
            minutes = (now - outage.since) / 60
            logger.error("%s (for %.0f minutes)", line, minutes)

    def _tracker(self, declaration: Declaration) -> FailureTracker:
        model = declaration.model
        if model not in self._trackers:
            self._trackers[model] = FailureTracker(self._clock)
        return self._trackers[model]


class _Repeated(logging.Filter):
    """Drops what the core logs in the relay's threads and the relay reports itself.

    That a transaction is tried again is logged once for all lanes, too.
    """

    def __init__(
        self, clock: t.Callable[[], float], is_ours: t.Callable[[], bool]
    ) -> None:
        super().__init__()
        self._clock = clock
        self._is_ours = is_ours
        self._logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether *record* is logged."""
        if not self._is_ours():
            return True
        if getattr(record, "signalbus_is_reported", False):
            return False
        return not getattr(record, "signalbus_is_retry", False) or self._is_new(
            record.getMessage()
        )

    def _is_new(self, text: str) -> bool:
        now = self._clock()
        before = self._logged.get(text)
        is_new = before is None or now - before >= REMINDER_INTERVAL
        if is_new:
            self._logged = {
                each: at
                for each, at in self._logged.items()
                if now - at < REMINDER_INTERVAL
            }
            self._logged[text] = now
        return is_new


def _reasons(declaration: Declaration, error: BaseException) -> list[Reason]:
    """Return why a model's signals were not sent, in the words of a flush.

    An error of a look has no notes that say so.
    """
    reasons = reasons_of(error)
    text = describe_error(error)
    if reasons == [Reason(text)]:
        name = declaration.model.__name__
        return [Reason(f"The signals of {name} stay pending: {text}")]
    return reasons


def _database(declaration: Declaration) -> str:
    bind_key = declaration.bind_key
    return "The database" if bind_key is None else f"The database {bind_key!r}"


def _is_db(key: Whole) -> bool:
    return key[0] == "database"
