"""A plugin gets at the rows of a signal model by their keys, as a flush does."""

from __future__ import annotations

import re
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import MissingTableError
from signalbus import SignalModelError
from signalbus.rows import SignalRows

if t.TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.databases

ROW_LOCKS = pytest.mark.databases("postgresql", "mariadb")

FORMS = pytest.mark.parametrize("form", ["instance", "row"])

#: More than one statement names.
MANY = 10_001


@pytest.fixture
def app(new_app: t.Any, engine_url: str, other_url: str) -> Flask:
    """Give an app with a second database."""
    app: Flask = new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url})
    return app


@pytest.fixture
def rows(bus: SignalBus, greeting: SignalModel, record: t.Any) -> SignalRows:
    """Give the rows of a model that has the signals 1, 2 and 3."""
    record(greeting, "a", "b", "c")
    return SignalRows(bus, greeting)


@pytest.fixture
def add(db: SQLAlchemy, bus: SignalBus) -> t.Callable[..., None]:
    """Commit signals, which stay pending."""

    def commit(*signals: object) -> None:
        bus.autoflush = False
        db.session.add_all(signals)
        db.session.commit()
        db.session.close()

    return commit


@pytest.fixture
def new_letter(new_model: t.Any) -> t.Callable[..., SignalModel]:
    """Declare a signal model whose primary key is a text and a number."""

    def make(**attributes: t.Any) -> SignalModel:
        street = sa.Column(sa.String(20), primary_key=True)
        number = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
        model: SignalModel = new_model(
            "Letter", id=None, street=street, number=number, **attributes
        )
        return model

    return make


@pytest.mark.parametrize("method", ["lock", "present"])
def test_keys_that_exist_are_returned(rows: SignalRows, method: str) -> None:
    """Each once, however often and in whatever order it is asked for."""
    with rows.transaction() as connection:
        found = getattr(rows, method)(connection, [(3,), (4711,), (1,), (3,)])

    assert [(1,), (3,)] == sorted(found)


@pytest.mark.parametrize("method", ["lock", "present", "read"])
def test_no_keys_find_nothing(rows: SignalRows, method: str) -> None:
    """An empty list is as good as any."""
    with rows.transaction() as connection:
        assert not getattr(rows, method)(connection, [])


def test_keys_may_come_from_json(rows: SignalRows) -> None:
    """A key may be a list, and the keys may be read one by one."""
    with rows.transaction() as connection:
        assert [(2,)] == rows.lock(connection, iter([[2]]))  # type: ignore[list-item]


def test_values_are_read_by_the_names_of_attributes(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """Not by those of columns, and they include what is deferred."""
    model = new_model(
        renamed=sa.Column("count", sa.Integer, default=7),
        secret=sa_orm.deferred(sa.Column(sa.String(10), default="x")),
    )
    record(model, "a", "b", "c")
    rows = SignalRows(bus, model)
    with rows.transaction() as connection:
        found = rows.read(connection, [(3,), (1,), (4711,)])

    assert {
        (1,): {"id": 1, "text": "a", "renamed": 7, "secret": "x"},
        (3,): {"id": 3, "text": "c", "renamed": 7, "secret": "x"},
    } == found


@FORMS
def test_computed_values_are_read(
    bus: SignalBus, new_model: t.Any, record: t.Any, form: str
) -> None:
    """What the mapper computes in SQL is an attribute like any other."""
    model = new_model(form=form)
    model.upper = sa_orm.column_property(sa.func.upper(model.text))
    record(model, "a")
    rows = SignalRows(bus, model)
    with rows.transaction() as connection:
        assert [(1,)] == rows.lock(connection, [(1,)])
        found = rows.read(connection, [(1,)])
        rows.delete(connection, [(1,)])

    assert {(1,): {"id": 1, "text": "a", "upper": "A"}} == found
    assert {model: 0} == bus.count_pending()


@FORMS
def test_rows_with_given_keys_are_deleted(
    bus: SignalBus, new_model: t.Any, record: t.Any, pending: t.Any, form: str
) -> None:
    """And no others; a key without a row does not matter."""
    model = new_model(form=form)
    record(model, "a", "b", "c")
    rows = SignalRows(bus, model)
    with rows.transaction() as connection:
        rows.delete(connection, [(3,), (1,), (3,), (4711,)])
        rows.delete(connection, [(1,), (4711,)])
        rows.delete(connection, [])

    assert ["b"] == pending(model)


@FORMS
def test_composite_keys_find_their_rows(
    bus: SignalBus, new_letter: t.Any, add: t.Any, pending: t.Any, form: str
) -> None:
    """A key is the values of its columns, in the order of the table."""
    model = new_letter(form=form)
    keys = [("Main", 1), ("Main", 2), ("Side", 1)]
    add(*(model(street=street, number=number, text="a") for street, number in keys))
    rows = SignalRows(bus, model)
    with rows.transaction() as connection:
        locked = rows.lock(connection, [("Side", 1), ("Main", 2), ("Side", 2)])
        found = rows.read(connection, locked)
        rows.delete(connection, locked)
        left = rows.present(connection, keys)

    assert {("Main", 2), ("Side", 1)} == set(locked) == found.keys()
    assert {"street": "Side", "number": 1, "text": "a"} == found["Side", 1]
    assert [("Main", 1)] == left


def test_many_keys_take_several_statements(
    bus: SignalBus, greeting: SignalModel, record: t.Any, pending: t.Any
) -> None:
    """There may be more keys than a database takes in one statement."""
    record(greeting, *map(str, range(MANY + 1)))
    keys = [(number,) for number in range(MANY, 0, -1)]
    rows = SignalRows(bus, greeting)
    with rows.transaction() as connection:
        assert sorted(keys) == sorted(rows.lock(connection, keys))
        assert sorted(keys) == sorted(rows.present(connection, keys))
        assert set(keys) == rows.read(connection, keys).keys()
        rows.delete(connection, keys)

    assert [str(MANY)] == pending(greeting)


@pytest.mark.databases("mariadb")
def test_keys_are_returned_as_the_database_has_them(
    bus: SignalBus, new_letter: t.Any, add: t.Any
) -> None:
    """Where texts are equal that differ in case, a row is found once, with its own."""
    model = new_letter()
    add(model(street="Main", number=1))
    rows = SignalRows(bus, model)
    with rows.transaction() as connection:
        keys = [("MAIN", 1), ("main", 1)]
        assert [("Main", 1)] == rows.present(connection, keys)
        assert [("Main", 1)] == rows.lock(connection, keys)
        rows.delete(connection, keys)

    assert {model: 0} == bus.count_pending()


@FORMS
def test_inherited_columns_belong_to_the_row(
    bus: SignalBus, new_model: t.Any, add: t.Any, form: str
) -> None:
    """In joined inheritance, all columns are read, and the rows of all tables go."""
    kind = sa.Column(sa.String(10))
    document = new_model(
        "Document",
        form=form,
        kind=kind,
        __mapper_args__={"polymorphic_on": kind, "polymorphic_identity": "document"},
    )
    invoice = type(
        "Invoice",
        (document,),
        {
            "id": sa.Column(sa.ForeignKey("document.id"), primary_key=True),
            "amount": sa.Column(sa.Integer),
            "__mapper_args__": {"polymorphic_identity": "invoice"},
        },
    )
    bus.db.create_all()
    add(document(id=1, text="a"), invoice(id=2, text="b", amount=7))
    documents, invoices = SignalRows(bus, document), SignalRows(bus, invoice)
    with invoices.transaction() as connection:
        assert [(2,)] == invoices.lock(connection, [(1,), (2,)])
        found = invoices.read(connection, [(1,), (2,)])
        assert [(1,)] == documents.lock(connection, [(1,), (2,)])
        assert {(1,)} == documents.read(connection, [(1,), (2,)]).keys()
        documents.delete(connection, [(2,)])  # not one of its own
        invoices.delete(connection, [(1,), (2,)])

    assert {(2,): {"id": 2, "text": "b", "kind": "invoice", "amount": 7}} == found
    assert {document: 1, invoice: 0} == bus.count_pending()


def test_rows_of_single_table_inheritance_are_told_apart(
    bus: SignalBus, new_model: t.Any, add: t.Any
) -> None:
    """A model's rows are those of its own identity, though others share its table."""
    kind = sa.Column(sa.String(10))
    base = new_model(
        "Base",
        kind=kind,
        __mapper_args__={"polymorphic_on": kind, "polymorphic_identity": "base"},
    )
    child = type("Child", (base,), {"__mapper_args__": {"polymorphic_identity": "c"}})
    add(base(id=1), child(id=2))
    keys = [(1,), (2,)]
    rows = SignalRows(bus, base)
    with rows.transaction() as connection:
        assert [(1,)] == rows.lock(connection, keys) == rows.present(connection, keys)
        assert {(1,)} == rows.read(connection, keys).keys()
        rows.delete(connection, keys)

    assert {base: 0, child: 1} == bus.count_pending()


@FORMS
def test_deletion_cascades(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, add: t.Any, form: str
) -> None:
    """What the application's session would do on deletion is done."""

    class Item(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)
        order_id = db.Column(db.ForeignKey("order.id"), nullable=False)

    items = db.relationship(Item, cascade="all, delete-orphan")
    order = new_model("Order", form=form, items=items)
    add(order(id=1, items=[Item(), Item()]), order(id=2, items=[Item()]))
    rows = SignalRows(bus, order)
    with rows.transaction() as connection:
        rows.delete(connection, [(1,), (4711,)])

    assert [2] == list(db.session.scalars(sa.select(Item.order_id)))


def test_listeners_hear_of_deletions(
    bus: SignalBus, greeting: SignalModel, record: t.Any, rows: SignalRows
) -> None:
    """Also one that was added after the rows were used."""
    deleted = []
    with rows.transaction() as connection:
        rows.delete(connection, [(1,)])
    sa.event.listen(
        greeting, "before_delete", lambda _, __, signal: deleted.append(signal.text)
    )
    with rows.transaction() as connection:
        rows.delete(connection, [(2,), (3,)])

    assert ["b", "c"] == sorted(deleted)


def test_error_rolls_back(
    rows: SignalRows, greeting: SignalModel, pending: t.Any
) -> None:
    """The transaction commits unless an error is raised in it."""
    with pytest.raises(LookupError), rows.transaction() as connection:
        _delete_and_fail(rows, connection)

    assert ["a", "b", "c"] == pending(greeting)


def test_transaction_is_like_that_of_a_flush(
    db: SQLAlchemy, rows: SignalRows, statements: t.Any, database: str
) -> None:
    """READ COMMITTED, or a lock on all of SQLite, apart from the session."""
    with rows.transaction() as connection:
        rows.lock(connection, [(1,)])

    assert db.session.registry.has() is False or not db.session().in_transaction()
    if database == "sqlite":
        assert "BEGIN IMMEDIATE" == statements[0][0]
    else:
        assert {"READ COMMITTED"} == {level for _, level in statements}


def _delete_and_fail(rows: SignalRows, connection: sa.Connection) -> t.NoReturn:
    rows.delete(connection, [(1,)])
    raise LookupError


@ROW_LOCKS
def test_rows_that_are_locked_are_waited_for(
    rows: SignalRows, greeting: SignalModel, held: t.Any, database: str
) -> None:
    """A row is not passed over because another transaction has it."""
    patience = {
        "postgresql": "SET LOCAL lock_timeout = '50ms'",
        "mariadb": "SET innodb_lock_wait_timeout = 1",
    }
    with held(greeting, "b"), rows.transaction() as connection:
        connection.exec_driver_sql(patience[database])
        with pytest.raises(sa.exc.OperationalError, match=r"(?i)lock"):
            rows.lock(connection, [(1,), (2,)])


@ROW_LOCKS
def test_rows_are_locked_once_they_are_free(
    rows: SignalRows, greeting: SignalModel, held: t.Any, background: t.Any
) -> None:
    """What others leave is locked, and what they have deleted is not there."""

    def lock() -> list[t.Any]:
        with rows.transaction() as connection:
            return rows.lock(connection, [(1,), (2,)])

    with rows.transaction() as connection:
        rows.delete(connection, [(1,)])
        with held(greeting, "b"):
            locked = background(lock)

    assert [(2,)] == locked.result()


@ROW_LOCKS
def test_no_flush_sends_locked_rows(
    bus: SignalBus, rows: SignalRows, wire: t.Any, background: t.Any
) -> None:
    """Until the transaction ends, flushes pass the rows over."""
    with rows.transaction() as connection:
        rows.lock(connection, [(1,), (3,)])
        background(bus.flushmany).result()
        sent_meanwhile = list(wire.sent)
    bus.flushmany()

    assert ["b"] == sent_meanwhile
    assert ["b", "a", "c"] == wire.sent


@ROW_LOCKS
@pytest.mark.parametrize("method", ["present", "read"])
def test_reading_neither_locks_nor_waits(
    bus: SignalBus,
    rows: SignalRows,
    greeting: SignalModel,
    held: t.Any,
    wire: t.Any,
    background: t.Any,
    method: str,
) -> None:
    """Rows that others have are seen, and rows that were read may be sent."""
    with held(greeting, "b"), rows.transaction() as connection:
        found = getattr(rows, method)(connection, [(1,), (2,)])
        background(bus.flushmany).result()

    assert {(1,), (2,)} == set(found)
    assert ["a", "c"] == wire.sent


def test_rows_are_those_of_the_models_database(
    bus: SignalBus, new_model: t.Any, record: t.Any, pending: t.Any
) -> None:
    """A model that is bound to another database has its transactions there."""
    here, there = new_model("Here"), new_model("There", __bind_key__="other")
    record(here, "a", "b")
    record(there, "a", "b")
    rows = SignalRows(bus, there)
    with rows.transaction() as connection:
        assert bus.db.engines["other"].url == connection.engine.url
        rows.delete(connection, [(1,)])

    assert (["a", "b"], ["b"]) == (pending(here), pending(there))


def test_connection_may_be_anybodys(
    db: SQLAlchemy, rows: SignalRows, greeting: SignalModel, pending: t.Any
) -> None:
    """As long as it is one to the model's database, such as that of a session."""
    connection = db.session.connection()
    rows.delete(connection, rows.lock(connection, [(1,)]))
    db.session.commit()

    assert ["b", "c"] == pending(greeting)


@pytest.mark.parametrize("method", ["lock", "present", "read", "delete"])
def test_missing_table_is_explained(
    db: SQLAlchemy, rows: SignalRows, greeting: t.Any, method: str
) -> None:
    """The error says how to make the table."""
    greeting.__table__.drop(db.engine)
    with (
        pytest.raises(MissingTableError, match=r"db\.create_all\(\)"),
        rows.transaction() as connection,
    ):
        getattr(rows, method)(connection, [(1,)])


def test_model_must_be_a_signal_model(bus: SignalBus, db: SQLAlchemy) -> None:
    """Anything else is refused by name, at once."""

    class Customer(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)

    with pytest.raises(SignalModelError, match="Customer"):
        SignalRows(bus, Customer)


@pytest.mark.databases("sqlite")
def test_app_context_is_needed(bus: SignalBus, db: SQLAlchemy) -> None:
    """A bus may have several apps, so one of them must be the current one."""

    class Order(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)
        signalbus_broker = "memory"

    rows = SignalRows(bus, Order)
    with pytest.raises(RuntimeError, match="application context"), rows.transaction():
        pass


def test_the_first_keys_are_read_in_their_order(rows: SignalRows) -> None:
    """So many keys as are asked for, from the front of the table."""
    with rows.transaction() as connection:
        assert [(1,), (2,)] == rows.first(connection, 2)
        assert [(1,), (2,), (3,)] == rows.first(connection, 4)


def test_no_row_is_pending_in_an_empty_table(
    bus: SignalBus, greeting: SignalModel, record: t.Any
) -> None:
    """A look tells, and a row that is locked is there as well."""
    rows = SignalRows(bus, greeting)

    assert rows.is_empty()

    record(greeting, "a")
    with rows.transaction() as connection:
        assert not rows.is_empty()
        rows.lock(connection, [(1,)])
        assert not rows.is_empty()


@pytest.mark.databases("postgresql")
def test_a_look_is_one_statement_and_no_transaction(
    rows: SignalRows, db: SQLAlchemy, tmp_path: Path
) -> None:
    """PostgreSQL gets nothing but the SELECT, however often one looks."""
    rows.is_empty()
    with db.engine.connect() as connection:
        driver_connection: t.Any = connection.connection.dbapi_connection
    with (tmp_path / "wire").open("w+") as wire:
        driver_connection.pgconn.trace(wire.fileno())
        for _ in range(10):
            rows.is_empty()
        driver_connection.pgconn.untrace()
        wire.seek(0)
        sent = re.findall(r"\tF\t\d+\t(\w+)", wire.read())

    assert {"Parse", "Bind", "Describe", "Execute", "Sync"} == set(sent)
    assert 10 == sent.count("Execute")


def test_a_look_at_a_missing_table_says_so(rows: SignalRows, db: SQLAlchemy) -> None:
    """As a flush does."""
    db.drop_all()

    with pytest.raises(MissingTableError, match="greeting"):
        rows.is_empty()


@pytest.mark.databases("postgresql")
def test_a_look_leaves_transactions_to_the_others(
    rows: SignalRows, db: SQLAlchemy
) -> None:
    """A connection goes back to the pool as it was."""
    rows.is_empty()

    with db.engine.connect() as connection:
        assert "READ COMMITTED" == connection.get_isolation_level()
        with connection.begin():
            connection.exec_driver_sql("DELETE FROM greeting")
            connection.rollback()
    assert not rows.is_empty()


def test_signals_are_counted_up_to_a_limit(rows: SignalRows) -> None:
    """A table of any size costs no more than the limit."""
    with rows.look() as connection:
        assert 2 == rows.count(connection, 2)
        assert 3 == rows.count(connection, 3)
        assert 3 == rows.count(connection, 10)


def test_counted_rows_are_those_of_the_model_alone(
    bus: SignalBus, new_model: t.Any, db: SQLAlchemy, add: t.Callable[..., None]
) -> None:
    """Models that share a table are counted one by one."""
    kind = {"kind": sa.Column(sa.String(10))}
    mapper = {"polymorphic_on": "kind", "polymorphic_identity": "base"}
    base = new_model("Base", **kind, __mapper_args__=mapper)
    derived = type(
        "Derived", (base,), {"__mapper_args__": {"polymorphic_identity": "derived"}}
    )
    add(base(), base(), derived())

    with SignalRows(bus, base).look() as connection:
        assert 2 == SignalRows(bus, base).count(connection, 10)
        assert 1 == SignalRows(bus, derived).count(connection, 10)


@pytest.mark.databases("sqlite")
def test_who_looks_keeps_nobody_from_writing(
    rows: SignalRows, greeting: SignalModel, record: t.Any
) -> None:
    """A transaction would lock the whole database."""
    with rows.look() as connection:
        assert 3 == rows.count(connection, 10)
        record(greeting, "d")
        assert 4 == rows.count(connection, 10)


def test_first_keys_may_begin_behind_a_key(rows: SignalRows) -> None:
    """So all keys can be read, some at a time."""
    with rows.transaction() as connection:
        assert [(2,), (3,)] == rows.first(connection, 5, after=(1,))
        assert [] == rows.first(connection, 5, after=(3,))


def test_first_keys_may_be_in_the_order_of_the_model(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """And by key, where that says nothing."""
    model = new_model()
    model.signalbus_order_by = (model.text,)
    record(model, "b", "c", "a", "b")
    rows = SignalRows(bus, model)
    with rows.transaction() as connection:
        assert [(3,), (1,), (4,)] == rows.first_in_order(connection, 3)


class Held:
    """Holds back some keys, each of which others may pass, or not."""

    def __init__(self, **passable: bool) -> None:
        """Hold back the keys ``_1``, ``_2``, ..."""
        self._held = {(int(name[1:]),): not may for name, may in passable.items()}

    def among(
        self, connection: sa.Connection, keys: t.Sequence[tuple[int]]
    ) -> dict[tuple[int], bool]:
        """Return those of *keys* that are held back."""
        return {key: self._held[key] for key in keys if key in self._held}


def test_waves_can_be_read(bus: SignalBus, new_model: t.Any, record: t.Any) -> None:
    """All heads, then what is behind them, and nothing behind what waits."""
    model = new_model(signalbus_ordering_key="text")
    record(model, "a", "a", "a", "b", "b", "c", "c")
    rows = SignalRows(bus, model)
    held = Held(_1=True, _6=False)
    with rows.transaction() as connection:
        keys = rows.first(connection, 100)
        assert [1, 4, 6, 2, 5, 7, 3] == [n for (n,) in rows.in_waves(connection, keys)]
        waves = rows.in_waves(connection, keys, held)
        assert [2, 4, 3, 5] == [n for (n,) in waves]
        assert [(1,), (4,)] == rows.in_waves(connection, [(3,), (4,)])


def test_without_an_ordering_key_there_are_no_waves(rows: SignalRows) -> None:
    """Its signals do not depend on each other."""
    with rows.transaction() as connection:
        assert [] == rows.in_waves(connection, [(1,)])


@ROW_LOCKS
def test_locked_rows_may_be_passed_over(rows: SignalRows) -> None:
    """Instead of waiting for them."""
    with rows.transaction() as one, rows.transaction() as other:
        rows.lock(one, [(2,)])

        assert [(1,), (3,)] == sorted(rows.lock(other, [(1,), (2,), (3,)], wait=False))
