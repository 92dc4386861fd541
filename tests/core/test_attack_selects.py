"""Models whose SELECT cannot be locked as it stands."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ("flush", "flushmany", "flushordered")
SILENT = {"signalbus_autoflush": False}

pytestmark = pytest.mark.databases


@pytest.fixture(params=[1, 3])
def burst_count(request: pytest.FixtureRequest) -> int:
    """Give a burst of one, and one of several."""
    return int(request.param)


@pytest.mark.parametrize("form", ["row", "instance"])
@pytest.mark.parametrize("method", METHODS)
def test_column_with_a_window_function_is_sent(
    db: SQLAlchemy,
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    form: str,
    method: str,
    burst_count: int,
) -> None:
    """PostgreSQL locks no rows of a query with window functions."""
    model = new_model(form=form, signalbus_burst_count=burst_count, **SILENT)
    total = sa.func.count().over()
    model.total = sa_orm.column_property(total)
    record(model, "a", "b", "c", "d")

    assert 4 == getattr(bus, method)()
    assert ["a", "b", "c", "d"] == wire.sent
    assert all(signal.total >= 1 for signal in wire.signals)


@pytest.mark.parametrize("form", ["row", "instance"])
@pytest.mark.parametrize("method", METHODS)
def test_model_that_loads_its_heirs_with_it_is_sent(
    db: SQLAlchemy,
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    form: str,
    method: str,
    burst_count: int,
) -> None:
    """PostgreSQL locks no rows of the outer side of a join."""
    parent = new_model(
        "Parent",
        form=form,
        kind=sa.Column(sa.String(9)),
        signalbus_burst_count=burst_count,
        __mapper_args__={
            "polymorphic_on": "kind",
            "polymorphic_identity": "parent",
            "with_polymorphic": "*",
        },
        **SILENT,
    )
    child = child_of(parent)
    db.create_all()
    db.session.add_all(
        [parent(text="a"), child(text="b"), parent(text="c"), child(text="d")]
    )
    db.session.commit()

    assert 4 == getattr(bus, method)()
    assert ["a", "b", "c", "d"] == sorted(wire.sent)
    assert 0 == getattr(bus, method)()


def child_of(parent: SignalModel) -> SignalModel:
    """Declare a model that inherits from *parent*, in a table of its own."""
    attributes = {
        "id": sa.Column(sa.ForeignKey(parent.id), primary_key=True),
        "toy": sa.Column(sa.String(9)),
        "__mapper_args__": {"polymorphic_identity": "child"},
    }
    return type("Child", (parent,), attributes)
