"""Rows that cannot be read do not hide the others."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


class Strict(sa.TypeDecorator[str]):
    """Text that refuses to be read where it says ``broken``."""

    impl = sa.String(50)
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: object) -> str | None:
        """Refuse what is broken."""
        if value == "broken":
            raise ValueError("this value is broken")
        return value


@pytest.fixture(params=["row", "instance"])
def strict(request: pytest.FixtureRequest, new_model: t.Any) -> SignalModel:
    """Give a model with a column that may be unreadable, in bursts of three."""
    return new_model(
        form=request.param,
        strict=sa.Column(Strict),
        signalbus_burst_count=3,
    )


@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_unreadable_row_is_kept_and_named(
    bus: SignalBus,
    db: SQLAlchemy,
    strict: SignalModel,
    record: t.Any,
    pending: t.Any,
    method: str,
) -> None:
    """A row that cannot be read stays; all others are sent; the error names it."""
    bus.autoflush = False
    record(strict, "a", "b", "c", "d", "e", "f", "g")
    table = strict.__table__
    broken = sa.update(table).where(table.c.text == "e").values(strict="broken")
    db.session.execute(broken)
    db.session.commit()

    with pytest.raises(ValueError, match="broken") as caught:
        getattr(bus, method)([strict])

    assert ["e"] == pending(strict)
    assert "was not sent" in caught.value.__notes__[0]
