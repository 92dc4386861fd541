"""`signals`: which models there are, and how each is sent."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import hookimpl
from signalbus.testing import MemoryBroker
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

Flask: t.TypeAlias = "t.Callable[..., Outcome]"

NO_MODELS = (
    "There are no signal models. Define send_signalbus_message or signalbus_broker on a"
    " model, and make sure that the app imports the model's module."
)

TOTAL = "        0  total\n"


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


def test_signals_tells_that_a_thread_sends_in_the_background(
    office: Office, flask: Flask
) -> None:
    """Parcels are left to a flush all the same."""
    office.bus.autoflush = "background"
    letter, parcel = flask("signals").out.splitlines()[1:]

    assert " background " in letter
    assert " off " in parcel


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


@pytest.mark.parametrize("has_order", [True, False])
def test_signals_names_ordering_keys(
    db: SQLAlchemy, bus: object, flask: Flask, has_order: bool
) -> None:
    """The key of an order is in front of it; without one, it stands alone."""

    class Moved(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        account: Mapped[int] = mapped_column("account_id")
        currency: Mapped[str]
        signalbus_broker = "pigeons"
        signalbus_order_by = (sa.desc("id"),) if has_order else ()
        signalbus_ordering_key = ("account", "currency")

    line = flask("signals").out.splitlines()[1]

    assert line.endswith("by account, currency: id DESC" if has_order else "currency")


def test_signals_marks_brokers_that_nobody_is(
    db: SQLAlchemy, bus: SignalBus, flask: Flask
) -> None:
    """A name that no broker has is marked, and one that a broker has is not."""

    class Right(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        signalbus_broker = "pigeons"

    class Wrong(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        signalbus_broker = "pigeon"

    bus.plugin_manager.register(MemoryBroker("pigeons"))
    _, right, wrong = flask("signals").out.splitlines()

    assert "broker 'pigeons'  " in right
    assert "broker 'pigeon' (not installed)  " in wrong


def test_signals_marks_nothing_that_is_not_certain(
    db: SQLAlchemy, bus: SignalBus, flask: Flask
) -> None:
    """A broker without a name may answer to any."""

    class Unnamed:
        @hookimpl
        def signalbus_send_burst(self) -> None:
            """Answer for no model."""

    class Letter(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        signalbus_broker = "pigeon"

    bus.plugin_manager.register(Unnamed())

    assert "not installed" not in flask("signals").out


def test_typos_in_models_are_shown(
    db: SQLAlchemy, bus: object, unlogged: Flask
) -> None:
    """An attribute that looks like ours and is not is a line, by each command."""

    class Letter(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)
        signalbus_brokr = "pigeons"

    outcome = unlogged("signals")

    assert "" == outcome.out
    assert ["Warning: Letter has an attribute 'signalbus_brokr'", NO_MODELS] == [
        line.split(",")[0] if "attribute" in line else line
        for line in outcome.err.splitlines()
    ]


@pytest.mark.parametrize(
    ("command", "out"), [("signals", ""), ("check", ""), ("pending", TOTAL)]
)
def test_an_app_without_signal_models_is_told_so(
    bus: object, flask: Flask, command: str, out: str
) -> None:
    """A line on stderr says how to make one; it is no failure."""
    outcome = flask(command)

    assert (0, out, f"{NO_MODELS}\n") == (outcome.status, outcome.out, outcome.err)


def test_a_model_that_is_not_complete_is_told_once(
    db: SQLAlchemy, bus: object, unlogged: Flask
) -> None:
    """A burst method alone is refused; the log does not say it a second time."""

    class Letter(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)

        @classmethod
        def send_signalbus_messages(cls, signals: object) -> None:
            """Send many."""

    outcome = unlogged("signals")

    assert 1 == outcome.status
    assert [True] == [
        line.startswith("Error: The signal model Letter has send_signalbus_messages,")
        for line in outcome.err.splitlines()
    ]
