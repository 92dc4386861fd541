"""Tables whose key columns are wider than their models say."""

from __future__ import annotations

import contextlib
import decimal
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from signalbus import SignalBusError
from signalbus import SignalModelError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

    NewModel: t.TypeAlias = t.Callable[..., SignalModel]
    Widen: t.TypeAlias = t.Callable[..., None]
    Insert: t.TypeAlias = t.Callable[..., None]

SILENT = {"signalbus_autoflush": False}

BIG = 2**31

#: A key as a model declares it, the type that it really has, and two values that the
#: declared type does not tell apart.
LOSSY = {
    "string": (sa.String(4), "varchar(50)", ("abcd", "abcdef")),
    "char": (sa.CHAR(4), "char(10)", ("abcd", "abcdef")),
    "mixed": (sa.String(4), "char(10)", ("abcd", "abcdef")),
    "numeric": (
        sa.Numeric(6, 2),
        "numeric(20, 6)",
        (decimal.Decimal("1.00"), decimal.Decimal("1.004")),
    ),
}


class Code(sa.TypeDecorator[str]):
    """A text of the application's own kind."""

    impl = sa.String(4)
    cache_ok = True


@pytest.fixture
def widen(db: SQLAlchemy, database: str) -> Widen:
    """Give the column *name* of a model's table another type than the model says."""

    def alter(model: SignalModel, column_type: str, name: str = "id") -> None:
        table = model.__table__.name
        change = f"MODIFY {name} {column_type} NOT NULL"
        if database == "postgresql":
            change = f"ALTER COLUMN {name} TYPE {column_type}"
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} {change}")

    return alter


@pytest.fixture
def insert(db: SQLAlchemy) -> Insert:
    """Make signals pending, with keys that their model would not take."""

    def execute(model: SignalModel, *rows: tuple[t.Any, ...]) -> None:
        names = ("id", "text", "part")[: len(rows[0])]
        table = sa.table(model.__table__.name, *map(sa.column, names))
        with db.engine.begin() as connection:
            for row in rows:
                values = dict(zip(names, row, strict=True))
                connection.execute(sa.insert(table).values(values))

    return execute


@pytest.fixture
def flush_refusing(bus: SignalBus, wire: t.Any) -> t.Callable[[str], None]:
    """Flush by the given method, with a wire that refuses the signal that says so."""

    def flush(method: str) -> None:
        wire.failures["refused"] = ValueError("refused")
        with pytest.raises(ValueError, match="refused"):
            getattr(bus, method)()

    return flush


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("listened", [False, True])
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_only_the_row_that_was_sent_is_deleted(
    bus: SignalBus,
    new_model: NewModel,
    widen: Widen,
    insert: Insert,
    pending: t.Any,
    flush_refusing: t.Callable[[str], None],
    kind: str,
    listened: bool,
    method: str,
) -> None:
    """Keys that the declared type would cut to the same value are told apart."""
    declared, real, (short, long) = LOSSY[kind]
    key = sa.Column(declared, primary_key=True)
    model = new_model(form="row", id=key, signalbus_burst_count=3, **SILENT)
    if listened:
        sa.event.listen(model, "before_delete", lambda *_: None)
    widen(model, real)
    insert(model, (short, "refused"), (long, "sent"))
    flush_refusing(method)

    assert ["refused"] == pending(model)


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_parts_of_a_composite_key_are_told_apart(
    bus: SignalBus,
    new_model: NewModel,
    widen: Widen,
    insert: Insert,
    pending: t.Any,
    flush_refusing: t.Callable[[str], None],
    kind: str,
    method: str,
) -> None:
    """A key of several columns is as exact as one of a single column."""
    declared, real, (short, long) = LOSSY[kind]
    keys = {name: sa.Column(declared, primary_key=True) for name in ("id", "part")}
    model = new_model(form="row", signalbus_burst_count=3, **keys, **SILENT)
    widen(model, real)
    widen(model, real, "part")
    insert(model, (short, "refused", short), (long, "sent", long))
    flush_refusing(method)

    assert {"refused"} <= set(pending(model))
    assert method == "flushordered" or ["refused"] == pending(model)


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("burst_count", [1, 3])
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_number_beyond_the_declared_type_is_sent_once(
    bus: SignalBus,
    new_model: NewModel,
    widen: Widen,
    insert: Insert,
    burst_count: int,
    method: str,
) -> None:
    """An Integer model over a BIGINT column does not end at two thousand millions."""
    model = new_model(form="row", signalbus_burst_count=burst_count, **SILENT)
    widen(model, "bigint")
    insert(model, (BIG, "a"), (BIG + 1, "b"), (2**63 - 1, "c"))

    assert 3 == getattr(bus, method)()
    assert 0 == getattr(bus, method)()


@pytest.mark.databases("mariadb")
@pytest.mark.parametrize("real", ["bigint unsigned", "varchar(30)"])
def test_key_that_mariadb_would_convert_is_found(
    bus: SignalBus, new_model: NewModel, widen: Widen, insert: Insert, real: str
) -> None:
    """Numbers beyond BIGINT, and texts that are none, do not become NULL on the way."""
    model = new_model(form="row", signalbus_burst_count=3, **SILENT)
    widen(model, real)
    insert(model, (str(2**63), "a"), (str(2**63 + 1), "b"))

    assert 2 == bus.flushmany()
    assert 0 == bus.flushmany()


@pytest.mark.databases("mariadb")
def test_text_is_not_taken_for_the_number_it_begins_with(
    bus: SignalBus,
    new_model: NewModel,
    widen: Widen,
    insert: Insert,
    pending: t.Any,
    flush_refusing: t.Callable[[str], None],
) -> None:
    """An Integer model over a VARCHAR column deletes '5 b', and not '5' too."""
    model = new_model(form="row", signalbus_burst_count=3, **SILENT)
    widen(model, "varchar(30)")
    insert(model, ("5", "refused"), ("5 b", "sent"))
    flush_refusing("flushmany")

    assert ["refused"] == pending(model)


@pytest.mark.databases("postgresql")
def test_type_of_the_applications_own_is_widened(
    bus: SignalBus,
    new_model: NewModel,
    widen: Widen,
    insert: Insert,
    pending: t.Any,
    flush_refusing: t.Callable[[str], None],
) -> None:
    """What a TypeDecorator decorates is no less exact."""
    key = sa.Column(Code, primary_key=True)
    model = new_model(form="row", id=key, signalbus_burst_count=3, **SILENT)
    widen(model, "varchar(50)")
    insert(model, ("abcd", "refused"), ("abcdef", "sent"))
    flush_refusing("flushmany")

    assert ["refused"] == pending(model)


@pytest.mark.databases("postgresql")
def test_key_that_cannot_be_looked_up_is_refused_before_it_is_sent(
    bus: SignalBus, new_model: NewModel, widen: Widen, insert: Insert, wire: t.Any
) -> None:
    """A row that could never be deleted by its key is not sent by every run."""
    key = sa.Column(sa.String(4), primary_key=True)
    model = new_model(form="row", id=key, signalbus_burst_count=3, **SILENT)
    insert(model, ("5", "a"))
    widen(model, "integer USING id::integer")
    with pytest.raises(SignalModelError, match="Greeting"):
        bus.flushmany()

    assert [] == wire.sent


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_key_that_is_not_unique_deletes_nothing_unsent(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: NewModel,
    pending: t.Any,
    wire: t.Any,
    method: str,
) -> None:
    """Two rows of the same key are an error, and the refused one of them stays."""
    table = sa.Table(
        "greeting", db.metadata, sa.Column("id", sa.Integer), sa.Column("text", sa.Text)
    )
    mapping = {"__table__": table, "__mapper_args__": {"primary_key": [table.c.id]}}
    model = new_model(form="row", id=table.c.id, text=table.c.text, **mapping, **SILENT)
    model.signalbus_burst_count = 3
    with db.engine.begin() as connection:
        rows = [{"id": 1, "text": "refused"}, {"id": 1, "text": "sent"}]
        connection.execute(sa.insert(table), rows)
    wire.failures["refused"] = ValueError("refused")
    with pytest.raises((SignalBusError, ValueError)):
        getattr(bus, method)()

    assert "refused" in pending(model)


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("burst_count", [1, 3])
def test_key_of_single_precision_is_refused_by_name(
    bus: SignalBus, new_model: NewModel, insert: Insert, wire: t.Any, burst_count: int
) -> None:
    """A FLOAT does not equal the number that it is read as."""
    key = sa.Column(sa.Float(24), primary_key=True)
    model = new_model(form="row", id=key, signalbus_burst_count=burst_count, **SILENT)
    insert(model, (0.1, "a"))
    with pytest.raises(SignalModelError, match=r"Greeting .* single precision"):
        bus.flushmany()

    assert [] == wire.sent


@pytest.mark.databases("mariadb")
@pytest.mark.parametrize("burst_count", [1, 3])
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_table_without_a_primary_key_is_emptied(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: NewModel,
    burst_count: int,
    method: str,
) -> None:
    """A key that only the mapper knows serves, though MariaDB has no index of it."""
    table = sa.Table(
        "greeting", db.metadata, sa.Column("id", sa.Integer), sa.Column("text", sa.Text)
    )
    mapping = {"__table__": table, "__mapper_args__": {"primary_key": [table.c.id]}}
    model = new_model(form="row", id=table.c.id, text=table.c.text, **mapping, **SILENT)
    model.signalbus_burst_count = burst_count
    with db.engine.begin() as connection:
        connection.execute(sa.insert(table), [{"id": 1}, {"id": 2}, {"id": 3}])

    assert 3 == getattr(bus, method)()
    assert 0 == bus.flushmany()


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
@pytest.mark.parametrize(
    ("declared", "real", "refused", "sent"),
    [
        (sa.Integer(), "numeric", "2", "1.5"),
        (sa.Integer(), "double precision", "2", "1.6"),
        (sa.Date(), "timestamp", "2024-01-04 00:00", "2024-01-04 10:00"),
    ],
)
def test_value_that_the_declared_type_cannot_hold_is_refused(
    bus: SignalBus,
    new_model: NewModel,
    widen: Widen,
    insert: Insert,
    pending: t.Any,
    wire: t.Any,
    method: str,
    declared: t.Any,
    real: str,
    refused: str,
    sent: str,
) -> None:
    """A row whose key would be rounded to another's is not sent, nor that deleted."""
    key = sa.Column(declared, primary_key=True)
    model = new_model(form="row", id=key, signalbus_burst_count=3, **SILENT)
    widen(model, f"{real} USING NULL")
    insert(model, (sa.text(f"'{refused}'"), "refused"), (sa.text(f"'{sent}'"), "sent"))
    wire.failures["refused"] = ValueError("refused")
    with pytest.raises((SignalModelError, ValueError)):
        getattr(bus, method)()

    assert "refused" in pending(model)


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("burst_count", [1, 3])
@pytest.mark.parametrize("form", ["row", "instance"])
@pytest.mark.parametrize("listened", [False, True])
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_no_row_of_a_key_that_repeats_is_lost(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: NewModel,
    pending: t.Any,
    wire: t.Any,
    burst_count: int,
    form: str,
    listened: bool,
    method: str,
) -> None:
    """Where a table lacks its unique key, nothing is deleted that was not sent."""
    model = new_model(form=form, signalbus_burst_count=burst_count, **SILENT)
    table = model.__table__
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE greeting DROP CONSTRAINT greeting_pkey")
    if listened:
        sa.event.listen(model, "before_delete", lambda *_: None)
    texts = {"a1": 1, "b1": 1, "a2": 2, "b2": 2, "a3": 3, "a4": 4, "b4": 4}
    with db.engine.begin() as connection:
        rows = [{"id": key, "text": text} for text, key in texts.items()]
        connection.execute(sa.insert(table), rows)
    wire.failures = {text: ValueError("refused") for text in ("b1", "b4")}
    for _ in range(3):
        with contextlib.suppress(SignalBusError, ValueError, sa_exc.DBAPIError):
            getattr(bus, method)()

    assert texts.keys() == {*pending(model), *wire.sent}


@pytest.mark.databases("postgresql")
def test_flush_of_rows_that_are_not_found_is_an_error(
    bus: SignalBus, new_model: NewModel, widen: Widen, insert: Insert, wire: t.Any
) -> None:
    """Keys that no row answers to are not taken for signals that others have sent."""
    model = new_model(form="row", signalbus_burst_count=3, **SILENT)
    widen(model, "numeric")
    insert(model, (decimal.Decimal("1.5"), "a"))
    with pytest.raises(SignalModelError, match="Greeting"):
        bus.flush()

    assert [] == wire.sent
