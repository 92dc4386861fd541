"""The order in which autoflush sends what a transaction recorded."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.databases


@pytest.fixture
def models(new_model: t.Any) -> list[SignalModel]:
    """Declare three models, whose names SQLAlchemy would sort."""
    return [new_model(name, form="row") for name in ("Zebra", "Ant", "Mole")]


def test_models_go_in_the_order_in_which_they_were_added(
    db: SQLAlchemy, models: list[SignalModel], wire: t.Any
) -> None:
    """The inserts of a flush are sorted by SQLAlchemy, the signals are not."""
    for text, model in enumerate(models):
        db.session.add(model(text=str(text)))
    db.session.commit()

    assert ["0", "1", "2"] == wire.sent


def test_earlier_flushes_go_first(
    db: SQLAlchemy, models: list[SignalModel], wire: t.Any
) -> None:
    """What was flushed to the database before was added before."""
    for text, model in enumerate([models[1], models[2], models[0]]):
        db.session.add(model(text=str(text)))
        db.session.flush()
    db.session.commit()

    assert ["0", "1", "2"] == wire.sent


def test_released_savepoint_keeps_its_place(
    db: SQLAlchemy, models: list[SignalModel], wire: t.Any
) -> None:
    """A savepoint is no transaction of its own."""
    db.session.add(models[0](text="0"))
    with db.session.begin_nested():
        db.session.add(models[1](text="1"))
    db.session.add(models[2](text="2"))
    db.session.commit()

    assert ["0", "1", "2"] == wire.sent


@pytest.mark.parametrize("burst_count", [1, 3, 20])
@pytest.mark.parametrize("form", ["row", "instance"])
def test_signals_of_a_model_go_in_the_order_in_which_they_were_added(
    db: SQLAlchemy, new_model: t.Any, wire: t.Any, burst_count: int, form: str
) -> None:
    """Keys that were not given in ascending order make no difference."""
    key = sa.Column(sa.String(1), primary_key=True)
    model = new_model(form=form, id=key, signalbus_burst_count=burst_count)
    added = ["m", "c", "z", "a", "x", "b", "k"]
    db.session.add_all(model(id=text, text=text) for text in added)
    db.session.commit()

    assert added == wire.sent
