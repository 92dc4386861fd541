"""Whatever the key of a signal is, its entry is its own, and is found again."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
import sqlalchemy as sa
from signalbus_retry import Park
from signalbus_retry import discard
from signalbus_retry import failures
from signalbus_retry import park
from signalbus_retry import replay
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects import postgresql

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

#: What is added to the numbers of the type below.
_MASK = 1000


class Masked(sa.TypeDecorator[int]):
    """Numbers that the database keeps as other numbers."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: object) -> int | None:
        """Return what is kept."""
        return None if value is None else value - _MASK

    def process_result_value(self, value: int | None, dialect: object) -> int | None:
        """Return what was kept."""
        return None if value is None else value + _MASK


class Opaque:
    """A value whose text is another one for each object."""

    def __init__(self, text: str) -> None:
        """Keep *text*, and do not show it."""
        self.text = text

    def __eq__(self, other: object) -> bool:
        """Return whether the texts are equal."""
        return isinstance(other, Opaque) and self.text == other.text

    def __hash__(self) -> int:
        """Hash the text."""
        return hash(self.text)


class OpaqueType(sa.TypeDecorator[Opaque]):
    """How the database keeps it."""

    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value: Opaque | None, dialect: object) -> str | None:
        """Return what is kept."""
        return None if value is None else value.text

    def process_result_value(self, value: str | None, dialect: object) -> Opaque | None:
        """Return what was kept."""
        return None if value is None else Opaque(value)


@dataclasses.dataclass(frozen=True)
class Case:
    """A type of keys, and what a database keeps of one of them."""

    kind: t.Any
    raw: str


OWN = {
    "masked": Case(Masked, "7"),
    "opaque": Case(OpaqueType, "'seven'"),
}


def _signal_that_keeps_its_entry(
    case: Case, bus: SignalBus, new_model: t.Any, execute: t.Any, run: t.Any
) -> SignalModel:
    primary_key = sa.Column(case.kind, primary_key=True, autoincrement=False)
    model: SignalModel = new_model(id=primary_key)
    execute(f"INSERT INTO greeting (id, text) VALUES ({case.raw}, 'bad')")  # noqa: S608 our own text
    run()
    run()
    assert [1] == [each.attempts for each in failures(bus)]
    assert 1 == replay(bus, keys=[each.key for each in failures(bus)])
    run()
    assert 1 == len(list(failures(bus)))
    return model


@pytest.mark.databases
@pytest.mark.parametrize("name", OWN)
def test_type_of_the_applications_own(
    bus: SignalBus,
    new_model: t.Any,
    execute: t.Any,
    boom: t.Any,
    run: t.Any,
    wire: t.Any,
    name: str,
) -> None:
    """It need not say in Python what the database has."""
    _signal_that_keeps_its_entry(OWN[name], bus, new_model, execute, run)

    assert 2 == wire.tries("bad")
    assert 1 == discard(bus)


@pytest.mark.databases
@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1])
def test_integers_of_64_bits(
    bus: SignalBus,
    new_model: t.Any,
    execute: t.Any,
    boom: t.Any,
    run: t.Any,
    wire: t.Any,
    number: int,
) -> None:
    """The smallest and the largest one are keys like any other."""
    case = Case(sa.BigInteger, str(number))
    _signal_that_keeps_its_entry(case, bus, new_model, execute, run)

    assert 2 == wire.tries("bad")
    assert 1 == discard(bus)


POSTGRESQL = {
    "address": Case(postgresql.INET, "'10.0.0.1'"),
    "range": Case(postgresql.INT8RANGE, "'[1,5)'"),
    "network": Case(postgresql.CIDR, "'10.0.0.0/8'"),
    "enum": Case(sa.Enum("red", "blue", name="color"), "'red'"),
    "padded": Case(sa.CHAR(8), "'a'"),
    "numeric": Case(sa.Numeric, "1.500"),
    "bits": Case(postgresql.BIT(3), "B'101'"),
    "hours": Case(sa.Interval, "'1 day 2 hours'"),
}


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("name", POSTGRESQL)
def test_type_of_postgresql(
    bus: SignalBus,
    new_model: t.Any,
    execute: t.Any,
    boom: t.Any,
    run: t.Any,
    wire: t.Any,
    name: str,
) -> None:
    """It need not be known to JSON."""
    _signal_that_keeps_its_entry(POSTGRESQL[name], bus, new_model, execute, run)

    assert 2 == wire.tries("bad")


UNSIGNED = mysql.BIGINT(unsigned=True)

MARIADB = {
    "unsigned": Case(UNSIGNED, "18446744073709551615"),
    "variant": Case(
        sa.BigInteger().with_variant(UNSIGNED, "mysql"), "18446744073709551615"
    ),
    "another name": Case(
        sa.BigInteger().with_variant(UNSIGNED, "mysql", "mariadb"),
        "18446744073709551615",
    ),
    "padded": Case(sa.CHAR(8), "'a'"),
    "accents": Case(sa.String(20), "'É a '"),
    "enum": Case(sa.Enum("red", "blue", name="color"), "'red'"),
}


@pytest.mark.databases("mariadb")
@pytest.mark.parametrize("name", MARIADB)
def test_type_of_mariadb(
    bus: SignalBus,
    new_model: t.Any,
    execute: t.Any,
    boom: t.Any,
    run: t.Any,
    wire: t.Any,
    name: str,
) -> None:
    """It may have more numbers than a BIGINT, and texts that are equal to others."""
    _signal_that_keeps_its_entry(MARIADB[name], bus, new_model, execute, run)

    assert 2 == wire.tries("bad")


@pytest.fixture
def family(db: SQLAlchemy, bus: SignalBus, app_ctx: object, wire: t.Any) -> t.Any:
    """Declare two signal models that share a table."""

    class Base(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))
        kind = sa.Column(sa.String(10))
        __mapper_args__: t.ClassVar = {"polymorphic_on": kind}

    def send(self: t.Any) -> None:
        wire.carry(self)

    def make(name: str) -> t.Any:
        arguments = {"polymorphic_identity": name}
        attributes = {"__mapper_args__": arguments, "send_signalbus_message": send}
        return type(name, (Base,), attributes)

    models = make("Cat"), make("Dog")
    db.create_all()
    return models


@pytest.mark.databases
def test_models_that_share_a_table_leave_each_other_alone(
    bus: SignalBus, execute: t.Any, family: t.Any, wire: t.Any, run: t.Any
) -> None:
    """A signal of the other model is not one that is gone, nor is it listed."""
    cat, dog = family
    wire.failures = {"cat": Park(), "dog": Park(), "late": Park()}
    execute("INSERT INTO base VALUES (1, 'cat', 'Cat'), (2, 'dog', 'Dog')")
    run()
    execute("INSERT INTO base VALUES (3, 'late', 'Dog')")
    run()
    found = [(each.model, each.key) for each in failures(bus)]

    assert [(cat, (1,)), (dog, (2,)), (dog, (3,))] == found
    assert 1 == replay(bus, [cat])
    assert 2 == discard(bus, [dog])


@pytest.mark.databases("postgresql", "mariadb")
def test_names_of_tables_may_differ_in_case(
    bus: SignalBus, new_model: t.Any, record: t.Any, wire: t.Any
) -> None:
    """A signal that waits holds back none with its number in another table."""
    lower = new_model("Lower", __tablename__="note", form="row")
    upper = new_model("Upper", __tablename__="Note", form="row")
    record(lower, "a")
    record(upper, "b")
    park(bus, lower, [(1,)])

    assert 1 == bus.flush()
    assert ["b"] == wire.sent
    assert [lower] == [each.model for each in failures(bus)]


@pytest.mark.parametrize("key", ['["7f"]', '[{"a": 1}]', "[1, 2]", "[null]", "7", "["])
def test_entry_whose_key_cannot_be_read_is_passed_over(
    bus: SignalBus,
    greeting: t.Any,
    record: t.Any,
    db: SQLAlchemy,
    boom: t.Any,
    run: t.Any,
    key: str,
) -> None:
    """The type of a key may have changed; others are counted, listed and replayed."""
    record(greeting, "bad")
    run()
    table = db.metadata.tables["signalbus_failure"]
    change = sa.update(table).values(id="old", number=None, key=key)
    with db.engine.begin() as connection:
        connection.execute(change)
    run()

    assert [((1,), 1)] == [(each.key, each.attempts) for each in failures(bus)]
    assert 1 == replay(bus)
    assert 0 == discard(bus)


@pytest.mark.databases
def test_all_of_very_many_keys_are_found(
    bus: SignalBus, greeting: t.Any, db: SQLAlchemy
) -> None:
    """More than a statement takes parameters, even if all of them exist."""
    rows = [{"id": number, "text": "a"} for number in range(1, 66_001)]
    keys = [(row["id"],) for row in rows]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(greeting.__table__), rows)

    assert len(keys) == park(bus, greeting, keys)
    assert len(keys) == replay(bus, keys=keys)
