"""Rows that the database will not delete, or not find in a list."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import SignalBusError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

TRIGGER = """
CREATE FUNCTION keep_c() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF old.text = 'c' THEN RETURN NULL; END IF; RETURN old; END $$
"""


@pytest.fixture
def keeps_c(db: SQLAlchemy, app_ctx: object) -> t.Iterator[t.Callable[..., None]]:
    """Let the database keep, without an error, the row of *model* that says ``c``."""

    def install(model: SignalModel) -> None:
        name = model.__table__.name
        db.session.execute(sa.text(TRIGGER))
        db.session.execute(
            sa.text(
                f"CREATE TRIGGER keep_c BEFORE DELETE ON {name}"
                " FOR EACH ROW EXECUTE FUNCTION keep_c()"
            )
        )
        db.session.commit()

    yield install
    db.session.rollback()
    db.session.execute(sa.text("DROP FUNCTION IF EXISTS keep_c() CASCADE"))
    db.session.commit()


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("burst_count", [1, 3])
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_row_that_the_database_keeps_is_named(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    keeps_c: t.Any,
    burst_count: int,
    method: str,
) -> None:
    """A DELETE that removes nothing is an error, and the signals behind it go out."""
    model = new_model(form="row", signalbus_burst_count=burst_count)
    record(model, *"abcde")
    keeps_c(model)
    with pytest.raises(SignalBusError, match="kept the row") as caught:
        getattr(bus, method)()

    assert ["c"] == pending(model)
    assert "its row could not be deleted" in caught.value.__notes__[0]


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered", "autoflush"])
def test_composite_key_of_another_character_set(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, wire: t.Any, method: str
) -> None:
    """A text in a composite key is found, whatever the table's character set is."""
    label = sa.Column(sa.Unicode(20), primary_key=True)
    table_args = {"mysql_charset": "latin1"}
    model = new_model(form="row", label=label, __table_args__=table_args)
    bus.autoflush = method == "autoflush"
    texts = ["é", "ß", "ss x"]
    db.session.add_all(
        model(id=number, label=text, text=text) for number, text in enumerate(texts)
    )
    db.session.commit()
    if method != "autoflush":
        getattr(bus, method)()

    assert sorted(texts) == sorted(wire.sent)
