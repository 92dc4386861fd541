"""The signal models of the property tests: all ways to be sent, and to be stored."""

from __future__ import annotations

import dataclasses
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from outbox.wire import BROKER

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

    from outbox.wire import Wire

MEMORY = "memory"


@dataclasses.dataclass(frozen=True)
class Kind:
    """How signals of a model are sent.

    :param form: ``single`` (instances), ``row``, ``blind`` or ``partial`` (burst
        methods), or a broker.
    """

    name: str
    form: str
    burst_count: int
    autoflush: bool = True
    is_keyed: bool = False
    #: Whether a broker fails without saying which signals got through.
    is_blind: bool = False
    #: In which order ``flushordered`` sends them.
    by_rank: bool = False
    shape: str = "plain"

    @property
    def sender(self) -> str:
        """What goes down as a whole: a broker, or a model that sends by itself."""
        return self.form if self.form in {BROKER, MEMORY} else self.name

    @property
    def has_burst_method(self) -> bool:
        """Whether bursts are given to a method of the model."""
        return self.form in {"blind", "partial"}


KINDS = {
    kind.name: kind
    for kind in [
        Kind("Single", "single", 1),
        Kind("Row", "row", 3),
        Kind("One", "row", 1),
        Kind("Blind", "blind", 3),
        Kind("Partial", "partial", 100),
        Kind("Quiet", "row", 2, autoflush=False),
        Kind("Memory", MEMORY, 4),
        Kind("Plugin", BROKER, 3),
        Kind("BlindPlugin", BROKER, 2, is_blind=True),
        Kind("Keyed", "row", 100, is_keyed=True),
        Kind("KeyedBlind", "blind", 3, is_keyed=True),
        Kind("KeyedPlugin", BROKER, 4, is_keyed=True),
        Kind("Ordered", "single", 2, by_rank=True),
        Kind("Seat", "partial", 3, shape="composite"),
        Kind("Child", "row", 2, shape="child"),
        Kind("Lined", "single", 3, shape="lined"),
    ]
}


@dataclasses.dataclass(frozen=True)
class Models:
    """The classes: the signal models by name, and what hangs on them."""

    signals: dict[str, SignalModel]
    parent: t.Any
    line: t.Any
    note: t.Any

    def table(self, name: str) -> sa.Table:
        """Return the table of a signal model."""
        return t.cast("sa.Table", self.signals[name].__table__)


def declare(db: SQLAlchemy, wire: Wire) -> Models:
    """Declare all models."""
    parent, note = _plain(db, "Parent"), _plain(db, "Note")
    signals = {
        kind.name: type(
            kind.name, (db.Model,), {**_columns(kind), **_declared(kind, wire)}
        )
        for kind in KINDS.values()
    }
    foreign_key = sa.Column(sa.Integer, sa.ForeignKey("lined.id"))
    line = _plain(db, "Line", lined_id=foreign_key)
    signals["Lined"].lines = sa_orm.relationship(line, cascade="all, delete-orphan")
    parent.children = sa_orm.relationship(signals["Child"])
    return Models(signals, parent, line, note)


def _plain(db: SQLAlchemy, name: str, **attributes: t.Any) -> t.Any:
    columns = {
        "id": sa.Column(sa.Integer, primary_key=True),
        "text": sa.Column(sa.String(50)),
    }
    return type(name, (db.Model,), {**columns, **attributes})


def _columns(kind: Kind) -> dict[str, t.Any]:
    is_composite = kind.shape == "composite"
    columns = {
        "id": sa.Column(sa.Integer, primary_key=True, autoincrement=not is_composite),
        "account": sa.Column(sa.String(10), primary_key=is_composite),
        "number": sa.Column(sa.Integer, nullable=False),
        "rank": sa.Column(sa.Integer, nullable=False),
        "text": sa.Column(sa.String(50)),
    }
    if kind.shape == "child":
        columns["parent_id"] = sa.Column(sa.Integer, sa.ForeignKey("parent.id"))
    if kind.by_rank:
        columns["signalbus_order_by"] = (columns["rank"].desc(), columns["id"].asc())
    return columns


def _declared(kind: Kind, wire: Wire) -> dict[str, t.Any]:
    attributes: dict[str, t.Any] = {
        "signalbus_burst_count": kind.burst_count,
        "signalbus_autoflush": kind.autoflush,
        **_send_methods(kind, wire),
    }
    if kind.is_keyed:
        attributes["signalbus_ordering_key"] = "account"
    return attributes


def _send_methods(kind: Kind, wire: Wire) -> dict[str, t.Any]:
    name = kind.name

    def send(self: Signal) -> None:
        wire.carry_one(name, name, self)

    def send_row(cls: SignalModel, signal: Signal) -> None:
        wire.carry_one(name, name, signal)

    def send_burst(cls: SignalModel, signals: t.Sequence[Signal]) -> None:
        carry = wire.carry_some if kind.form == "partial" else wire.carry_blindly
        carry(name, name, signals)

    if kind.form in {BROKER, MEMORY}:
        return {"signalbus_broker": kind.form, "is_blind": kind.is_blind}
    if kind.form in {"single", "partial"}:
        methods: dict[str, t.Any] = {"send_signalbus_message": send}
    else:
        methods = {"send_signalbus_message": classmethod(send_row)}
    if kind.has_burst_method:
        methods["send_signalbus_messages"] = classmethod(send_burst)
    return methods
