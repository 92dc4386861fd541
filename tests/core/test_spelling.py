"""Attributes that look like ours and are not: a warning, with what was meant."""

from __future__ import annotations

import logging
import typing as t
import warnings

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

TYPOS = {
    "signalbus_brokr": "signalbus_broker",
    "signalbus_burst_cuont": "signalbus_burst_count",
    "signalbus_auto_flush": "signalbus_autoflush",
    "signalbus_orderby": "signalbus_order_by",
    "send_signalbus_mesage": "send_signalbus_message",
    "send_signalbus_mesages": "send_signalbus_messages",
    "send_sigalbus_message": "send_signalbus_message",
    "send_signal_bus_message": "send_signalbus_message",
    "sendsignalbus_message": "send_signalbus_message",
}

#: Names that stand for something of the application's own.
OTHERS = ("text", "send_message", "send_signal", "signal_id", "broker", "order_by")


def _declare(db: SQLAlchemy, name: str, *bases: type, **attributes: t.Any) -> t.Any:
    """Declare a model, and have the mappers configured."""
    key = {"id": sa.Column(sa.Integer, primary_key=True)}
    model = type(name, (*bases, db.Model), {**key, **attributes})
    sa_orm.configure_mappers()
    return model


@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_is_told_with_what_was_meant(
    db: SQLAlchemy, bus: SignalBus, caplog: pytest.LogCaptureFixture, typo: str
) -> None:
    """The warning names the model and both names; and that nothing is sent."""
    model = _declare(db, "Letter", **{typo: lambda self: None})

    assert not bus.get_signal_models()
    assert [
        ("signalbus", logging.WARNING),
    ] == [(record.name, record.levelno) for record in caplog.records]
    assert caplog.messages[0].startswith(f"{model.__name__} has an attribute '{typo}'")
    assert f"Did you mean '{TYPOS[typo]}'?" in caplog.messages[0]


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_the_models_own(
    db: SQLAlchemy, bus: SignalBus, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """What neither begins like ours nor is close to a send method is left alone."""
    _model = _declare(db, "Letter", **{name: lambda self: None})

    assert [] == caplog.messages


@pytest.mark.parametrize("name", ["signalbus_priority", "send_signalbus_later"])
def test_what_nobody_knows_is_told_without_a_proposal(
    db: SQLAlchemy, bus: SignalBus, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """Our names of another day, and helpers that borrow our beginning, are told."""
    _model = _declare(db, "Letter", **{name: None})

    (warning,) = caplog.messages
    assert f"'{name}'" in warning
    assert "Rename it" in warning


def test_each_model_and_name_is_told_once(
    db: SQLAlchemy, bus: SignalBus, caplog: pytest.LogCaptureFixture
) -> None:
    """However often models are looked up; and when others come, only theirs."""
    _first = _declare(db, "First", signalbus_brokr="a", signalbus_autflush=False)
    bus.get_signal_models()
    _second = _declare(db, "Second", signalbus_brokr="a")
    bus.get_signal_models()

    assert ["First", "First", "Second"] == [
        warning.split()[0] for warning in caplog.messages
    ]


def test_a_mixin_is_looked_at_too(
    db: SQLAlchemy, bus: SignalBus, caplog: pytest.LogCaptureFixture
) -> None:
    """A typo that a model inherits is the model's."""
    mixin = type("Mailed", (), {"signalbus_brokr": "rabbitmq"})
    _model = _declare(db, "Letter", mixin)

    assert ["Letter"] == [warning.split()[0] for warning in caplog.messages]


def test_columns_and_relationships_are_called_as_one_likes(
    db: SQLAlchemy, bus: SignalBus, caplog: pytest.LogCaptureFixture
) -> None:
    """What is mapped is data, and means nothing to us."""
    _parent = _declare(db, "Parent")
    _model = _declare(
        db,
        "Letter",
        signalbus_id=sa.Column(sa.ForeignKey("parent.id")),
        signalbus_parent=sa_orm.relationship("Parent"),
    )

    assert [] == caplog.messages


def test_a_model_that_is_right_is_not_told(
    new_model: t.Any, bus: SignalBus, caplog: pytest.LogCaptureFixture
) -> None:
    """All that signalbus reads from a model may be there."""
    new_model(
        burst=True,
        signalbus_burst_count=3,
        signalbus_autoflush=False,
        signalbus_order_by=(),
        send_signal_bus_message=None,
    )
    bus.get_signal_models()

    assert [] == caplog.messages


def test_a_typo_is_no_error_where_warnings_are(
    db: SQLAlchemy, bus: SignalBus, caplog: pytest.LogCaptureFixture
) -> None:
    """A program that runs with ``-W error`` runs: the warning goes to the log."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _model = _declare(db, "Letter", signalbus_brokr="rabbitmq")

    assert 1 == len(caplog.messages)
