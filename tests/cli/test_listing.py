"""`signals` and `pending`: what there is."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome
    from flask_sqlalchemy import SQLAlchemy

Flask: t.TypeAlias = "t.Callable[..., Outcome]"


def test_signals_lists_models_and_senders(office: Office, flask: Flask) -> None:
    """A line for each model: sender, burst count, autoflush, order."""
    office.bus.autoflush = True

    lines = flask("signals").out.splitlines()

    assert ["MODEL", "SENT", "BY", "BURST", "AUTOFLUSH", "ORDER"] == lines[0].split()
    assert ["Letter", "its", "send_signalbus_message()", "1", "on", "text", "ASC"] == (
        lines[1].split()
    )
    assert ["Parcel", "its", "send_signalbus_messages()", "2", "off", "-"] == (
        lines[2].split()
    )


def test_signals_has_straight_columns(office: Office, flask: Flask) -> None:
    """Every column begins where its head does."""
    head, *lines = flask("signals").out.splitlines()

    assert all("its" == line[head.index("SENT") :][:3] for line in lines)


def test_signals_tells_that_the_bus_has_autoflush_off(
    office: Office, flask: Flask
) -> None:
    """A model's autoflush is off when its bus's is."""
    office.bus.autoflush = False

    assert " on " not in flask("signals").out


def test_signals_names_brokers_and_expressions(
    db: SQLAlchemy, bus: object, flask: Flask
) -> None:
    """A broker stands by its name; an order as one would write it in SQL."""

    class Posted(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column()
        signalbus_broker = "pigeons"
        signalbus_order_by = (sa.desc("name"), sa.func.lower(sa.column("name")))

    line = flask("signals").out.splitlines()[1]

    assert "broker 'pigeons'" in line
    assert line.endswith("name DESC, lower(name)")


def test_signals_of_an_app_without_models(bus: object, flask: Flask) -> None:
    """Nothing is printed where nothing is."""
    assert (0, "") == (flask("signals").status, flask("signals").out)


def test_pending_counts_each_model(office: Office, flask: Flask) -> None:
    """The count, then the name, and the sum in the end; nothing is sent."""
    office.record(office.Letter, "a", "b")

    outcome = flask("pending")

    assert [["2", "Letter"], ["0", "Parcel"], ["2", "total"]] == [
        line.split() for line in outcome.out.splitlines()
    ]
    assert [] == office.sent
