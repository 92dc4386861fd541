"""What a model declares about its signals is read once, and open to everybody."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import Declaration
from signalbus import SignalBus
from signalbus import SignalModelError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import SignalModel


def test_declaration_says_what_the_model_says(bus: SignalBus, new_model: t.Any) -> None:
    """Every attribute is there, checked and complete."""
    key = sa.Column(sa.Integer, primary_key=True)
    model = new_model(
        form="pigeons",
        id=key,
        signalbus_burst_count=7,
        signalbus_autoflush=False,
        signalbus_order_by=(key.desc(),),
    )
    declaration = bus.declaration(model)

    assert isinstance(declaration, Declaration)
    assert model is declaration.model
    assert sa.inspect(model) is declaration.mapper
    assert "pigeons" == declaration.broker == declaration.sender
    assert 7 == declaration.burst_count
    assert declaration.autoflush is False
    assert 1 == len(declaration.order_by)
    assert declaration.send_one is declaration.send_burst is None
    assert declaration.as_rows is True


def test_declaration_has_the_defaults(bus: SignalBus, greeting: SignalModel) -> None:
    """What a model leaves out is there, too."""
    declaration = bus.declaration(greeting)

    assert (1, True, ()) == (
        declaration.burst_count,
        declaration.autoflush,
        declaration.order_by,
    )
    assert declaration.broker is None
    assert greeting is declaration.sender


@pytest.mark.parametrize(("form", "as_rows"), [("instance", False), ("row", True)])
@pytest.mark.parametrize("burst", [True, False])
def test_declaration_knows_the_forms(
    bus: SignalBus, new_model: t.Any, form: str, as_rows: bool, burst: bool
) -> None:
    """Which methods a model has, and what they get."""
    declaration = bus.declaration(new_model(form=form, burst=burst))

    assert as_rows is declaration.as_rows
    assert declaration.send_one is not None
    assert burst is (declaration.send_burst is not None)


def test_declaration_of_a_model_with_both_names_no_broker(
    bus: SignalBus, new_model: t.Any
) -> None:
    """A model that has send methods of its own is sent by them."""
    model = new_model(signalbus_broker="pigeons")

    assert bus.declaration(model).broker is None


def test_declaration_is_read_once(bus: SignalBus, greeting: SignalModel) -> None:
    """Attributes of a model belong in its class body: what comes later is ignored."""
    first = bus.declaration(greeting)
    greeting.signalbus_burst_count = 9

    assert first is bus.declaration(greeting)
    assert 1 == first.burst_count


def test_declaration_cannot_be_changed(bus: SignalBus, greeting: SignalModel) -> None:
    """It is the model's, not the reader's."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        bus.declaration(greeting).burst_count = 2  # type: ignore[misc]


def test_declaration_of_an_ordinary_model_is_refused(
    bus: SignalBus, db: SQLAlchemy, app_ctx: object
) -> None:
    """A model that does not declare how it is sent is named."""

    class Customer(db.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)

    with pytest.raises(SignalModelError, match="Customer"):
        bus.declaration(Customer)


@pytest.mark.parametrize("stranger", [int, object()])
def test_declaration_of_anything_else_is_refused(
    bus: SignalBus, app_ctx: object, stranger: t.Any
) -> None:
    """What is not a mapped class is named."""
    with pytest.raises(SignalModelError, match=r"int|object"):
        bus.declaration(stranger)


def test_declaration_of_a_misdeclared_model_is_refused_always(
    bus: SignalBus, new_model: t.Any
) -> None:
    """The error comes each time, not only the first."""
    model = new_model(signalbus_burst_count=0)
    for _ in range(2):
        with pytest.raises(SignalModelError, match="Greeting"):
            bus.declaration(model)


def test_declaration_describes_a_signal(bus: SignalBus, new_model: t.Any) -> None:
    """Messages name a signal by its model and primary key."""
    model = new_model(
        id=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        part=sa.Column(sa.String(10), primary_key=True),
    )

    assert "Greeting(id=1, part='x')" == bus.declaration(model).describe((1, "x"))


def test_models_that_are_signal_models(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel
) -> None:
    """``is_signal_model`` asks without raising, and without checking."""

    class Customer(db.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)

    assert bus.is_signal_model(greeting) is True
    assert bus.is_signal_model(Customer) is False
