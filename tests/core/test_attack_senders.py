"""Senders and models that break the rules, beside others that keep them."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import PartialDeliveryError
from signalbus import SignalBusError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

    NewModel: t.TypeAlias = t.Callable[..., SignalModel]
    Record: t.TypeAlias = t.Callable[..., None]


def test_misdeclared_model_does_not_stop_the_autoflush_of_others(
    db: SQLAlchemy, bus: SignalBus, greeting: SignalModel, new_model: NewModel
) -> None:
    """The other signals of a commit go out."""
    bad = new_model("Bad", signalbus_burst_count=0)
    for model in (bad, greeting):
        db.session.add(model())
        db.session.flush()
    db.session.commit()
    del bad.signalbus_burst_count

    assert bus.count_pending() == {bad: 1, greeting: 0}


def test_reasons_that_are_no_exceptions_are_told(
    bus: SignalBus, new_model: NewModel, record: Record
) -> None:
    """A sender that names its failures with mere texts is believed, too."""

    def send(cls: SignalModel, signals: t.Sequence[Signal]) -> None:
        reasons: t.Any = {0: "no such address"}
        raise PartialDeliveryError(reasons)

    model = new_model(
        signalbus_burst_count=2, send_signalbus_messages=classmethod(send)
    )
    record(model, "a", "b", "c", "d")
    with pytest.raises(SignalBusError, match="no such address"):
        bus.flushmany()

    assert bus.count_pending() == {model: 2}


@pytest.mark.databases("postgresql")
def test_burst_that_has_gone_meanwhile_is_forgotten(
    db: SQLAlchemy, bus: SignalBus, new_model: NewModel, record: Record
) -> None:
    """The failure of a try says nothing of the next one, which finds no row."""

    def send(cls: SignalModel, signal: Signal) -> None:
        with other.connect() as connection:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND state = 'idle in transaction'"
            )
            connection.execute(sa.delete(model.__table__))
        raise ValueError(signal.text)

    other = sa.create_engine(
        db.engine.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    model = new_model(form="row", send_signalbus_message=classmethod(send))
    record(model, "1")

    assert bus.flushmany() == 0
