"""A broker that is down when a careful relay starts, and comes back."""

from __future__ import annotations

import datetime as dt
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError

if t.TYPE_CHECKING:
    from conftest import Running
    from conftest import Wire
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import SignalModel

NewModel: t.TypeAlias = "t.Callable[..., SignalModel]"


@pytest.fixture
def unclean(app: Flask, db: SQLAlchemy) -> t.Callable[[], None]:
    """Leave the row of a relay behind that has ended without a word."""

    def add() -> None:
        long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)
        row = {"id": "gone", "host": "elsewhere", "process": 1, "models": "{}"}
        row |= {"started_at": long_ago, "heartbeat_at": long_ago}
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(sa.insert(db.metadata.tables["signalbus_relay"]), [row])

    return add


def test_a_careful_relay_goes_on_when_the_broker_is_back(
    unclean: t.Callable[[], None],
    new_model: NewModel,
    new_broker: t.Any,
    record: t.Callable[..., None],
    run: t.Callable[..., Running],
    wire: Wire,
) -> None:
    """It sends what it has to send alone, and then everything else."""
    tries = 0

    def fail_at_first(text: str) -> None:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise BrokerUnavailableError(text)

    wire.on_sending = fail_at_first
    new_broker("post")
    models = [new_model(name, signalbus_broker="post") for name in ("Ape", "Bee")]
    for model in models:
        record(model, f"{model.__name__} 1", f"{model.__name__} 2")
    unclean()
    run()

    wire.expect("Ape 1", "Ape 2", "Bee 1", "Bee 2")
