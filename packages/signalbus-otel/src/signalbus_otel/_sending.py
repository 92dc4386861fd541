"""Measure and trace the sending of a burst."""

from __future__ import annotations

import collections
import datetime as dt
import time
import typing as t

from signalbus import PartialDeliveryError
from signalbus.logs import get_logger

from signalbus_otel import _instruments
from signalbus_otel._contexts import has_metrics
from signalbus_otel._contexts import has_tracing
from signalbus_otel._facts import MODEL
from signalbus_otel._facts import error_type
from signalbus_otel._facts import facts_of
from signalbus_otel._spans import BurstSpans

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

    from signalbus_otel._facts import Facts


logger = get_logger("signalbus.otel")


class Sending:
    """The sending of a burst, from the creation of this object to :meth:`end`."""

    def __init__(self, facts: Facts, signals: Sequence[Signal]) -> None:
        self._facts = facts
        self._count = len(signals)
        has_times = facts.has_time and has_metrics()
        self._times = [each.recorded_at for each in signals] if has_times else []
        self._spans = BurstSpans(facts, signals) if has_tracing() else None
        self._began = time.perf_counter()

    @classmethod
    def begin(
        cls, bus: Bus, model: SignalModel, signals: Sequence[Signal]
    ) -> Sending | None:
        """Begin to follow a burst. An SDK that fails is ignored: return ``None``."""
        try:
            return cls(facts_of(bus, model), signals)
        except Exception:
            logger.exception(
                "Metrics and traces of a burst of %s are missing.", model.__name__
            )
            return None

    def end(self, error: BaseException | None = None) -> None:
        """Record the outcome. *error* is what the sender has raised, if anything.

        The burst has been sent, so errors of an SDK are only logged.
        """
        try:
            self._end(error)
        except Exception:
            logger.exception("Metrics of a burst of %s are missing.", self._facts.name)

    def _end(self, error: BaseException | None) -> None:
        seconds = time.perf_counter() - self._began
        failures = _failures(error, self._count)
        if self._spans is not None:
            self._spans.end(error, failures)
        self._measure(seconds, error, failures)
        if self._times:
            self._measure_deliveries(failures)

    def _measure(
        self,
        seconds: float,
        error: BaseException | None,
        failures: Mapping[int, object],
    ) -> None:
        attributes = self._facts.of_operation("send")
        kinds = collections.Counter(map(_type, failures.values()))
        of_burst = attributes
        if error is not None:
            kind = next(iter(kinds), error_type(error))
            of_burst = {**attributes, "error.type": kind}
        _instruments.OPERATION_DURATION.record(seconds, of_burst)
        if len(failures) < self._count:
            sent = self._count - len(failures)
            _instruments.SENT_MESSAGES.add(sent, attributes)
        for kind, count in kinds.items():
            _instruments.SENT_MESSAGES.add(count, {**attributes, "error.type": kind})

    def _measure_deliveries(self, failures: Mapping[int, object]) -> None:
        """Record how long each confirmed signal took."""
        now = dt.datetime.now(dt.timezone.utc).timestamp()
        attributes = {MODEL: self._facts.name}
        record = _instruments.DELIVERY_DURATION.record
        for position, recorded in enumerate(self._times):
            if recorded is not None and position not in failures:
                record(max(0.0, now - _timestamp(recorded)), attributes)


def _failures(error: BaseException | None, count: int) -> Mapping[int, object]:
    """Return why signals failed, by their positions."""
    if error is None:
        return {}
    if isinstance(error, PartialDeliveryError) and error.failures:
        return error.failures
    return dict.fromkeys(range(count), error)


def _type(reason: object) -> str:
    """Return the type of an error, which a sender may have reported as a string."""
    return error_type(reason) if isinstance(reason, BaseException) else "_OTHER"


def _timestamp(time: dt.datetime) -> float:
    """Return *time* in seconds. Databases without time zones store it in UTC."""
    if time.tzinfo is None:
        time = time.replace(tzinfo=dt.timezone.utc)
    return time.timestamp()
