"""The pending signals of one model: how many there are, and since when."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

import sqlalchemy as sa
from signalbus import clock
from signalbus.rows import SignalRows

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm
    from signalbus import Declaration
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

#: Up to how many signals of a model are counted.
LIMIT: t.Final = 10_000


@dataclasses.dataclass(frozen=True)
class Pending:
    """How many signals of a model are pending.

    :param is_complete: whether all were counted. Otherwise, there may be more.
    :param oldest_at: when the oldest was recorded, if that is known.
    """

    count: int
    is_complete: bool = True
    oldest_at: dt.datetime | None = None


class Backlog:
    """Reads the pending signals of one model. Make one for each model, and keep it."""

    def __init__(self, bus: Bus, model: SignalModel) -> None:
        self.model = model
        self.declaration = bus.declaration(model)
        self.rows = SignalRows(bus, model)
        self._oldest = _oldest(self.declaration)

    def read(self, connection: sa.Connection) -> Pending:
        """Return what is pending."""
        count = self.rows.count(connection, LIMIT)
        oldest: dt.datetime | None = None
        if count and self._oldest is not None:
            oldest = connection.scalar(self._oldest)
        return Pending(
            count,
            is_complete=count < LIMIT,
            oldest_at=None if oldest is None else clock.as_utc(oldest),
        )


def _oldest(declaration: Declaration) -> sa.Select[t.Any] | None:
    """Return the statement that finds the time of the oldest signal.

    ``None`` if the model has no time that an index can find.
    """
    model = declaration.model
    names = [each.key for each in declaration.mapper.column_attrs if _is_time(each)]
    indexed = [name for name in names if _leads_an_index(declaration, name)]
    if indexed:
        time = getattr(model, indexed[0])
        return sa.select(time).order_by(time).limit(1)
    if len(names) == 1 and _has_growing_key(declaration):
        time = getattr(model, names[0])
        return sa.select(time).order_by(*declaration.key_columns).limit(1)
    return None


def _is_time(attribute: sa_orm.ColumnProperty[t.Any]) -> bool:
    """Return whether it is a column with the time when a signal was recorded."""
    column = attribute.columns[0]
    if not isinstance(column, sa.Column):
        return False
    if column.nullable and not (column.default or column.server_default):
        return False
    try:
        return column.type.python_type is dt.datetime
    except NotImplementedError:
        return False


def _leads_an_index(declaration: Declaration, name: str) -> bool:
    """Return whether an index begins with the column, and so finds the first value."""
    column = declaration.mapper.column_attrs[name].columns[0]
    leading = [next(iter(each.columns), None) for each in declaration.table.indexes]
    return any(each is column for each in leading)


def _has_growing_key(declaration: Declaration) -> bool:
    """Return whether the first key is probably that of the oldest signal."""
    kinds = [column.type for column in declaration.key_columns]
    return len(kinds) == 1 and isinstance(kinds[0], sa.Integer)
