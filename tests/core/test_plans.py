"""A flush finds its rows by the primary key, whatever the statistics say."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.databases("postgresql")

#: So many rows that to scan them all costs more than to look a burst of them up.
MANY = 100_000


@pytest.fixture(params=[1, 1000])
def model(request: pytest.FixtureRequest, new_model: t.Any) -> SignalModel:
    """Give a model in row form, in bursts of one or of many."""
    model: SignalModel = new_model(
        form="row", burst=True, signalbus_burst_count=request.param
    )
    return model


@pytest.fixture
def plans(db: SQLAlchemy, app_ctx: object) -> Iterator[list[str]]:
    """Give the plans of what is executed, made just before with the same values."""
    plans: list[str] = []

    def explain(
        connection: sa.Connection, cursor: t.Any, text: str, values: t.Any, *rest: t.Any
    ) -> None:
        if text.startswith(("SELECT", "DELETE")):
            cursor.execute(f"EXPLAIN {text}", values)
            plans.append("\n".join(line for (line,) in cursor.fetchall()))

    sa.event.listen(db.engine, "before_cursor_execute", explain)
    yield plans
    sa.event.remove(db.engine, "before_cursor_execute", explain)


@pytest.fixture
def maintain(db: SQLAlchemy, model: SignalModel) -> t.Callable[[str], None]:
    """Execute a command of maintenance on the model's table."""

    def execute(command: str) -> None:
        engine = db.engine.execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"{command} {model.__table__.name}"))

    return execute


class EnoughError(BaseException):
    """Some bursts have been sent."""


@pytest.fixture
def stopping_bus(bus: SignalBus) -> SignalBus:
    """Give a bus that stops after three bursts."""
    sent: list[int] = []

    class Stop:
        @hookimpl
        def signalbus_burst_sent(self, count: int) -> None:
            sent.append(count)
            if len(sent) == 3:
                raise EnoughError

    bus.plugin_manager.register(Stop())
    return bus


def fill(db: SQLAlchemy, model: SignalModel) -> None:
    """Let many signals be pending."""
    table = model.__table__.name
    db.session.execute(
        sa.text(
            f"INSERT INTO {table} (text)"  # noqa: S608 a name of ours
            f" SELECT repeat('x', 40) FROM generate_series(1, {MANY})"
        )
    )
    db.session.commit()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", "", id="never analyzed"),
        pytest.param("VACUUM ANALYZE", "", id="analyzed when empty"),
        pytest.param("", "VACUUM ANALYZE", id="analyzed when full"),
    ],
)
def test_full_table_is_not_scanned(
    stopping_bus: SignalBus,
    db: SQLAlchemy,
    model: SignalModel,
    plans: list[str],
    maintain: t.Callable[[str], None],
    before: str,
    after: str,
) -> None:
    """However old the statistics are, every statement of a burst uses the key."""
    if before:
        maintain(before)
    fill(db, model)
    if after:
        maintain(after)
    plans.clear()
    with pytest.raises(EnoughError):
        stopping_bus.flushmany([model])

    assert plans
    assert [] == [plan for plan in plans if "Seq Scan" in plan]


class Holds:
    """Holds back every tenth of the first 3,000 signals."""

    @hookimpl
    def signalbus_held_back(self) -> t.Any:
        """Return itself."""
        return self

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Look at the keys alone."""
        return {key: False for key in keys if key[0] % 10 == 1 and key[0] < 3000}


def test_full_table_is_not_scanned_for_keys_that_are_read_ahead(
    stopping_bus: SignalBus, db: SQLAlchemy, model: SignalModel, plans: list[str]
) -> None:
    """Nor for the rows that are locked by these keys."""
    stopping_bus.plugin_manager.register(Holds())
    fill(db, model)
    plans.clear()
    with pytest.raises(EnoughError):
        stopping_bus.flushmany([model])

    assert len(plans) > 6  # three bursts, and the keys
    assert [] == [plan for plan in plans if "Seq Scan" in plan]


def test_just_emptied_table_is_not_scanned(
    bus: SignalBus,
    db: SQLAlchemy,
    model: SignalModel,
    plans: list[str],
    maintain: t.Callable[[str], None],
) -> None:
    """Dead rows that nobody has cleaned up yet are passed by, too."""
    fill(db, model)
    maintain("VACUUM ANALYZE")
    db.session.execute(sa.delete(model))
    db.session.commit()
    plans.clear()
    bus.flushmany([model])

    assert plans
    assert [] == [plan for plan in plans if "Seq Scan" in plan]


def test_plan_for_an_empty_table_is_not_kept(
    bus: SignalBus, db: SQLAlchemy, model: SignalModel, record: t.Any
) -> None:
    """A flush leaves no prepared statement behind, whose plan would grow old."""
    for text in "abcdefghij":
        record(model, text)
        bus.flushmany([model])
    prepared = sa.text("SELECT statement FROM pg_prepared_statements")

    with db.engine.connect() as connection:
        statements = connection.scalars(prepared).all()
    assert [] == [text for text in statements if "FOR UPDATE" in text]
