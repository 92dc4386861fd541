"""What a signal model declares, as everybody may read it."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    import sqlalchemy.orm as sa_orm


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What a signal model declares about its signals, checked and complete.

    Returned by :meth:`SignalBus.declaration`.
    """

    #: The signal model.
    model: type[t.Any]

    #: Its mapper.
    mapper: sa_orm.Mapper[t.Any]

    #: Whether its senders receive rows instead of instances.
    as_rows: bool

    #: The name of the broker that sends it. ``None`` if it has a method of its own.
    broker: str | None

    #: How many signals are sent in one transaction.
    burst_count: int

    #: Whether its signals may be sent right after the commit.
    autoflush: bool

    #: The order in which ``flushordered`` sends its signals; with an ordering key, the
    #: order of the signals that have the same one.
    order_by: tuple[t.Any, ...]

    #: The names of the attributes that make its ordering key; empty if it has none.
    #: Signals that have equal values are sent one after the other.
    ordering_key: tuple[str, ...] = ()

    @property
    def send_one(self) -> t.Callable[[t.Any], object] | None:
        """Its own method that sends one signal. ``None`` if a broker sends it.

        Looked up whenever it is needed, so that tests can replace it.
        """
        if self.broker is not None:
            return None
        return getattr(self.model, "send_signalbus_message", None)

    @property
    def send_burst(self) -> t.Callable[[t.Any], object] | None:
        """Its own method that sends a burst, if it has one."""
        if self.broker is not None:
            return None
        return getattr(self.model, "send_signalbus_messages", None)

    @property
    def sender(self) -> object:
        """The broker's name, or the model, if it has a send method of its own.

        Models that have the same sender are unavailable together.
        """
        return self.broker or self.model

    @property
    def is_ordered(self) -> bool:
        """Whether its signals have one order, so that a failing one stops the others.

        With an ordering key, it stops only those that have the same.
        """
        return bool(self.order_by) and not self.ordering_key

    @functools.cached_property
    def table(self) -> sa.Table:
        """The table that has the model's own columns."""
        return t.cast("sa.Table", self.mapper.local_table)

    @functools.cached_property
    def bind_key(self) -> str | None:
        """The bind key of the database that has the table."""
        return t.cast("str | None", self.table.metadata.info.get("bind_key"))

    @property
    def key_columns(self) -> tuple[sa.ColumnElement[t.Any], ...]:
        """The columns of the mapper's primary key."""
        return self.mapper.primary_key

    @property
    def is_keyed(self) -> bool:
        """Whether that is the table's primary key: unique, and with an index."""
        return set(self.table.primary_key) == set(self.key_columns)

    def describe(self, key: t.Sequence[t.Any]) -> str:
        """Return a name, for people, of the signal that has this primary *key*."""
        values = ", ".join(
            f"{column.key}={value!r}"
            for column, value in zip(self.key_columns, key, strict=True)
        )
        return f"{self.model.__name__}({values})"
