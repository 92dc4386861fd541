"""The first page says whether all is well, and where it is not."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus_dashboard import _backlog

if t.TYPE_CHECKING:
    from conftest import Visitor
    from conftest import Wire
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import SignalModel


@pytest.fixture
def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have neither of the plugins that the dashboard knows."""
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "relay,retry")


def headline(visit: Visitor) -> str:
    """Return what is said first, and check that page and JSON agree."""
    state = visit.json("/.json")
    text: str = state["headline"]["text"]
    assert f">{text}</h1>" in visit.get("/")
    return text


@pytest.mark.usefixtures("_without")
def test_all_is_sent(visit: Visitor, paid: SignalModel) -> None:
    """An empty table is good news."""
    assert "All sent" == headline(visit)


@pytest.mark.usefixtures("_without")
def test_without_plugins_it_says_what_they_would_add(
    visit: Visitor, paid: SignalModel, record: t.Any
) -> None:
    """It shows what the core knows, and links to nothing that is not there."""
    record(paid, "a", "b")
    page = visit.get("/")

    assert "2 pending" == headline(visit)
    assert "signalbus-retry" in page
    assert "signalbus-relay" in page
    assert "/failures" not in page
    assert visit.json("/.json")["relays"] is None
    assert "Install signalbus-retry" in visit.get("/models/OrderPaid/failures", 404)


def test_nobody_sends(visit: Visitor, paid: SignalModel, record: t.Any) -> None:
    """With signalbus-relay, it is known that none is running."""
    pytest.importorskip("signalbus_relay")

    assert "No relay, all sent" == headline(visit)

    record(paid, *map(str, range(1204)))
    assert "No relay, 1,204 pending" == headline(visit)


@pytest.mark.databases
def test_relays_are_shown_and_when_they_were_last_seen(
    visit: Visitor, paid: SignalModel, record: t.Any, add_relay: t.Any
) -> None:
    """One that is silent for long is gone."""
    add_relay(200, OrderPaid={"sent": 1205})
    record(paid, "a")

    assert "No relay for 3 min, 1 pending" == headline(visit)
    assert "1,205" in visit.get("/")
    assert ["gone"] == [
        "running" if relay["is_alive"] else "gone"
        for relay in visit.json("/.json")["relays"]
    ]

    add_relay(3)
    assert "1 pending" == headline(visit)


def test_a_broker_is_down(
    visit: Visitor, paid: SignalModel, record: t.Any, wire: Wire, flush: t.Any
) -> None:
    """As this process has found it, or a relay."""
    wire.is_down = True
    record(paid, "a")
    flush()

    assert "wire is down, 1 pending" == headline(visit)
    assert visit.json("/.json")["models"][0]["is_down"]


def test_a_relay_has_found_a_broker_down(
    visit: Visitor, paid: SignalModel, record: t.Any, add_relay: t.Any
) -> None:
    """It says so in its row."""
    record(paid, "a")
    add_relay(1, OrderPaid={"is_down": True})

    assert "wire is down, 1 pending" == headline(visit)


def test_a_broker_is_back_when_another_process_has_sent_all(
    visit: Visitor,
    paid: SignalModel,
    db: SQLAlchemy,
    record: t.Any,
    add_relay: t.Any,
    wire: Wire,
    flush: t.Any,
) -> None:
    """Who found it down has nothing left to try it with, and goes on saying so."""
    wire.is_down = True
    record(paid, "a")
    flush()
    add_relay(1, OrderPaid={"is_down": True})
    db.session.execute(sa.delete(paid))
    db.session.commit()

    assert "All sent" == headline(visit)
    assert not visit.json("/.json")["models"][0]["is_down"]


def test_a_parked_signal_does_not_wait_for_a_broker_that_was_down(
    visit: Visitor, paid: SignalModel, add_relay: t.Any, fail: t.Any
) -> None:
    """It would not be sent if the broker was back."""
    fail(paid, a=ValueError("boom"))
    visit.post("/models/OrderPaid/park", "/models/OrderPaid/failures", key="1")
    add_relay(1, OrderPaid={"is_down": True})

    assert "1 parked" == headline(visit)


def test_all_models_of_a_broker_are_down_while_one_has_signals(
    visit: Visitor, new_model: t.Any, record: t.Any, add_relay: t.Any
) -> None:
    """Those of the others would be kept, too."""
    new_model("Quiet")
    record(new_model("Loud"), "a")
    add_relay(1, Quiet={"is_down": True}, Loud={"is_down": True})

    assert [True, True] == [
        model["is_down"] for model in visit.json("/.json")["models"]
    ]


@pytest.mark.databases
def test_signals_fail(
    visit: Visitor, paid: SignalModel, add_relay: t.Any, fail: t.Any
) -> None:
    """Those that are tried again, and those that wait for a person."""
    add_relay(1)
    fail(paid, a=ValueError("boom"), b=ValueError("bang"))
    (model,) = visit.json("/.json")["models"]

    assert "2 failing" == headline(visit)
    assert (2, 2, 0) == (model["pending"]["count"], model["failing"], model["parked"])

    visit.post("/models/OrderPaid/park", "/models/OrderPaid/failures", key="1")
    assert "1 failing, 1 parked" == headline(visit)


@pytest.mark.parametrize("skip", [{}, {"signalbus_on_parked": "skip"}])
def test_a_parked_signal_holds_back_the_others_of_an_ordered_model(
    visit: Visitor, new_model: t.Any, fail: t.Any, add_relay: t.Any, skip: t.Any
) -> None:
    """The headline says so, unless they may pass."""
    column = sa.Column(sa.Integer, primary_key=True)
    model = new_model(id=column, signalbus_order_by=(column.asc(),), **skip)
    add_relay(1)
    fail(model, a=ValueError("boom"))
    visit.post("/models/OrderPaid/park", "/models/OrderPaid/failures", key="1")
    detail = visit.json("/.json")["headline"]["detail"]

    assert (not skip) == detail.endswith("It holds back all of OrderPaid.")


@pytest.mark.parametrize("skip", [{}, {"signalbus_on_parked": "skip"}])
def test_a_parked_signal_holds_back_those_with_its_ordering_key(
    visit: Visitor, new_model: t.Any, fail: t.Any, add_relay: t.Any, skip: t.Any
) -> None:
    """Nothing else says why these are pending."""
    model = new_model(signalbus_ordering_key="text", **skip)
    add_relay(1)
    fail(model, a=ValueError("boom"))
    visit.post("/models/OrderPaid/park", "/models/OrderPaid/failures", key="1")
    state = visit.json("/.json")

    says_so = state["headline"]["detail"].endswith(
        "In OrderPaid, it holds back those with its ordering key."
    )
    assert (not skip) == says_so == state["models"][0]["holds_back"]


@pytest.mark.databases
def test_counts_end_at_a_limit(
    visit: Visitor,
    paid: SignalModel,
    record: t.Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for a table to be counted."""
    monkeypatch.setattr(_backlog, "LIMIT", 3)
    record(paid, "a", "b", "c", "d")
    state = visit.json("/.json")

    assert {"count": 3, "is_complete": False, "text": "3+"} == state["pending"]
    assert ">3+</dd>" in visit.get("/")


@pytest.mark.databases
def test_the_age_of_the_oldest_is_shown(
    visit: Visitor, new_model: t.Any, record: t.Any
) -> None:
    """If the model has a time, and an index or a growing key finds the first one."""
    column = sa.Column(sa.DateTime, index=True, server_default=sa.func.now())
    record(new_model("Indexed", recorded_at=column), "a")
    record(new_model("Numbered"), "a")
    record(new_model("Timeless", recorded_at=sa.Column(sa.Integer, default=0)), "a")
    models = {each["name"]: each for each in visit.json("/.json")["models"]}

    assert models["Indexed"]["oldest"].endswith(" s ago")
    assert models["Numbered"]["oldest"].endswith(" s ago")
    assert models["Timeless"]["oldest"] is None


def test_a_missing_table_is_no_end(
    visit: Visitor, new_model: t.Any, record: t.Any, db: SQLAlchemy
) -> None:
    """The other models are shown as ever, and the error has its place."""
    first, second = new_model("First"), new_model("Second")
    record(second, "a")
    first.__table__.drop(db.engine)
    state = visit.json("/.json")

    assert "First cannot be read" == headline(visit)
    assert ["First", "Second"] == [each["name"] for each in state["models"]]
    assert "first" in state["models"][0]["error"]
    assert 1 == state["models"][1]["pending"]["count"]


@pytest.fixture
def there(app: Flask, other_url: str) -> str:
    """Give the app a second database."""
    app.config["SQLALCHEMY_BINDS"] = {"there": other_url}
    return "there"


def test_relays_of_a_database_that_cannot_be_read_hide_no_others(
    there: str, visit: Visitor, new_model: t.Any, add_relay: t.Any, db: SQLAlchemy
) -> None:
    """The error is shown; nobody is told to install what is installed."""
    new_model("Here")
    model = new_model("There", __bind_key__=there)
    add_relay(1)
    model.metadata.tables["signalbus_relay"].drop(db.engines[there])
    page = visit.get("/")

    assert ["elsewhere"] == [each["host"] for each in visit.json("/.json")["relays"]]
    assert "The table signalbus_relay is missing" in page
    assert "Install <code>signalbus-relay</code>" not in page


def test_relays_that_nobody_knows_are_not_said_to_be_missing(
    visit: Visitor, paid: SignalModel, db: SQLAlchemy
) -> None:
    """Some may be running."""
    pytest.importorskip("signalbus_relay")
    db.metadata.tables["signalbus_relay"].drop(db.engine)
    page = visit.get("/")

    assert "All sent" == headline(visit)
    assert "Which relays are running cannot be read." in page
    assert "Install <code>signalbus-relay</code>" not in page


def test_an_app_without_models_is_told_what_one_is(
    visit: Visitor, app_ctx: object
) -> None:
    """An empty page would be a riddle."""
    assert "no signal models yet" in visit.get("/")


def test_models_of_one_name_are_told_apart(visit: Visitor, new_model: t.Any) -> None:
    """By their modules, also in addresses."""
    new_model("Order", __module__="shop", __tablename__="one")
    new_model("Order", __module__="store", __tablename__="two")

    names = [each["name"] for each in visit.json("/.json")["models"]]
    assert ["shop.Order", "store.Order"] == names
