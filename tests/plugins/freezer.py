"""Freeze signals: those that the table "frozen" names are not sent until they thaw."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

metadata = sa.MetaData()

frozen = sa.Table(
    "frozen",
    metadata,
    sa.Column("model", sa.String(100), primary_key=True),
    sa.Column("key", sa.String(100), primary_key=True),
    # Whether the signals behind it, with the same ordering key, have to wait, too.
    sa.Column("blocks", sa.Boolean, nullable=False),
)


@hookimpl
def signalbus_held_back(
    model: SignalModel, connection: sa.Connection
) -> HeldBack | None:
    """Hold back what is frozen, if any signal of *model* is."""
    query = sa.select(frozen.c.key).where(frozen.c.model == model.__name__).limit(1)
    return _Frozen(model) if connection.execute(query).first() else None


def freeze(
    connection: sa.Connection, model: SignalModel, *key: object, blocks: bool = True
) -> None:
    """Freeze the signal of *model* that has this primary *key*."""
    values = {"model": model.__name__, "key": _as_text(key), "blocks": blocks}
    connection.execute(sa.insert(frozen).values(values))


def thaw(connection: sa.Connection, model: SignalModel) -> None:
    """Let all signals of *model* be sent again."""
    connection.execute(sa.delete(frozen).where(frozen.c.model == model.__name__))


class _Frozen:
    """The frozen signals of one model."""

    def __init__(self, model: SignalModel) -> None:
        self._model = model

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Return those of *keys* that are frozen."""
        by_text = {_as_text(key): key for key in keys}
        query = sa.select(frozen.c.key, frozen.c.blocks).where(
            frozen.c.model == self._model.__name__, frozen.c.key.in_(by_text)
        )
        return {by_text[row.key]: row.blocks for row in connection.execute(query)}


def _as_text(key: t.Sequence[object]) -> str:
    return ", ".join(map(str, key))
