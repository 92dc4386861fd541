"""What was inserted past the session may wake relays, too."""

from __future__ import annotations

import threading
import typing as t

import psycopg
import pytest
import sqlalchemy as sa
from signalbus import SignalModelError
from signalbus_relay import wake

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


@pytest.fixture
def hear(engine_url: str) -> t.Iterator[t.Callable[[], str]]:
    """Listen to the database of the test; wait for what is announced next."""
    plain = sa.make_url(engine_url).set(drivername="postgresql")
    with psycopg.connect(plain.render_as_string(False), autocommit=True) as connection:
        connection.execute("LISTEN signalbus")
        notifications = connection.notifies(timeout=30)
        yield lambda: next(notifications).payload
        notifications.close()


@pytest.fixture
def new_model(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object
) -> t.Callable[[str], SignalModel]:
    """Declare a signal model, and create its table."""

    def make(name: str) -> SignalModel:
        columns = {"id": sa.Column(sa.Integer, primary_key=True)}
        send = {"send_signalbus_message": lambda _: None}
        model: SignalModel = type(name, (db.Model,), {**columns, **send})
        db.create_all()
        return model

    return make


@pytest.mark.databases("postgresql")
def test_program_wakes_the_relays_of_some_models(
    bus: SignalBus, new_model: t.Callable[[str], SignalModel], hear: t.Callable[[], str]
) -> None:
    """Though they are autoflushed when they are recorded in a session."""
    models = [new_model("Cat"), new_model("Ant"), new_model("Bee")]
    wake(bus, models[:2])

    assert "ant,cat" == hear()


@pytest.mark.databases("postgresql")
def test_program_wakes_all_relays(
    bus: SignalBus, new_model: t.Callable[[str], SignalModel], hear: t.Callable[[], str]
) -> None:
    """An empty payload means all tables."""
    new_model("Ant")
    wake(bus)

    assert "" == hear()


@pytest.mark.databases
def test_nothing_but_signal_models_can_be_woken(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Callable[[str], SignalModel]
) -> None:
    """A mistake is an error, on all databases."""
    columns = {"id": sa.Column(sa.Integer, primary_key=True)}
    plain = type("Plain", (db.Model,), columns)
    signal = new_model("Ant")

    with pytest.raises(SignalModelError, match="Plain"):
        wake(bus, [signal, plain])
    with pytest.raises(TypeError, match=r"Pass a list: \[Ant\]"):
        wake(bus, signal)


@pytest.mark.databases("sqlite", "mariadb")
def test_other_databases_have_nothing_to_do(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Callable[[str], SignalModel]
) -> None:
    """No thread is started, neither by a program nor by a commit."""
    bus.autoflush = False
    model = new_model("Ant")
    before = _announcing_threads()
    db.session.add(model())
    db.session.commit()
    wake(bus)

    assert before >= _announcing_threads()


@pytest.mark.databases("postgresql")
def test_commit_in_a_transaction_of_a_test_wakes_nobody(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Callable[[str], SignalModel],
    hear: t.Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the test has replaced the engine by a connection, no relay would see it."""
    bus.autoflush = False
    model, before = new_model("Ant"), _announcing_threads()
    with monkeypatch.context() as patch, db.engine.connect() as connection:
        patch.setitem(db.engines, None, connection)
        db.session.add(model())
        db.session.commit()
        wake(bus)
        db.session.remove()

    assert before >= _announcing_threads()

    db.session.add(model())
    db.session.commit()

    assert "ant" == hear(), "the first commit has not spoiled the later ones"


def _announcing_threads() -> set[threading.Thread]:
    return {each for each in threading.enumerate() if each.name == "signalbus-notifier"}
