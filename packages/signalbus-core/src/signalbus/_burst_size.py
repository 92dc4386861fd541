"""How many signals a burst has: what the model declares, unless they are large."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration

#: How many bytes the values of a burst may have, approximately.
MAX_BYTES = 16 * 1024 * 1024

#: How many signals a burst has in any case, and how many of each are measured.
SAMPLE = 16

#: A text column up to this length is not worth measuring.
SHORT = 1000

_FIXED = (
    sa.Integer,
    sa.Numeric,
    sa.Boolean,
    sa.Date,
    sa.DateTime,
    sa.Time,
    sa.Interval,
    sa.Uuid,
    sa.Enum,
)


class BurstSize:
    """The size of the bursts of one model, adapted to the size of its rows.

    A model without columns of unlimited length gets what it declares. For others, some
    rows of each burst are measured, which decides how many rows the next one may have.
    Before the first burst, some rows are read for that; if they cannot be read, the
    burst is small.
    """

    def __init__(self, declaration: Declaration) -> None:
        self._declared = declaration.burst_count
        self._average: float | None = None
        #: The attributes whose values may be large, and are loaded with a signal.
        self.names = [
            attribute.key
            for attribute in declaration.mapper.column_attrs
            if _is_unlimited(attribute.columns[0].type) and not attribute.deferred
        ]
        self._value = _row_value if declaration.as_rows else _loaded_value

    @property
    def is_unknown(self) -> bool:
        """Whether it depends on rows of which none was seen yet."""
        return bool(self.names and self._declared > SAMPLE and self._average is None)

    @property
    def next(self) -> int:
        """How many signals the next burst may have."""
        if not self.names or self._declared <= SAMPLE:
            return self._declared
        if self._average is None:
            return SAMPLE
        return max(1, min(self._declared, int(MAX_BYTES / max(1, self._average))))

    def learn(self, signals: t.Sequence[t.Any]) -> None:
        """Look at some of the *signals* of a burst."""
        if self.names and self._declared > SAMPLE:
            some = signals[:: max(1, len(signals) // SAMPLE)]
            self.measure([self._values(signal) for signal in some])

    def measure(self, rows: t.Sequence[t.Sequence[t.Any]]) -> None:
        """Learn from the values of some *rows*. Grow at once, shrink slowly."""
        if rows:
            mean = sum(sum(map(_length, row)) for row in rows) / len(rows)
            known = mean if self._average is None else self._average
            self._average = max(mean, (known + mean) / 2)

    def _values(self, signal: t.Any) -> list[t.Any]:
        return [self._value(signal, name) for name in self.names]


def _is_unlimited(column_type: sa.types.TypeEngine[t.Any]) -> bool:
    if isinstance(column_type, _FIXED):
        return False
    if isinstance(column_type, sa.TypeDecorator):
        return _is_unlimited(column_type.impl_instance)
    length = getattr(column_type, "length", None)
    return not isinstance(length, int) or length > SHORT


def _length(value: t.Any) -> int:
    """Estimate the size of a value, in bytes."""
    if value is None:
        return 0
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return len(value)
    return len(repr(value))


def _row_value(row: t.Any, name: str) -> t.Any:
    return getattr(row, name)


def _loaded_value(instance: t.Any, name: str) -> t.Any:
    """Return a value of an instance, and load none that is deferred."""
    return sa.inspect(instance).dict.get(name)
