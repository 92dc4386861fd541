"""Signals with the same ordering key are sent one after another, in order.

The text of a signal is its key and its number: "a1" is the first signal of the key "a".
"""

from __future__ import annotations

import datetime as dt
import decimal
import threading
import typing as t
import uuid
from concurrent.futures import wait

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import BrokerUnavailableError
from signalbus import PartialDeliveryError
from signalbus import SignalModelError
from signalbus.stopping import StopToken
from signalbus.testing import MemoryBroker

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: Longer than anything takes here, in seconds.
LONG = 60.0

#: A signal that has the key null.
NULL = "-"

WAYS = ["flush", "flushmany", "flushordered", "flushkeys"]
FORMS = [("instance", False), ("row", False), ("row", True), ("instance", True)]
COUNTS = [1, 3, 100]

#: Each way with two forms, and each form with two ways, in bursts of one, of a few and
#: of many.
COMBINATIONS = [
    (way, form, burst, COUNTS[(row + column) % 3])
    for row, way in enumerate(WAYS)
    for column, (form, burst) in enumerate(FORMS)
    if (row - column) % 4 < 2
]

every_way = pytest.mark.parametrize("way", WAYS)
some_ways = pytest.mark.parametrize("way", ["flushmany", "flushordered"])
every_combination = pytest.mark.parametrize(
    ("way", "form", "burst", "count"), COMBINATIONS
)
every_autoflush = pytest.mark.parametrize("autoflush", [True, "background"])
with_row_locks = pytest.mark.databases("postgresql", "mariadb")


def texts_of(keys: str, count: int) -> list[str]:
    """Return the texts of *count* signals of each key, one key after the other."""
    return [f"{key}{number}" for number in range(1, count + 1) for key in keys]


def by_key(texts: t.Iterable[str]) -> dict[str, list[str]]:
    """Return the *texts* of each key, in their order."""
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(text[0], []).append(text)
    return found


def calls_with(wire: t.Any, text: str) -> int:
    """Return how often the signal with this *text* was given to a sender."""
    return sum(text in call for call in wire.attempts)


@pytest.fixture
def new_event(new_model: t.Any) -> t.Callable[..., SignalModel]:
    """Declare a signal model that is ordered by account."""

    def make(name: str = "Event", **attributes: t.Any) -> SignalModel:
        declared = {
            "account": sa.Column(sa.String(20)),
            "signalbus_ordering_key": "account",
        }
        return new_model(name, **{**declared, **attributes})

    return make


@pytest.fixture
def insert(db: SQLAlchemy) -> t.Callable[..., None]:
    """Make signals pending, past any session, in the order of *rows*."""

    def execute(model: SignalModel, *rows: dict[str, t.Any]) -> None:
        with db.engine.begin() as connection:
            for row in rows:
                connection.execute(sa.insert(model.__table__).values(**row))

    return execute


@pytest.fixture
def post(insert: t.Any) -> t.Callable[..., None]:
    """Make signals pending with ``post(model, *texts)``; a text begins with its key."""

    def insert_texts(model: SignalModel, *texts: str) -> None:
        insert(
            model,
            *(
                {"text": text, "account": None if text[0] == NULL else text[0]}
                for text in texts
            ),
        )

    return insert_texts


@pytest.fixture
def commit(db: SQLAlchemy, bus: SignalBus) -> t.Callable[..., None]:
    """Record signals in one transaction, and wait until autoflush is done with it."""

    def record_and_commit(model: SignalModel, *texts: str) -> None:
        db.session.add_all([model(text=text, account=text[0]) for text in texts])
        db.session.commit()
        assert bus.drain_autoflush(LONG)

    return record_and_commit


@pytest.fixture
def run(bus: SignalBus, db: SQLAlchemy) -> t.Callable[[str, SignalModel], int]:
    """Send what is pending in one of the ways; ``flushkeys`` gets the last key first.

    It returns how many signals were sent.
    """

    def call(way: str, model: SignalModel) -> int:
        if way != "flushkeys":
            return int(getattr(bus, way)([model]))
        columns = model.__mapper__.primary_key
        with db.engine.connect() as connection:
            keys = connection.execute(sa.select(*columns).order_by(*columns)).all()
        return bus.flushkeys(model, [tuple(key) for key in reversed(keys)])

    return call


# What a model declares


def test_declaration_has_the_key(bus: SignalBus, new_event: t.Any) -> None:
    """A name is given as a tuple of one attribute."""
    assert ("account",) == bus.declaration(new_event()).ordering_key


def test_without_a_key_the_declaration_has_an_empty_one(
    bus: SignalBus, greeting: SignalModel
) -> None:
    """A model that says nothing has no order by key."""
    assert () == bus.declaration(greeting).ordering_key


@pytest.mark.parametrize("name", ["account", "acct"])
def test_key_may_be_the_name_of_the_attribute_or_of_the_column(
    bus: SignalBus, new_event: t.Any, name: str
) -> None:
    """Where they differ, both are known, and the declaration has the attribute's."""
    column = sa.Column("acct", sa.String(20))
    model = new_event(account=column, signalbus_ordering_key=name)

    assert ("account",) == bus.declaration(model).ordering_key


def test_key_may_be_a_tuple_of_columns(
    bus: SignalBus, db: SQLAlchemy, app_ctx: object
) -> None:
    """They are those of the class body, and keep their order."""

    class Transfer(db.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        account_id: sa_orm.Mapped[int] = sa_orm.mapped_column("account")
        region = sa.Column(sa.String(20))
        signalbus_ordering_key = (region, account_id)

        def send_signalbus_message(self) -> None:
            pass

    assert ("region", "account_id") == bus.declaration(Transfer).ordering_key


def test_key_may_mix_columns_and_names(bus: SignalBus, new_event: t.Any) -> None:
    """A tuple may have both."""
    region = sa.Column(sa.String(20))
    key = (region, "account")
    model = new_event(region=region, signalbus_ordering_key=key)

    assert ("region", "account") == bus.declaration(model).ordering_key


def test_key_may_be_a_tuple_of_one_name(bus: SignalBus, new_event: t.Any) -> None:
    """It is the same as the name."""
    model = new_event(signalbus_ordering_key=("account",))

    assert ("account",) == bus.declaration(model).ordering_key


@pytest.mark.filterwarnings("ignore:Ignoring declarative-like tuple")
def test_key_may_be_a_tuple_of_one_column(bus: SignalBus, new_event: t.Any) -> None:
    """It works, but SQLAlchemy warns about the comma."""
    column = sa.Column("acct", sa.String(20))
    model = new_event(account=column, signalbus_ordering_key=(column,))

    assert ("account",) == bus.declaration(model).ordering_key


def test_key_may_be_given_after_the_class(bus: SignalBus, new_model: t.Any) -> None:
    """Then it has the attributes of the class."""
    model = new_model()
    model.signalbus_ordering_key = (model.text,)

    assert ("text",) == bus.declaration(model).ordering_key


@pytest.mark.filterwarnings("ignore:On class 'Transfer', Column object")
@pytest.mark.parametrize("old_style", [True, False])
def test_key_that_sqlalchemy_takes_for_the_name_of_a_column_is_refused(
    bus: SignalBus, db: SQLAlchemy, app_ctx: object, old_style: bool
) -> None:
    """A bare column in the class body is mapped a second time, and loses its name."""
    column: t.Any = (
        sa.Column("account", sa.Integer)
        if old_style
        else sa_orm.mapped_column("account", sa.Integer)
    )

    class Transfer(db.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        account = column
        signalbus_ordering_key = column

        def send_signalbus_message(self) -> None:
            pass

    with pytest.raises(SignalModelError, match=r"Transfer .*signalbus_ordering_key"):
        bus.get_signal_models()


def test_key_may_be_a_part_of_the_primary_key(bus: SignalBus, new_event: t.Any) -> None:
    """Nothing is special about the columns of the primary key."""
    account = sa.Column(sa.String(20), primary_key=True)
    model = new_event(account=account)

    assert ("account",) == bus.declaration(model).ordering_key


@pytest.mark.parametrize("by_name", [True, False])
def test_key_may_be_inherited_from_an_abstract_model(
    bus: SignalBus, db: SQLAlchemy, app_ctx: object, by_name: bool
) -> None:
    """Abstract models pass their declarations on, and SQLAlchemy copies their columns.

    The key is made of the model's own columns.
    """

    class Base(db.Model):  # type: ignore[misc, name-defined]
        __abstract__ = True
        id = sa.Column(sa.Integer, primary_key=True)
        region = sa.Column(sa.String(20))
        account = sa.Column("acct", sa.String(20))
        signalbus_ordering_key = ("region", "account") if by_name else (region, account)

        def send_signalbus_message(self) -> None:
            pass

    class Opened(Base):
        pass

    class Closed(Base):
        pass

    for model in (Opened, Closed):
        assert ("region", "account") == bus.declaration(model).ordering_key


def test_key_is_known_to_the_spelling_check(
    new_event: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A model that declares a key does not cause a warning."""
    new_event()
    sa_orm.configure_mappers()

    assert [] == caplog.records


@pytest.mark.parametrize(
    "key",
    [
        "acount",
        "",
        "send_signalbus_message",
        (),
        ("account", "acount"),
        ("account", ()),
        ["account"],
        {"account"},
        7,
        True,
        ("account", sa.func.lower(sa.column("account"))),
        ("account", sa.Column("account", sa.String(20)).desc()),
        ("account", sa.Column("elsewhere", sa.Integer)),
    ],
    ids=lambda key: type(key).__name__ + str(key)[:30],
)
def test_key_that_cannot_be_one_is_refused(
    bus: SignalBus, new_event: t.Any, key: t.Any
) -> None:
    """The error names the model and the attribute."""
    new_event(signalbus_ordering_key=key)

    with pytest.raises(SignalModelError, match=r"Event .*signalbus_ordering_key"):
        bus.get_signal_models()


def test_key_of_another_model_is_refused(
    bus: SignalBus, new_model: t.Any, new_event: t.Any
) -> None:
    """A column of the same name in another table is not the model's."""
    other = new_model("Other")
    new_event(signalbus_ordering_key=("account", other.text))

    with pytest.raises(SignalModelError, match=r"Event .*signalbus_ordering_key"):
        bus.get_signal_models()


def test_key_of_json_is_refused(bus: SignalBus, new_event: t.Any) -> None:
    """Databases do not compare JSON in the same way, or not at all."""
    column = sa.Column(sa.JSON)
    new_event(account=column)

    with pytest.raises(SignalModelError, match=r"Event .*account"):
        bus.get_signal_models()


def test_misdeclared_key_sends_nothing(
    bus: SignalBus, new_event: t.Any, wire: t.Any, commit: t.Any, pending: t.Any
) -> None:
    """A commit does not fail because of it, and leaves its signals pending."""
    model = new_event(signalbus_ordering_key="acount")
    commit(model, "a1")
    with pytest.raises(SignalModelError, match="Event"):
        bus.flushmany()

    assert [] == wire.attempts
    assert ["a1"] == pending(model)


# The order of a key


@pytest.mark.databases
@every_combination
def test_each_key_is_sent_in_order(
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    pending: t.Any,
    way: str,
    form: str,
    burst: bool,
    count: int,
) -> None:
    """The order is that of the primary key, and every signal is sent once."""
    model = new_event(form=form, burst=burst, signalbus_burst_count=count)
    texts = [*texts_of("abc", 4), *texts_of("d", 9)]
    post(model, *texts)

    assert len(texts) == run(way, model)
    assert by_key(texts) == by_key(wire.sent)
    assert [] == pending(model)


@pytest.mark.databases
@every_way
def test_primary_key_counts_and_not_when_a_signal_was_recorded(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """Signals that were recorded later, with smaller primary keys, go first."""
    model = new_event(form="row", signalbus_burst_count=3)
    insert(
        model,
        *(
            {"id": 10 * number + ord(key), "account": key, "text": f"{key}{number}"}
            for number in (3, 1, 5, 2, 4)
            for key in "ab"
        ),
    )
    run(way, model)

    assert by_key(texts_of("ab", 5)) == by_key(wire.sent)


@pytest.mark.databases
@every_way
def test_order_by_counts_within_a_key(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """The highest rank goes first, if the model says so, and then by primary key."""
    rank = sa.Column(sa.Integer)
    model = new_event(
        form="row",
        rank=rank,
        signalbus_burst_count=2,
        signalbus_order_by=(rank.desc(),),
    )
    ranks = {"a3": 1, "a1": 9, "b1": 5, "b2": 5, "a2": 4, "b3": 5, "a4": 1}
    insert(
        model,
        *({"text": x, "account": x[0], "rank": rank} for x, rank in ranks.items()),
    )
    run(way, model)

    assert by_key([*texts_of("a", 4), *texts_of("b", 3)]) == by_key(wire.sent)


@pytest.mark.databases
@some_ways
def test_order_by_may_be_a_time(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """The time of recording is what most people have."""
    moment = sa.Column(sa.DateTime)
    model = new_event(
        moment=moment, signalbus_burst_count=2, signalbus_order_by=(moment.asc(),)
    )
    insert(
        model,
        *(
            {"text": text, "account": text[0], "moment": dt.datetime(2026, 1, day)}  # noqa: DTZ001 as databases have it
            for day, text in [(7, "a3"), (8, "b2"), (5, "a2"), (3, "a1"), (3, "b1")]
        ),
    )
    run(way, model)

    assert by_key(["a1", "a2", "a3", "b1", "b2"]) == by_key(wire.sent)


@pytest.mark.databases
@some_ways
def test_order_by_may_be_an_expression(
    new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """The order may be computed by the database."""
    text = sa.Column(sa.String(50))
    model = new_event(
        form="row",
        text=text,
        signalbus_burst_count=2,
        signalbus_order_by=(sa.func.length(text).desc(), text),
    )
    post(model, "a1", "a22", "b1", "a333", "b333", "b0")
    run(way, model)

    assert by_key(["a333", "a22", "a1", "b333", "b0", "b1"]) == by_key(wire.sent)


@pytest.mark.databases
@some_ways
def test_order_by_may_be_null(
    db: SQLAlchemy, new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """Null goes where the database puts it, in every way of flushing."""
    rank = sa.Column(sa.Integer)
    model = new_event(
        form="row", rank=rank, signalbus_burst_count=2, signalbus_order_by=(rank.asc(),)
    )
    ranks = [3, None, 1, None, 2]
    insert(
        model,
        *(
            {"text": f"{key}{number}", "account": key, "rank": rank}
            for number, rank in enumerate(ranks)
            for key in "ab"
        ),
    )
    with db.engine.connect() as connection:
        table = model.__table__
        query = sa.select(table.c.text).order_by(table.c.rank, table.c.id)
        expected = connection.scalars(query).all()
    run(way, model)

    assert by_key(expected) == by_key(wire.sent)


@pytest.mark.databases
@some_ways
@pytest.mark.parametrize("form", ["instance", "row"])
def test_primary_key_may_have_several_columns(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, way: str, form: str
) -> None:
    """Its columns are compared one after the other; the key may be one of them."""
    account = sa.Column(sa.String(20), primary_key=True)
    model = new_event(
        form=form,
        id=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        account=account,
        signalbus_burst_count=3,
    )
    insert(
        model,
        *(
            {"id": number, "account": key, "text": f"{key}{number}"}
            for number in (2, 4, 1, 3)
            for key in "cab"
        ),
    )
    run(way, model)

    assert by_key(texts_of("abc", 4)) == by_key(wire.sent)


@pytest.mark.databases
@some_ways
def test_models_that_need_the_orm_keep_the_order(
    new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, pending: t.Any, way: str
) -> None:
    """Signals that are deleted through the session are no exception."""
    model = new_event(burst=True, signalbus_burst_count=5)
    deleted: list[str] = []

    def note(mapper: object, connection: object, signal: t.Any) -> None:
        deleted.append(signal.text)

    sa.event.listen(model, "before_delete", note)
    texts = texts_of("abc", 4)
    post(model, *texts)
    run(way, model)

    assert by_key(texts) == by_key(wire.sent)
    assert sorted(texts) == sorted(deleted)
    assert [] == pending(model)


@pytest.mark.databases
@some_ways
def test_column_may_have_another_name_than_its_attribute(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """Statements have the name of the column."""
    column = sa.Column("acct", sa.String(20))
    model = new_event(
        form="row",
        account=column,
        signalbus_burst_count=4,
    )
    texts = texts_of("ab", 3)
    insert(model, *({"text": text, "acct": text[0]} for text in texts))
    run(way, model)

    assert by_key(texts) == by_key(wire.sent)


# What a key may be


TYPES: dict[str, tuple[t.Any, t.Any, t.Any]] = {
    "integer": (sa.Integer, 1, 2),
    "big integer": (sa.BigInteger, 2**40, -(2**40)),
    "text": (sa.String(20), "it's", 'a "key" %s'),
    "UUID": (sa.Uuid, uuid.UUID(int=1), uuid.UUID(int=2)),
    "number": (sa.Numeric(10, 2), decimal.Decimal("1.10"), decimal.Decimal("1.11")),
    "date": (sa.Date, dt.date(2026, 1, 1), dt.date(2026, 1, 2)),
    "time": (sa.DateTime, dt.datetime(2026, 1, 1, 1), dt.datetime(2026, 1, 1, 2)),  # noqa: DTZ001 as databases have it
    "boolean": (sa.Boolean, True, False),
    "enum": (sa.Enum("new", "old", name="age"), "new", "old"),
    "bytes": (sa.LargeBinary(20), b"\x00a", b"\x00b"),
}


@pytest.mark.databases
@pytest.mark.parametrize("name", TYPES)
def test_key_may_have_any_type_that_databases_compare(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, name: str
) -> None:
    """Two values are two keys: what fails in one does not hold back the other."""
    kind, one, other = TYPES[name]
    column = sa.Column(kind)
    model = new_event(
        form="row",
        burst=True,
        account=column,
        signalbus_burst_count=10,
    )
    values = {"a": one, "b": other}
    texts = texts_of("ab", 3)
    insert(model, *({"text": text, "account": values[text[0]]} for text in texts))
    wire.failures["a2"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        run("flushmany", model)

    assert {"a": ["a1"], "b": ["b1", "b2", "b3"]} == by_key(wire.sent)
    wire.failures.clear()
    run("flushmany", model)
    assert by_key(texts) == by_key(wire.sent)


@pytest.mark.databases
@every_way
def test_null_is_a_key_like_any_other(
    new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, pending: t.Any, way: str
) -> None:
    """Signals without a value are in order, and hold back only each other."""
    model = new_event(form="row", burst=True, signalbus_burst_count=10)
    post(model, *texts_of("-ab", 3))
    wire.failures["-2"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        run(way, model)

    assert by_key(["-1", *texts_of("ab", 3)]) == by_key(wire.sent)
    assert ["-2", "-3"] == pending(model)
    wire.failures.clear()
    run(way, model)
    assert by_key(texts_of("-ab", 3)) == by_key(wire.sent)


@pytest.mark.databases
def test_empty_text_is_not_null(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any
) -> None:
    """They are two keys."""
    model = new_event(form="row", burst=True, signalbus_burst_count=10)
    accounts = {"n": None, "e": ""}
    texts = texts_of("ne", 2)
    insert(model, *({"text": text, "account": accounts[text[0]]} for text in texts))
    wire.failures["n1"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        run("flushmany", model)

    assert ["e1", "e2"] == wire.sent


#: The values of keys that have two columns; a signal's text begins with the letter.
PAIRS: dict[str, tuple[str | None, str | None]] = {
    "a": ("x", "y"),
    "b": ("x", "z"),
    "c": ("w", "y"),
    "d": ("xy", ""),
    "e": ("x", None),
    "f": (None, "x"),
    "g": (None, None),
    "h": ("x,y", "z"),
    "i": ("x", "y,z"),
}


@pytest.mark.databases
@some_ways
def test_tuple_is_one_key(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """All of its columns must be equal; null is equal to null."""
    model = new_event(
        form="row",
        burst=True,
        region=sa.Column(sa.String(20)),
        signalbus_ordering_key=("region", "account"),
        signalbus_burst_count=7,
    )
    keys = "".join(PAIRS)
    texts = texts_of(keys, 3)
    insert(
        model,
        *(
            {"text": text, "region": region, "account": account}
            for text in texts
            for region, account in [PAIRS[text[0]]]
        ),
    )
    for text in ("a1", "e2", "g1"):
        wire.failures[text] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        run(way, model)

    assert by_key(["e1", *texts_of("bcdfhi", 3)]) == by_key(wire.sent)
    wire.failures.clear()
    run(way, model)
    assert by_key(texts) == by_key(wire.sent)


@pytest.fixture
def case_blind(db: SQLAlchemy, app_ctx: object, database: str) -> str:
    """Name a collation for which "a" and "A" are equal."""
    if database == "postgresql":
        with db.engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE COLLATION case_blind (provider = icu, deterministic = false,"
                " locale = 'und-u-ks-level2')"
            )
    names = {"mariadb": "utf8mb4_general_ci", "sqlite": "NOCASE"}
    return names.get(database, "case_blind")


@pytest.mark.databases
@some_ways
def test_keys_are_equal_where_the_database_says_so(
    new_event: t.Any,
    insert: t.Any,
    run: t.Any,
    wire: t.Any,
    pending: t.Any,
    case_blind: str,
    way: str,
) -> None:
    """Under a collation that ignores case, "a" and "A" are one key."""
    column = sa.Column(sa.String(20, collation=case_blind))
    model = new_event(
        form="row",
        burst=True,
        account=column,
        signalbus_burst_count=10,
    )
    accounts = {"x1": "a", "x2": "A", "y1": "b", "x3": "a", "y2": "B", "x4": "A"}
    insert(model, *({"text": x, "account": y} for x, y in accounts.items()))
    wire.failures["x2"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        run(way, model)

    assert {"x": ["x1"], "y": ["y1", "y2"]} == by_key(wire.sent)
    assert ["x2", "x3", "x4"] == pending(model)
    assert all(len(by_key(call)) == len(call) for call in wire.attempts)


@pytest.mark.databases("mariadb")
def test_keys_are_equal_where_mariadb_pads_them(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any
) -> None:
    """MariaDB ignores spaces at the end, and many of its collations ignore accents."""
    column = sa.Column(sa.String(20, collation="utf8mb4_general_ci"))
    model = new_event(
        form="row",
        burst=True,
        account=column,
        signalbus_burst_count=10,
    )
    accounts = {"x1": "a", "x2": "a ", "x3": "Ä", "y1": "b", "x4": "á  "}
    insert(model, *({"text": x, "account": y} for x, y in accounts.items()))
    wire.failures["x3"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        run("flushmany", model)

    assert {"x": ["x1", "x2"], "y": ["y1"]} == by_key(wire.sent)


# What fails


@pytest.mark.databases
@every_combination
def test_failing_signal_holds_back_its_key_and_no_other(
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    pending: t.Any,
    way: str,
    form: str,
    burst: bool,
    count: int,
) -> None:
    """What is behind it is not tried in this run; ``flushordered`` goes on, too."""
    model = new_event(form=form, burst=burst, signalbus_burst_count=count)
    post(model, *texts_of("abc", 6))
    wire.failures["b3"] = ValueError("boom")
    with pytest.raises(Exception, match=r"boom"):
        run(way, model)

    assert by_key(["b1", "b2", *texts_of("ac", 6)]) == by_key(wire.sent)
    assert ["b3", "b4", "b5", "b6"] == pending(model)
    assert 0 == calls_with(wire, "b4")


@pytest.mark.databases
@every_combination
def test_key_goes_on_when_what_failed_works_again(
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    way: str,
    form: str,
    burst: bool,
    count: int,
) -> None:
    """The next run begins with what failed."""
    model = new_event(form=form, burst=burst, signalbus_burst_count=count)
    post(model, *texts_of("abc", 3))
    wire.failures["a1"] = wire.failures["b2"] = ValueError("boom")
    with pytest.raises(Exception, match=r"boom"):
        run(way, model)
    wire.failures.clear()
    post(model, "a4")

    assert 6 == run(way, model)
    assert by_key([*texts_of("abc", 3), "a4"]) == by_key(wire.sent)


@pytest.mark.databases
def test_error_names_what_failed_and_not_what_it_held_back(
    new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, told: t.Any
) -> None:
    """What was held back did not fail."""
    model = new_event(form="row", signalbus_burst_count=3)
    post(model, "a1", "a2", "b1")
    wire.failures["a1"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom") as raised:
        run("flushmany", model)

    assert "Event(id=1)" in told(raised.value)
    assert "Event(id=2)" not in told(raised.value)


@pytest.mark.databases
@some_ways
def test_many_failing_keys_leave_the_others_alone(
    new_event: t.Any, insert: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """Keys whose first signals fail may fill many bursts."""
    model = new_event(form="row", signalbus_burst_count=5)
    texts = [f"{number} {key}" for number in (1, 2) for key in range(60)]
    insert(model, *({"text": text, "account": text[2:]} for text in texts))
    failing = {str(key) for key in range(60) if key % 6}
    for key in failing:
        wire.failures[f"1 {key}"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        run(way, model)

    assert sorted(x for x in texts if x[2:] not in failing) == sorted(wire.sent)


@pytest.mark.databases
def test_broker_that_knows_which_failed_goes_on_with_the_other_keys(
    bus: SignalBus, new_event: t.Any, post: t.Any, run: t.Any, pending: t.Any
) -> None:
    """Nothing is sent twice, and nothing behind a refused signal is sent at all."""
    model = new_event(form="memory", signalbus_burst_count=100)
    broker = MemoryBroker()
    broker.refuse(lambda signal: signal.text in {"a1", "b2"})
    bus.plugin_manager.register(broker)
    post(model, *texts_of("abc", 3))
    with pytest.raises(ValueError, match="refused"):
        run("flushmany", model)

    sent = [signal.values["text"] for signal in broker.sent]
    assert {"b": ["b1"], "c": ["c1", "c2", "c3"]} == by_key(sent)
    assert ["a1", "a2", "b2", "a3", "b3"] == pending(model)


@pytest.mark.databases
@some_ways
@pytest.mark.parametrize("form", ["instance", "row"])
def test_burst_method_that_knows_which_failed_goes_on_with_the_other_keys(
    new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, way: str, form: str
) -> None:
    """What it does not name is confirmed, and not sent again."""
    calls: list[str] = []

    def send_signalbus_messages(cls: SignalModel, signals: t.Sequence[Signal]) -> None:
        calls.extend(signal.text for signal in signals)
        errors: dict[int, Exception] = {
            position: wire.failures[signal.text]
            for position, signal in enumerate(signals)
            if signal.text in wire.failures
        }
        if errors:
            raise PartialDeliveryError(errors)

    model = new_event(
        form=form,
        signalbus_burst_count=100,
        send_signalbus_messages=classmethod(send_signalbus_messages),
    )
    wire.failures["a1"] = wire.failures["b2"] = ValueError("boom")
    post(model, *texts_of("abc", 3))
    with pytest.raises(ValueError, match="boom"):
        run(way, model)

    assert by_key(["a1", "b1", "b2", *texts_of("c", 3)]) == by_key(calls)


@pytest.mark.databases
@every_way
@pytest.mark.parametrize("form", ["instance", "row"])
def test_burst_method_that_fails_repeats_one_wave_only(
    new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, way: str, form: str
) -> None:
    """Its wave is sent one by one; what earlier waves confirmed is not sent again."""
    model = new_event(form=form, burst=True, signalbus_burst_count=100)
    post(model, *texts_of("abc", 3))
    wire.failures["b2"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        run(way, model)

    assert by_key(["b1", *texts_of("ac", 3)]) == by_key(wire.sent)
    assert [1, 1, 1] == [calls_with(wire, text) for text in ("a1", "b1", "c1")]
    assert ["b2"] in wire.attempts
    assert 0 == calls_with(wire, "b3")


@pytest.mark.databases
@some_ways
@pytest.mark.parametrize(
    "error", [BrokerUnavailableError("gone"), ConnectionError("gone")]
)
def test_broker_that_goes_away_repeats_no_earlier_wave(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    pending: t.Any,
    way: str,
    error: Exception,
) -> None:
    """What was confirmed before is gone for good; the rest follows in order."""
    model = new_event(form="row", burst=True, signalbus_burst_count=100)
    post(model, *texts_of("abc", 3))
    wire.failures["b2"] = error
    with pytest.raises(type(error), match="gone"):
        run(way, model)

    assert texts_of("abc", 1) == sorted(wire.sent)
    assert texts_of("abc", 3)[3:] == pending(model)
    wire.failures.clear()
    bus.reset_breakers()
    run(way, model)
    assert by_key(texts_of("abc", 3)) == by_key(wire.sent)


# Bursts and waves


@pytest.mark.databases
@every_way
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("count", [4, 100])
def test_no_call_has_two_signals_of_one_key(
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    way: str,
    form: str,
    count: int,
) -> None:
    """A burst method could not say what came first, so it gets one of each key."""
    model = new_event(form=form, burst=True, signalbus_burst_count=count)
    post(model, *texts_of("ab", 4), *texts_of("cde", 2), "-1", "-2")
    run(way, model)

    assert all(len(by_key(call)) == len(call) for call in wire.attempts)
    assert max(map(len, wire.attempts)) <= count


@pytest.mark.databases
def test_no_call_of_a_broker_has_two_signals_of_one_key(
    new_event: t.Any, new_broker: t.Any, post: t.Any, run: t.Any
) -> None:
    """Plugins are treated as the methods of models are."""
    wire = new_broker("pigeons").wire
    model = new_event(form="pigeons", signalbus_burst_count=100)
    post(model, *texts_of("abc", 4))
    run("flushmany", model)

    assert by_key(texts_of("abc", 4)) == by_key(wire.sent)
    assert all(len(by_key(call)) == len(call) for call in wire.attempts)


@pytest.mark.databases
@every_way
def test_bursts_go_out_in_waves(
    new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """Brokers still get batches: the first signals of all keys, then the second."""
    keys = "abcdefghij"
    model = new_event(form="row", burst=True, signalbus_burst_count=100)
    post(model, *(text for key in keys for text in texts_of(key, 3)))
    run(way, model)

    assert 3 == len(wire.attempts)
    assert [set(texts_of(keys, 1))] == [set(call) for call in wire.attempts[:1]]


@pytest.mark.databases
@some_ways
@pytest.mark.parametrize("count", [1, 7])
def test_single_signals_are_sent_by_the_burst_method_in_order(
    new_event: t.Any, post: t.Any, run: t.Any, wire: t.Any, way: str, count: int
) -> None:
    """One key alone goes out one by one, whatever the burst count."""
    model = new_event(form="row", burst=True, signalbus_burst_count=count)
    post(model, *texts_of("a", 9), *texts_of("a", 9))
    run(way, model)

    assert [[text] for text in 2 * texts_of("a", 9)] == wire.attempts


@pytest.mark.databases
@every_way
def test_hot_key_delays_nobody_and_is_sent_to_its_end(
    db: SQLAlchemy, new_event: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """A long backlog of one key is in front of many keys: one run sends everything."""
    model = new_event(form="row", burst=True, signalbus_burst_count=50)
    hot = [{"text": f"h{number}", "account": "hot"} for number in range(1200)]
    cold = [
        {"text": f"c{number}", "account": f"cold {number}"} for number in range(150)
    ]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), [*hot, *cold])

    assert len(hot) + len(cold) == run(way, model)
    assert [x["text"] for x in hot] == by_key(wire.sent)["h"]
    assert len(cold) == len(by_key(wire.sent)["c"])


@pytest.mark.databases
@some_ways
def test_one_key_only_is_sent_in_one_run(
    db: SQLAlchemy, new_event: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """A table in which all have the same key is sent to its end, in order."""
    model = new_event(form="row", signalbus_burst_count=20)
    texts = [f"a{number}" for number in range(500)]
    rows = [{"text": text, "account": "a"} for text in texts]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), rows)

    assert len(texts) == run(way, model)
    assert texts == wire.sent


@pytest.mark.databases
@some_ways
def test_burst_for_which_there_is_no_time_goes_on_in_the_next(
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    """What is locked for its turn is let go of, and sent, by the same run."""
    monkeypatch.setattr("signalbus._send_waves.MAX_SECONDS", 0)
    model = new_event(form="row", burst=True, signalbus_burst_count=100)
    post(model, *texts_of("abc", 4))

    assert 12 == run(way, model)
    assert [[f"{key}{number}" for key in "abc"] for number in (1, 2, 3, 4)] == [
        list(call) for call in wire.attempts
    ]


@some_ways
def test_told_to_stop_it_sends_no_further_wave(
    new_event: t.Any,
    post: t.Any,
    run: t.Any,
    wire: t.Any,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    """A process that ends has no time for a whole burst; what was sent is deleted."""
    model = new_event(form="row", burst=True, signalbus_burst_count=100)
    post(model, *texts_of("abc", 4))
    carry = wire.carry

    with StopToken().active() as token:
        monkeypatch.setattr(wire, "carry", lambda *each: (carry(*each), token.stop()))

        assert 3 == run(way, model)
    assert ["a1", "b1", "c1"] == wire.sent


@pytest.mark.databases
@some_ways
def test_models_without_a_key_are_as_before(
    new_model: t.Any, record: t.Any, run: t.Any, wire: t.Any, way: str
) -> None:
    """Their bursts are full."""
    model = new_model(form="row", burst=True, signalbus_burst_count=10)
    record(model, *"abcdefghij")
    run(way, model)

    assert [10] == list(map(len, wire.attempts))


# Inheritance


@pytest.fixture
def family(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object, wire: t.Any
) -> t.Callable[[bool], list[SignalModel]]:
    """Declare a model and one that inherits it, with a table of its own or without."""

    def declare(joined: bool) -> list[SignalModel]:
        class Notice(db.Model):  # type: ignore[misc, name-defined]
            id = sa.Column(sa.Integer, primary_key=True)
            kind = sa.Column(sa.String(10))
            account = sa.Column(sa.String(20))
            text = sa.Column(sa.String(50))
            signalbus_ordering_key = "account"
            signalbus_burst_count = 10
            __mapper_args__: t.ClassVar = {
                "polymorphic_on": "kind",
                "polymorphic_identity": "notice",
            }

            def send_signalbus_message(self) -> None:
                wire.carry(self)

        own = {"id": sa.Column(sa.ForeignKey("notice.id"), primary_key=True)}
        urgent = type(
            "UrgentNotice",
            (Notice,),
            {
                **(own if joined else {}),
                "__mapper_args__": {"polymorphic_identity": "urgent"},
            },
        )
        db.create_all()
        return [Notice, urgent]

    return declare


@pytest.mark.databases
@pytest.mark.parametrize("way", ["flush", "flushmany", "flushordered"])
@pytest.mark.parametrize("joined", [True, False])
def test_inherited_models_have_the_key_of_their_parent(
    bus: SignalBus,
    db: SQLAlchemy,
    family: t.Any,
    wire: t.Any,
    way: str,
    joined: bool,
) -> None:
    """Each model keeps the order of its own signals, wherever the column is."""
    models = family(joined)
    bus.autoflush = False
    for text in texts_of("ab", 4):
        for model in models:
            name = "n" if model is models[0] else "u"
            db.session.add(model(account=text[0], text=f"{name}{text}"))
            db.session.flush()
    db.session.commit()
    wire.failures["na2"] = wire.failures["ub3"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        getattr(bus, way)()

    for model in models:
        assert ("account",) == bus.declaration(model).ordering_key
    assert ["na1"] == [text for text in wire.sent if text.startswith("na")]
    assert ["ub1", "ub2"] == [text for text in wire.sent if text.startswith("ub")]
    for start in ("nb", "ua"):
        expected = texts_of(start[1], 4)
        assert expected == [text[1:] for text in wire.sent if text.startswith(start)]


# Autoflush


@pytest.mark.databases
@every_autoflush
@pytest.mark.parametrize(("form", "burst"), FORMS)
@pytest.mark.parametrize("count", [1, 4])
def test_autoflush_sends_each_key_in_order(
    bus: SignalBus,
    new_event: t.Any,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    autoflush: t.Any,
    form: str,
    burst: bool,
    count: int,
) -> None:
    """Everything is sent, once."""
    bus.autoflush = autoflush
    model = new_event(form=form, burst=burst, signalbus_burst_count=count)
    commit(model, *texts_of("ab", 3))
    commit(model, "a4", "c1")

    assert by_key([*texts_of("ab", 3), "a4", "c1"]) == by_key(wire.sent)
    assert all(len(by_key(call)) == len(call) for call in wire.attempts)
    assert [] == pending(model)


@pytest.mark.databases
@every_autoflush
def test_autoflush_goes_by_the_order_of_the_model(
    bus: SignalBus, db: SQLAlchemy, new_event: t.Any, wire: t.Any, autoflush: t.Any
) -> None:
    """What was added first goes first only if the order says so."""
    bus.autoflush = autoflush
    rank = sa.Column(sa.Integer)
    model = new_event(rank=rank, signalbus_order_by=(rank.desc(),))
    db.session.add_all(
        model(text=text, account=text[0], rank=-int(text[1:]))
        for text in ("a3", "b2", "a1", "a2", "b1")
    )
    db.session.commit()
    assert bus.drain_autoflush(LONG)

    assert by_key(["a1", "a2", "a3", "b1", "b2"]) == by_key(wire.sent)


@pytest.mark.databases
@every_autoflush
@pytest.mark.parametrize(("form", "burst"), FORMS)
def test_autoflush_sends_older_signals_of_its_keys_first(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    autoflush: t.Any,
    form: str,
    burst: bool,
) -> None:
    """Other keys, and what else is pending, are none of its business."""
    bus.autoflush = autoflush
    model = new_event(form=form, burst=burst, signalbus_burst_count=3)
    post(model, "a1", "b1", "a2", "c1", "-1")
    commit(model, "a3", "c2")

    assert {"a": ["a1", "a2", "a3"], "c": ["c1", "c2"]} == by_key(wire.sent)
    assert ["b1", "-1"] == pending(model)


@pytest.mark.databases
@every_autoflush
def test_autoflush_behind_a_long_backlog_does_not_overtake_it(
    bus: SignalBus,
    db: SQLAlchemy,
    new_event: t.Any,
    commit: t.Any,
    wire: t.Any,
    autoflush: t.Any,
) -> None:
    """It sends some of the older ones, or none, and never the new one before them."""
    bus.autoflush = autoflush
    model = new_event(form="row", burst=True, signalbus_burst_count=100)
    texts = [f"a{number}" for number in range(3001)]
    rows = [{"text": text, "account": "a"} for text in texts[:-1]]
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), rows)
    commit(model, texts[-1])

    assert texts[: len(wire.sent)] == wire.sent
    bus.flushmany()
    assert texts == wire.sent


@pytest.mark.databases
@every_autoflush
@pytest.mark.parametrize(("form", "burst"), FORMS)
def test_autoflush_does_not_pass_what_failed(
    bus: SignalBus,
    new_event: t.Any,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    autoflush: t.Any,
    form: str,
    burst: bool,
) -> None:
    """Later commits of the key wait for it; those of other keys do not."""
    bus.autoflush = autoflush
    model = new_event(form=form, burst=burst, signalbus_burst_count=3)
    wire.failures["a1"] = ValueError("boom")
    commit(model, "a1", "a2", "b1")
    commit(model, "a3")
    commit(model, "b2")

    assert ["b1", "b2"] == wire.sent
    assert ["a1", "a2", "a3"] == pending(model)
    wire.failures.clear()
    commit(model, "a4")
    assert by_key([*texts_of("a", 4), "b1", "b2"]) == by_key(wire.sent)


@pytest.mark.databases
@every_autoflush
def test_autoflush_leaves_the_order_alone_while_the_broker_is_down(
    bus: SignalBus,
    new_event: t.Any,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    autoflush: t.Any,
) -> None:
    """What the outage left pending is sent first when the broker is back."""
    bus.autoflush = autoflush
    model = new_event(form="row", signalbus_burst_count=3)
    wire.cut = BrokerUnavailableError("gone")
    commit(model, "a1", "b1")
    commit(model, "a2")
    wire.cut = None
    bus.reset_breakers()
    commit(model, "a3")

    assert ["a1", "a2", "a3"] == wire.sent
    assert ["b1"] == pending(model)


@pytest.mark.databases
def test_flushkeys_passes_nothing_that_it_was_not_given(
    bus: SignalBus, new_event: t.Any, post: t.Any, wire: t.Any
) -> None:
    """An older signal of the key goes first, or the younger one does not go."""
    model = new_event(form="row", signalbus_burst_count=10)
    post(model, "a1", "a2", "b1")
    bus.flushkeys(model, [(2,), (3,)])

    assert by_key(wire.sent).get("a", []) in ([], ["a1", "a2"])
    assert ["b1"] == by_key(wire.sent)["b"]


# Others that send


@with_row_locks
@pytest.mark.parametrize(("form", "burst"), FORMS)
@pytest.mark.parametrize("count", [1, 100])
def test_flushmany_passes_over_a_key_whose_first_signal_is_locked(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    held: t.Any,
    wire: t.Any,
    pending: t.Any,
    form: str,
    burst: bool,
    count: int,
) -> None:
    """Another flusher has the key: nothing of it is sent, and nobody is waited for."""
    model = new_event(form=form, burst=burst, signalbus_burst_count=count)
    post(model, *texts_of("abc", 3))
    with held(model, "b1"):
        assert 6 == bus.flushmany()

    assert by_key(texts_of("ac", 3)) == by_key(wire.sent)
    assert ["b1", "b2", "b3"] == pending(model)
    assert 3 == bus.flushmany()
    assert by_key(texts_of("abc", 3)) == by_key(wire.sent)


@with_row_locks
@pytest.mark.parametrize("count", [1, 5])
def test_flushmany_looks_further_when_all_it_finds_is_locked(
    bus: SignalBus,
    new_event: t.Any,
    insert: t.Any,
    held: t.Any,
    wire: t.Any,
    count: int,
) -> None:
    """Others may have all keys at the head of the table."""
    model = new_event(form="row", burst=True, signalbus_burst_count=count)
    texts = [f"{number} {key}" for number in range(3) for key in range(80)]
    insert(model, *({"text": text, "account": text[2:]} for text in texts))
    locked = [f"0 {key}" for key in range(75)]
    with held(model, *locked):
        assert 15 == bus.flushmany()

    assert {f"{key}" for key in range(75, 80)} == {text[2:] for text in wire.sent}


@with_row_locks
@pytest.mark.parametrize("way", WAYS[:2])
def test_locked_follower_is_not_passed(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    held: t.Any,
    wire: t.Any,
    way: str,
) -> None:
    """Whoever has locked a signal in the middle, nothing behind it is sent before."""
    model = new_event(form="row", burst=True, signalbus_burst_count=100)
    post(model, *texts_of("ab", 4))
    arguments = {"wait": 0} if way == "flush" else {}
    with held(model, "a3"):
        getattr(bus, way)(**arguments)
        sent = by_key(wire.sent)

        assert texts_of("b", 4) == sent["b"]
        assert texts_of("a", 2)[: len(sent.get("a", []))] == sent.get("a", [])

    bus.flushmany()
    assert by_key(texts_of("ab", 4)) == by_key(wire.sent)


@with_row_locks
@pytest.mark.parametrize("form", ["instance", "row"])
def test_flush_that_does_not_wait_passes_over_a_locked_key(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    held: t.Any,
    wire: t.Any,
    pending: t.Any,
    form: str,
) -> None:
    """With ``wait=0`` it does what ``flushmany`` does."""
    model = new_event(form=form, signalbus_burst_count=10)
    post(model, *texts_of("ab", 2))
    with held(model, "a1"):
        bus.flush(wait=0)

        assert ["b1", "b2"] == wire.sent
        assert ["a1", "a2"] == pending(model)


@with_row_locks
@pytest.mark.parametrize("way", ["flush", "flushordered"])
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("count", [1, 100])
def test_locked_key_is_waited_for(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    held: t.Any,
    wire: t.Any,
    background: t.Any,
    way: str,
    form: str,
    count: int,
) -> None:
    """When the other lets go of it, it is sent, in order."""
    model = new_event(form=form, burst=True, signalbus_burst_count=count)
    post(model, *texts_of("ab", 3))
    arguments = {"wait": LONG} if way == "flush" else {}
    with held(model, "a1"):
        flush = background(getattr(bus, way), **arguments)
        wait([flush], timeout=0.3)

        assert not flush.done()
        assert "a" not in by_key(wire.sent)

    assert 6 == flush.result(LONG)
    assert by_key(texts_of("ab", 3)) == by_key(wire.sent)


@with_row_locks
@pytest.mark.parametrize("way", ["flush", "flushordered"])
def test_key_whose_first_signal_another_has_sent_goes_on(
    bus: SignalBus,
    db: SQLAlchemy,
    new_event: t.Any,
    post: t.Any,
    wire: t.Any,
    background: t.Any,
    way: str,
) -> None:
    """When the other has deleted what it has sent, the rest of the key follows."""
    model = new_event(form="row", signalbus_burst_count=10)
    post(model, *texts_of("ab", 3))
    arguments = {"wait": LONG} if way == "flush" else {}
    with db.engine.begin() as connection:
        connection.execute(sa.delete(model.__table__).where(model.text == "a1"))
        flush = background(getattr(bus, way), **arguments)
        wait([flush], timeout=0.3)

        assert "a" not in by_key(wire.sent)

    assert 5 == flush.result(LONG)
    assert {"a": ["a2", "a3"], "b": texts_of("b", 3)} == by_key(wire.sent)


@with_row_locks
@every_autoflush
@pytest.mark.parametrize("text", ["a1", "a2"])
def test_autoflush_does_not_pass_a_signal_that_is_locked(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    commit: t.Any,
    held: t.Any,
    wire: t.Any,
    pending: t.Any,
    autoflush: t.Any,
    text: str,
) -> None:
    """While another flusher has the key, a new signal of it stays pending."""
    bus.autoflush = autoflush
    model = new_event(form="row", signalbus_burst_count=10)
    post(model, "a1", "a2")
    with held(model, text):
        commit(model, "a3", "b1")

        assert ["b1"] == by_key(wire.sent)["b"]
        assert by_key(wire.sent).get("a", []) in ([], ["a1"][: text == "a2"])
        assert "a3" in pending(model)

    bus.flushmany()
    assert by_key([*texts_of("a", 3), "b1"]) == by_key(wire.sent)


@with_row_locks
def test_flushkeys_does_not_pass_a_signal_that_is_locked(
    bus: SignalBus, new_event: t.Any, post: t.Any, held: t.Any, wire: t.Any
) -> None:
    """Nobody overtakes what another flusher is sending."""
    model = new_event(form="row", signalbus_burst_count=10)
    post(model, "a1", "a2", "b1")
    with held(model, "a1"):
        assert 1 == bus.flushkeys(model, [(2,), (3,)])

    assert ["b1"] == wire.sent


class Gate:
    """Stops the sending of one signal until it is opened."""

    def __init__(self, text: str) -> None:
        """Stop the signal with this *text*."""
        self.text = text
        self.reached = threading.Event()
        self.opened = threading.Event()

    def pass_through(self, signal: Signal) -> None:
        """Wait, if it is the signal."""
        if signal.text == self.text:
            self.reached.set()
            assert self.opened.wait(LONG)


@with_row_locks
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("count", [1, 2, 100])
def test_two_flushers_never_send_one_key_at_the_same_time(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    wire: t.Any,
    background: t.Any,
    run: t.Any,
    way: str,
    count: int,
) -> None:
    """While one is sending, the other sends other keys, and what is left follows."""
    gate = Gate("a1")

    def send_signalbus_message(cls: SignalModel, signal: Signal) -> None:
        gate.pass_through(signal)
        wire.carry(signal)

    model = new_event(
        signalbus_burst_count=count,
        send_signalbus_message=classmethod(send_signalbus_message),
    )
    post(model, *texts_of("abcd", 3))
    first = background(run, way, model)
    try:
        assert gate.reached.wait(LONG)
        bus.flushmany()

        assert "a" not in by_key(wire.sent)
    finally:
        gate.opened.set()

    first.result(LONG)
    bus.flushmany()
    assert by_key(texts_of("abcd", 3)) == by_key(wire.sent)


@with_row_locks
def test_signals_that_are_recorded_meanwhile_wait_for_their_turn(
    bus: SignalBus,
    new_event: t.Any,
    post: t.Any,
    commit: t.Any,
    wire: t.Any,
    background: t.Any,
) -> None:
    """A commit whose key is being sent does not overtake what is being sent."""
    gate = Gate("a1")

    def send_signalbus_message(cls: SignalModel, signal: Signal) -> None:
        gate.pass_through(signal)
        wire.carry(signal)

    model = new_event(send_signalbus_message=classmethod(send_signalbus_message))
    post(model, "a1")
    first = background(bus.flushmany)
    try:
        assert gate.reached.wait(LONG)
        commit(model, "a2")

        assert [] == wire.sent
    finally:
        gate.opened.set()

    first.result(LONG)
    bus.flushmany()
    assert ["a1", "a2"] == wire.sent
