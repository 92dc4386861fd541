"""Which classes are signal models, and what is wrong with the others."""

from __future__ import annotations

import dataclasses
import logging
import typing as t
import uuid

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import SignalBusError
from signalbus import SignalBusMixin
from signalbus import SignalModelError
from signalbus import get_models_to_flush

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel


class Sends:
    """Sends the text of an instance to a list."""

    sent: t.ClassVar[list[str]]

    def send_signalbus_message(self: t.Any) -> None:
        """Send this one, under the name of its class."""
        self.sent.append(f"{type(self).__name__}:{self.text}")


@pytest.fixture
def sends() -> type[Sends]:
    """Give a mixin with a list of its own."""
    return type("OwnSends", (Sends,), {"sent": []})


def test_models_that_send_are_signal_models(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any
) -> None:
    """A model with a send method, or a broker, is a signal model; others are not."""

    class Customer(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    models = {
        new_model("Instance"),
        new_model("Row", form="row"),
        new_model("Named", form="pigeons"),
    }

    assert models == set(bus.get_signal_models())
    assert 3 == len(bus.get_signal_models())


def test_order_of_models_is_stable(bus: SignalBus, new_model: t.Any) -> None:
    """The order of the models is the same, whenever they are looked up."""
    for name in "DBCA":
        new_model(name)
    models = bus.get_signal_models()
    new_model("E")

    assert models == [model for model in bus.get_signal_models() if model in models]


def test_models_declared_later_are_found(bus: SignalBus, new_model: t.Any) -> None:
    """A model may be declared after models have been looked up."""
    assert [] == bus.get_signal_models()
    later = new_model("Later")

    assert [later] == bus.get_signal_models()


def test_answer_may_be_changed_by_its_reader(
    bus: SignalBus, greeting: SignalModel
) -> None:
    """What a caller does to the list of models is its own affair."""
    bus.get_signal_models().clear()

    assert [greeting] == bus.get_signal_models()


def test_abstract_model_is_no_signal_model(
    bus: SignalBus, db: SQLAlchemy, sends: t.Any, app_ctx: object, record: t.Any
) -> None:
    """A send method may come from an abstract model, which is none itself."""

    class Base(sends, db.Model):
        __abstract__ = True
        id = db.Column(db.Integer, primary_key=True)
        text = db.Column(db.String(50))

    class Concrete(Base):
        pass

    db.create_all()
    record(Concrete, "a")

    assert [Concrete] == bus.get_signal_models()
    assert 1 == bus.flush()
    assert ["Concrete:a"] == sends.sent


@pytest.fixture
def typed_base() -> type[sa_orm.DeclarativeBase]:
    """Give a declarative base of SQLAlchemy 2."""

    class Base(sa_orm.DeclarativeBase):
        pass

    return Base


@pytest.mark.databases
def test_typed_model(
    app: Flask, sends: t.Any, typed_base: t.Any, app_ctx: object
) -> None:
    """A model may be declared with ``Mapped`` annotations."""
    db = SQLAlchemy(app, model_class=typed_base)
    bus = SignalBus(db)

    class Typed(sends, db.Model):
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        text: sa_orm.Mapped[str] = sa_orm.mapped_column(sa.String(50))

    db.create_all()
    db.session.add(Typed(text="a"))
    db.session.commit()

    assert [Typed] == bus.get_signal_models()
    assert ["Typed:a"] == sends.sent


def test_dataclass_model(
    app: Flask, sends: t.Any, typed_base: t.Any, app_ctx: object
) -> None:
    """A model may be a dataclass, whose constructor nobody calls for a flush."""
    db = SQLAlchemy(app, model_class=typed_base)
    bus = SignalBus(db)

    class Typed(sends, sa_orm.MappedAsDataclass, db.Model):
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True, init=False)
        text: sa_orm.Mapped[str] = sa_orm.mapped_column(sa.String(50))

        def __post_init__(self) -> None:
            sends.sent.append("constructed")

    db.create_all()
    db.session.add(Typed("a"))
    db.session.commit()

    assert dataclasses.is_dataclass(Typed)
    assert [Typed] == bus.get_signal_models()
    assert ["constructed", "Typed:a"] == sends.sent


@pytest.fixture
def parent(db: SQLAlchemy, sends: t.Any) -> SignalModel:
    """Declare a polymorphic signal model."""

    class Parent(sends, db.Model):
        id = db.Column(db.Integer, primary_key=True)
        kind = db.Column(db.String(10))
        text = db.Column(db.String(50))
        __mapper_args__: t.ClassVar[t.Any] = {
            "polymorphic_on": "kind",
            "polymorphic_identity": "parent",
        }

    return Parent


@pytest.fixture
def single_child(parent: t.Any) -> SignalModel:
    """Declare a child that is kept in its parent's table."""

    class Single(parent):
        extra = sa.Column(sa.String(50))
        __mapper_args__: t.ClassVar[t.Any] = {"polymorphic_identity": "single"}

    return Single


@pytest.fixture
def joined_child(parent: t.Any) -> SignalModel:
    """Declare a child that has a table beside its parent's."""

    class Joined(parent):
        id = sa.Column(sa.ForeignKey(parent.id), primary_key=True)
        extra = sa.Column(sa.String(50))
        __mapper_args__: t.ClassVar[t.Any] = {"polymorphic_identity": "joined"}

    return Joined


@pytest.fixture
def concrete_child(parent: t.Any) -> SignalModel:
    """Declare a child that has a whole table of its own."""

    class Concrete(parent):
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))
        kind = sa.Column(sa.String(10))
        __mapper_args__: t.ClassVar[t.Any] = {
            "concrete": True,
            "polymorphic_identity": "concrete",
        }

    return Concrete


@pytest.mark.databases
@pytest.mark.parametrize("autoflush", [True, False])
@pytest.mark.parametrize("child", ["single_child", "joined_child", "concrete_child"])
def test_inherited_signals_are_sent_once(
    request: pytest.FixtureRequest,
    db: SQLAlchemy,
    bus: SignalBus,
    app_ctx: object,
    sends: t.Any,
    parent: t.Any,
    child: str,
    autoflush: bool,
) -> None:
    """Parents and children are sent once each, as what they are, and deleted."""
    child_model = request.getfixturevalue(child)
    db.create_all()
    bus.autoflush = autoflush
    db.session.add_all([parent(text="a"), child_model(text="b"), parent(text="c")])
    db.session.commit()

    assert (0 if autoflush else 3) == bus.flushmany()
    assert [f"{child_model.__name__}:b", "Parent:a", "Parent:c"] == sorted(
        sends.sent, key=lambda line: (line.startswith("Parent"), line)
    )
    assert [] == db.session.scalars(sa.select(parent)).all()
    assert [] == db.session.execute(sa.select(child_model.__table__)).all()


@pytest.mark.parametrize("child", ["single_child", "joined_child"])
def test_children_may_be_flushed_alone(
    request: pytest.FixtureRequest,
    db: SQLAlchemy,
    bus: SignalBus,
    app_ctx: object,
    sends: t.Any,
    parent: t.Any,
    child: str,
) -> None:
    """Flushing a child model leaves its parent's own signals."""
    child_model = request.getfixturevalue(child)
    db.create_all()
    bus.autoflush = False
    db.session.add_all([parent(text="a"), child_model(text="b"), parent(text="c")])
    db.session.commit()

    assert 1 == bus.flushmany([child_model])
    assert [f"{child_model.__name__}:b"] == sends.sent


def _column(kind: t.Any, **arguments: t.Any) -> t.Any:
    return lambda: sa.Column(kind, primary_key=True, **arguments)


KEYS: dict[str, tuple[t.Callable[[], t.Any], list[t.Any]]] = {
    "negative": (_column(sa.Integer, autoincrement=False), [-3, -2, -1, 0, 1, 9, 99]),
    "mixed case": (_column(sa.String(9)), [*list("aBcDeéÉfGß"), "ab", "Ab", "a b"]),
    "uuid": (_column(sa.Uuid), [uuid.UUID(int=n * 10**36) for n in range(9)]),
    "enum": (_column(sa.Enum("z", "m", "a", "k", name="key")), ["a", "k", "m", "z"]),
    "binary": (_column(sa.LargeBinary(9)), [b"\xff", b"\x00a", b"a", b"A", b"~~"]),
    "boolean": (_column(sa.Boolean), [False, True]),
    "numeric": (
        _column(sa.Numeric(9, 3), autoincrement=False),
        [n - 3 for n in range(7)],
    ),
}


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany"])
@pytest.mark.parametrize("kind", KEYS)
def test_any_kind_of_key(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    db: SQLAlchemy,
    database: str,
    kind: str,
    method: str,
) -> None:
    """Whatever the type of the primary key, every row is sent exactly once."""
    column, keys = KEYS[kind]
    if database == "mariadb" and kind == "binary":
        pytest.skip("A BLOB cannot be a key.")
    if database == "mariadb" and kind == "mixed case":  # it takes a and A for the same
        keys = ["a", "B", "c", "z", "_", "1"]
    model = new_model(form="row", burst=True, signalbus_burst_count=2, id=column())
    with db.engine.begin() as connection:
        rows = [{"id": key, "text": str(key)} for key in keys]
        connection.execute(sa.insert(model.__table__), rows)

    assert len(keys) == getattr(bus, method)()
    assert sorted(map(str, keys)) == sorted(wire.sent)
    assert 0 == bus.count_pending()[model]


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_composite_key(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    wire: t.Any,
    method: str,
    form: str,
) -> None:
    """A primary key may have several columns, of different types."""
    model = new_model(
        form=form,
        burst=True,
        signalbus_burst_count=4,
        id=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        shop=sa.Column(sa.String(9), primary_key=True),
    )
    keys = [(number, shop) for number in range(3) for shop in ("x", "a", "m")]
    with db.engine.begin() as connection:
        rows = [{"id": n, "shop": s, "text": f"{n}{s}"} for n, s in keys]
        connection.execute(sa.insert(model.__table__), rows)

    assert 9 == getattr(bus, method)()
    assert sorted(f"{n}{s}" for n, s in keys) == sorted(wire.sent)
    assert {model: 0} == bus.count_pending()


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_composite_key_in_autoflush(
    db: SQLAlchemy, new_model: t.Any, wire: t.Any, pending: t.Any, form: str
) -> None:
    """A commit sends the signals with its own keys, and none that share a part."""
    model = new_model(
        form=form,
        id=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        shop=sa.Column(sa.String(9), primary_key=True),
    )
    with db.engine.begin() as connection:
        old = {"id": 1, "shop": "b", "text": "old"}
        connection.execute(sa.insert(model.__table__), old)
    db.session.add_all(
        [model(id=1, shop="a", text="A"), model(id=2, shop="b", text="B")]
    )
    db.session.commit()

    assert ["A", "B"] == sorted(wire.sent)
    assert ["old"] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_renamed_columns(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, wire: t.Any, form: str
) -> None:
    """Senders see the names of the model, though the table has others."""
    model = new_model(
        form=form,
        id=sa.Column("k", sa.Integer, primary_key=True),
        text=sa.Column("t", sa.String(50)),
        other=sa.Column("text", sa.String(50)),
    )
    db.session.add(model(text="a", other="b"))
    db.session.commit()
    bus.autoflush = False
    db.session.add(model(text="c", other="d"))
    db.session.commit()

    assert 1 == bus.flushmany()
    assert ["a", "c"] == wire.sent


@pytest.mark.databases("postgresql")
def test_table_in_a_schema(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, app_ctx: object, record: t.Any
) -> None:
    """A model's table may be in a schema."""
    with db.engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema("outbox"))
    model = new_model(form="row", __table_args__={"schema": "outbox"})
    record(model, "a")

    assert 1 == bus.flush()
    with db.engine.begin() as connection:
        connection.execute(sa.schema.DropSchema("outbox", cascade=True))


def test_quoted_names(bus: SignalBus, new_model: t.Any, record: t.Any) -> None:
    """Names that SQL must quote are quoted."""
    model = new_model(
        form="row",
        __tablename__="order",
        id=sa.Column("Group By", sa.Integer, primary_key=True),
    )
    record(model, "a", "b")

    assert 2 == bus.flushmany()


def test_models_of_another_database_are_not_ours(
    bus: SignalBus, greeting: SignalModel, new_app: t.Any, other_url: str
) -> None:
    """Every bus knows the models of its own database only."""
    other_db = SQLAlchemy(new_app(other_url))
    other_bus = SignalBus(other_db)

    class Other(Sends, other_db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    assert [greeting] == bus.get_signal_models()
    assert [Other] == other_bus.get_signal_models()


def _burst(cls: type, signals: object) -> None:
    """Send many."""


MISDECLARED: dict[str, dict[str, t.Any]] = {
    "burst count 0": {"signalbus_burst_count": 0},
    "burst count negative": {"signalbus_burst_count": -5},
    "burst count text": {"signalbus_burst_count": "10"},
    "burst count fraction": {"signalbus_burst_count": 1.5},
    "burst count none": {"signalbus_burst_count": None},
    "burst count boolean": {"signalbus_burst_count": True},
    "order by text": {"signalbus_order_by": "id"},
    "order by tuple of texts": {"signalbus_order_by": ("id",)},
    "order by tuple of numbers": {"signalbus_order_by": (1,)},
    "order by number": {"signalbus_order_by": 1},
    "burst form no classmethod": {"send_signalbus_messages": _burst},
    "burst form no method": {"send_signalbus_messages": "amqp"},
    "single form no method": {"send_signalbus_message": "amqp"},
    "broker is no name": {"send_signalbus_message": None, "signalbus_broker": 5},
}


def _attribute(case: str) -> str:
    return list(MISDECLARED[case])[-1]


@pytest.mark.parametrize("case", MISDECLARED)
def test_misdeclared_model_is_refused(
    bus: SignalBus, new_model: t.Any, case: str
) -> None:
    """What is wrong with a model is found when models are discovered."""
    new_model("Broken", **MISDECLARED[case])
    with pytest.raises(SignalModelError, match=rf"Broken(.|\n)*{_attribute(case)}"):
        bus.get_signal_models()


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_misdeclared_model_sends_nothing(
    bus: SignalBus, new_model: t.Any, record: t.Any, wire: t.Any, method: str
) -> None:
    """A flush finds what is wrong with a model before it sends anything."""
    record(new_model("Fine"), "a")
    new_model("Broken", signalbus_burst_count=0)
    with pytest.raises(SignalModelError, match="Broken"):
        getattr(bus, method)()

    assert [] == wire.attempts


def test_model_with_settings_but_no_way_to_send(bus: SignalBus, db: SQLAlchemy) -> None:
    """A model that has our settings, but neither send method nor broker, is refused."""

    class Mute(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        signalbus_burst_count = 10

    with pytest.raises(SignalModelError, match="Mute"):
        bus.get_signal_models()


class Bursts:
    """Sends bursts, and no single signal."""

    @classmethod
    def send_signalbus_messages(cls, signals: object) -> None:
        """Send many."""


def _records(caplog: pytest.LogCaptureFixture, name: str) -> list[tuple[int, str]]:
    """Return what the log has about the model *name*; others are of other tests."""
    return [
        (record.levelno, record.getMessage())
        for record in caplog.records
        if name in record.getMessage()
    ]


NEEDS_A_SINGLE_FORM = (
    "The signal model Mute has send_signalbus_messages, but also needs"
    " send_signalbus_message, or signalbus_broker. Define send_signalbus_message, or"
    " name a plugin in signalbus_broker instead."
)


@pytest.mark.parametrize("is_inherited", [False, True])
def test_model_with_the_burst_form_alone(
    bus: SignalBus,
    db: SQLAlchemy,
    app_ctx: object,
    caplog: pytest.LogCaptureFixture,
    is_inherited: bool,
) -> None:
    """It is told once, before its first signal is recorded, and refused by name."""
    own = {} if is_inherited else {"send_signalbus_messages": classmethod(_burst)}
    bases = (Bursts, db.Model) if is_inherited else (db.Model,)
    key = sa.Column(sa.Integer, primary_key=True)
    model: t.Any = type("Mute", bases, {"id": key, **own})
    db.create_all()
    for _ in range(3):
        db.session.add(model())
        db.session.commit()

    assert [
        (logging.ERROR, f"{NEEDS_A_SINGLE_FORM} Until then, its signals stay pending.")
    ] == _records(caplog, "Mute")
    for _ in range(2):
        with pytest.raises(SignalModelError) as caught:
            bus.flush()
        assert NEEDS_A_SINGLE_FORM == str(caught.value)
    assert 1 == len(_records(caplog, "Mute"))


def test_model_with_the_burst_form_and_a_broker(
    bus: SignalBus, new_model: t.Any
) -> None:
    """Nobody can tell which of the two is to send it."""
    new_model("Torn", form="pigeons", burst=True)
    with pytest.raises(SignalModelError) as caught:
        bus.get_signal_models()

    assert (
        "The signal model Torn has both send_signalbus_messages and signalbus_broker."
        " Define send_signalbus_message, or remove send_signalbus_messages."
    ) == str(caught.value)


@pytest.mark.parametrize("case", MISDECLARED)
def test_misdeclared_model_is_told_when_models_are_configured(
    bus: SignalBus, new_model: t.Any, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    """Whatever is wrong, the log has it once, and before anything is recorded."""
    _model = new_model("Broken", **MISDECLARED[case])
    for _ in range(2):
        sa_orm.configure_mappers()
        with pytest.raises(SignalModelError) as caught:
            bus.get_signal_models()

    assert [
        (logging.ERROR, f"{caught.value} Until then, its signals stay pending.")
    ] == _records(caplog, "Broken")


def test_all_misdeclared_models_are_told(
    bus: SignalBus, new_model: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One refusal does not hide the others, nor what is declared later."""
    _models = [new_model(name, signalbus_burst_count=0) for name in ("First", "Second")]
    sa_orm.configure_mappers()
    _models.append(new_model("Third", signalbus_burst_count=0))
    sa_orm.configure_mappers()

    assert [1, 1, 1] == [
        len(_records(caplog, f"signal model {name} "))
        for name in ("First", "Second", "Third")
    ]


def test_autoflush_tells_of_a_misdeclared_model_once(
    db: SQLAlchemy, new_model: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The first commit says that its signals stay pending, and no other does."""
    model = new_model("Broken", signalbus_burst_count=0)
    for _ in range(3):
        db.session.add(model(text="a"))
        db.session.commit()

    assert ["The signal model", "Signals stay pending: SignalModelError"] == [
        message.split(" Broken")[0].removesuffix(": The signal model")
        for _, message in _records(caplog, "Broken")
    ]


def test_model_without_a_table(bus: SignalBus, db: SQLAlchemy, app_ctx: object) -> None:
    """A model that is mapped to a query has no rows that could be deleted."""
    selection = sa.select(sa.literal(1).label("id")).subquery()

    class Tableless(Sends, db.Model):
        __table__ = selection
        __mapper_args__: t.ClassVar[t.Any] = {"primary_key": [selection.c.id]}

    with pytest.raises(SignalModelError, match="Tableless"):
        bus.get_signal_models()


def test_abstract_model_cannot_be_flushed(
    bus: SignalBus, db: SQLAlchemy, app_ctx: object
) -> None:
    """A class that is not mapped is refused by its name."""

    class Abstract(Sends, db.Model):
        __abstract__ = True

    with pytest.raises(SignalModelError, match="Abstract"):
        bus.flush([Abstract])


def test_misdeclared_model_never_fails_a_commit(
    db: SQLAlchemy, new_model: t.Any, pending: t.Any
) -> None:
    """A misdeclared model does not raise into the commit that records its signals."""
    model = new_model("Broken", signalbus_burst_count=0)
    db.session.add(model(text="a"))
    db.session.commit()

    assert ["a"] == pending(model)


def test_numbers_of_other_kinds_are_refused_as_signal_model_errors() -> None:
    """Whoever catches our errors catches the misdeclared models."""
    assert issubclass(SignalModelError, SignalBusError)


def test_models_by_name(bus: SignalBus, new_model: t.Any) -> None:
    """Names of signal models are turned into the classes, in any order given."""
    first, second = new_model("First"), new_model("Second")

    assert {first, second} == set(get_models_to_flush(bus, ["Second", "First"]))
    assert [first] == list(get_models_to_flush(bus, ["First"]))


def test_unknown_names_are_ignored_with_a_warning(
    bus: SignalBus, new_model: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that no signal model has is logged, and ignored."""
    first = new_model("First")
    bus.get_signal_models()
    caplog.clear()  # of what mappers of other tests say when all are configured
    models = get_models_to_flush(bus, ["Unheard", "First"])

    assert [first] == list(models)
    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    assert "Unheard" in caplog.text


def test_models_that_are_still_being_imported_are_left_alone() -> None:
    """Configuring one database's models touches no half-imported ones of another."""
    apps = [Flask(__name__) for _ in range(2)]  # which nobody else holds
    done, half = map(_database, apps)

    class Parent(half.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        child = sa_orm.relationship("Child")

    done.signalbus.get_signal_models()

    class Child(half.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        parent_id = sa.Column(sa.ForeignKey(Parent.id))

    assert [] == half.signalbus.get_signal_models()
    assert Child is sa.inspect(Parent).relationships["child"].mapper.class_


def _database(app: Flask) -> t.Any:
    """Return a database of *app*, with a bus."""

    class Database(SignalBusMixin, SQLAlchemy):
        pass

    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    return Database(app)


NO_LISTS: dict[str, t.Callable[[t.Any], t.Any]] = {
    "model": lambda model: model,
    "name": lambda model: model.__name__,
    "instance": lambda model: model(),
    "number": lambda model: 1,
}


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
@pytest.mark.parametrize("kind", NO_LISTS)
def test_models_are_given_as_a_list(
    bus: SignalBus, greeting: SignalModel, kind: str, method: str
) -> None:
    """A model alone, or its name, is an error that says what to pass."""
    wrong = NO_LISTS[kind](greeting)
    with pytest.raises(TypeError, match=r"Pass a list of signal models, such as \["):
        getattr(bus, method)(wrong)
    with pytest.raises(TypeError, match="Pass a list of signal models"):
        bus.count_pending(wrong)


def test_a_model_that_is_no_list_is_named(bus: SignalBus, greeting: t.Any) -> None:
    """The error shows how to write what was probably meant."""
    with pytest.raises(TypeError) as caught:
        bus.flush(greeting)

    assert (
        "models is the class Greeting. Pass a list of signal models, such as"
        " [Greeting]."
    ) == str(caught.value)


def test_names_are_given_as_a_list(bus: SignalBus, greeting: SignalModel) -> None:
    """A single name is not taken for a list of letters."""
    with pytest.raises(
        TypeError, match=r"Pass a list of names, such as \['Greeting'\]"
    ):
        get_models_to_flush(bus, "Greeting")


def test_models_may_be_any_iterable(bus: SignalBus, greeting: SignalModel) -> None:
    """Tuples, sets and generators are as good as lists."""
    for models in ((greeting,), {greeting}, iter([greeting])):
        assert 0 == bus.flush(models)
