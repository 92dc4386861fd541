"""`signalbus_check`: what is wrong with the set-up of signal models."""

from __future__ import annotations

import itertools
import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import hookimpl
from signalbus.testing import MemoryBroker

if t.TYPE_CHECKING:
    from pathlib import Path

    from signalbus.typing import SignalModel

#: What an index is made of, and how it is declared.
Parts: t.TypeAlias = "tuple[str, ...]"

MIGRATE = "run `flask db migrate` and `flask db upgrade`."

NO_INDEX = (
    "The table event of the signal model Event has no index on its ordering key and"
    " order (account_id, id), so its signals are found slowly. Add `__table_args__ ="
    ' (sa.Index("ix_event_account_id", "account_id", "id"),)` to Event, or the index to'
    f" the __table_args__ that it has, and {MIGRATE}"
)


class Checker:
    """A plugin that finds the *problems* that it is given."""

    name = "checker"

    def __init__(self, *problems: str) -> None:
        """Begin with no calls."""
        self.problems = list(problems)
        self.asked: list[t.Any] = []
        self.error: Exception | None = None

    @hookimpl
    def signalbus_check(
        self, bus: SignalBus, models: t.Sequence[SignalModel]
    ) -> list[str]:
        """Keep what is asked for."""
        self.asked.append((bus, models))
        if self.error:
            raise self.error
        return self.problems


@pytest.fixture
def check(bus: SignalBus, app_ctx: object) -> t.Callable[..., list[str]]:
    """Return the problems of some models, which all plugins find."""

    def check(*models: SignalModel) -> list[str]:
        answers = bus.plugin_manager.hook.signalbus_check(bus=bus, models=models)
        return list(itertools.chain.from_iterable(answers))

    return check


@pytest.fixture
def new_event(new_model: t.Any) -> t.Callable[..., SignalModel]:
    """Declare a model with the ordering key ``account_id``, and some indexes."""

    def make(*indexes: Parts | sa.Index, **attributes: t.Any) -> SignalModel:
        columns = {
            "account_id": sa.Column(sa.Integer),
            "place": sa.Column(sa.Integer),
            "kind": sa.Column(sa.String(20)),
        }
        args = [
            sa.Index(f"ix_{number}", *index) if isinstance(index, tuple) else index
            for number, index in enumerate(indexes)
        ]
        model: SignalModel = new_model(
            "Event",
            **{
                "__table_args__": tuple(args),
                "signalbus_ordering_key": "account_id",
                **columns,
                **attributes,
            },
        )
        return model

    return make


@pytest.mark.databases
def test_hook_signalbus_check(
    bus: SignalBus, greeting: SignalModel, check: t.Callable[..., list[str]]
) -> None:
    """Each plugin adds its problems; the core, which comes last, finds none here."""
    first, second = Checker("Greeting is cold. Heat it."), Checker("Greeting is late.")
    bus.plugin_manager.register(first)
    bus.plugin_manager.register(second, "second")

    assert ["Greeting is late.", "Greeting is cold. Heat it."] == check(greeting)
    assert [(bus, (greeting,))] == first.asked


def test_plugin_that_fails_is_a_problem(
    bus: SignalBus, new_model: t.Any, check: t.Callable[..., list[str]]
) -> None:
    """Its error is told with its name; the others are asked all the same."""
    broken = Checker()
    broken.error = LookupError("no such pigeon")
    bus.plugin_manager.register(broken)
    bus.plugin_manager.register(Checker("It is late."), "other")
    told = check(new_model(form="nobody"))

    assert [
        "It is late.",
        (
            "The plugin 'checker' failed in signalbus_check: LookupError: no such"
            " pigeon. Repair it, or uninstall its distribution."
        ),
    ] == told[:2]
    assert "names the broker 'nobody'" in told[2]


def test_broker_that_nobody_is_is_a_problem(
    bus: SignalBus, new_model: t.Any, check: t.Callable[..., list[str]]
) -> None:
    """The model, the name and the brokers that there are: as a flush tells it."""
    bus.plugin_manager.register(MemoryBroker("pigeons"))
    (told,) = check(new_model("Right", form="pigeons"), new_model(form="pigeon"))

    assert told.startswith("The signal model Greeting names the broker 'pigeon', but")
    assert told.endswith("Did you mean 'pigeons'?")


@pytest.mark.databases
def test_missing_table_is_a_problem(
    db: SQLAlchemy, greeting: SignalModel, check: t.Callable[..., list[str]]
) -> None:
    """The table and how to make it: as a flush tells it."""
    sa.inspect(greeting).local_table.drop(db.engine)

    assert [
        (
            "The table greeting of the signal model Greeting is missing."
            " Run `flask db migrate` and `flask db upgrade`, or call db.create_all()."
        )
    ] == check(greeting)


@pytest.mark.databases
def test_missing_table_needs_no_index(
    db: SQLAlchemy, new_event: t.Any, check: t.Callable[..., list[str]]
) -> None:
    """What is to be done next is told, and not what follows from it."""
    event = new_event()
    sa.inspect(event).local_table.drop(db.engine)
    (told,) = check(event)

    assert "is missing" in told


@pytest.fixture
def check_new(new_app: t.Any) -> t.Callable[..., list[str]]:
    """Return the problems of new models, by name and bind key, of an app of its own."""

    def check(
        models: t.Mapping[str, str | None], url: str, **binds: str
    ) -> t.Sequence[str]:
        app = new_app(url, SQLALCHEMY_BINDS=binds)
        bus = SignalBus(SQLAlchemy(app))
        classes = [
            type(
                name,
                (bus.db.Model,),
                {
                    "__bind_key__": bind_key,
                    "id": sa.Column(sa.Integer, primary_key=True),
                    "send_signalbus_message": print,
                },
            )
            for name, bind_key in models.items()
        ]
        with app.app_context():
            hook = bus.plugin_manager.hook.signalbus_check
            problems = [
                each for answer in hook(bus=bus, models=classes) for each in answer
            ]
        return t.cast("list[str]", problems)

    return check


@pytest.mark.databases
def test_database_that_cannot_be_read_is_told_once(
    check_new: t.Any, engine_url: str, tmp_path: Path
) -> None:
    """With its models, the error and the setting; the others are checked."""
    far = f"sqlite:///{tmp_path / 'nowhere' / 'signals.sqlite'}"
    models = {"Here": None, "Far": "far", "Away": "far"}
    told = check_new(models, engine_url, far=far)

    assert [
        (
            "The table here of the signal model Here is missing."
            " Run `flask db migrate` and `flask db upgrade`, or call db.create_all()."
        ),
        (
            "The database 'far' of Far, Away cannot be read: OperationalError: unable"
            " to open database file. Start it, or correct SQLALCHEMY_BINDS or the"
            " privileges of its user."
        ),
    ] == [each for each in told if "a plugin" not in each]  # some keep tables, too


def test_database_that_the_app_does_not_know_is_told(
    check_new: t.Any, engine_url: str
) -> None:
    """The setting that should name it is in the line."""
    assert [
        (
            "The signal model Lost is bound to 'lost', for which the app has no engine."
            " Name it in SQLALCHEMY_BINDS."
        )
    ] == check_new({"Lost": "lost"}, engine_url)


@pytest.mark.databases("postgresql", "mariadb")
def test_server_that_is_down_is_told_without_its_password(
    check_new: t.Any, engine_url: str
) -> None:
    """The line may go to a log."""
    url = sa.make_url(engine_url).set(port=1, username="ada", password="secret")  # noqa: S106 nobody's
    (told,) = check_new({"Event": None}, url.render_as_string(hide_password=False))

    assert told.startswith("The database of Event cannot be read: OperationalError: ")
    assert told.endswith(
        " Start it, or correct SQLALCHEMY_DATABASE_URI or the privileges of its user."
    )
    assert "secret" not in told


@pytest.mark.databases
def test_missing_index_is_a_problem(new_event: t.Any, check: t.Any) -> None:
    """The fact has the columns, and the remedy a line to paste."""
    assert [NO_INDEX] == check(new_event())


@pytest.mark.databases
def test_remedy_for_a_missing_index_works(
    db: SQLAlchemy, new_event: t.Any, check: t.Any
) -> None:
    """What the line says makes the index that was missed."""
    event = new_event()
    (told,) = check(event)
    index = eval(told.split("`")[1].partition(" = ")[2], {"sa": sa})[0]  # noqa: S307 our own line
    event.__table__.append_constraint(index)
    index.create(db.engine)

    assert [] == check(event)


@pytest.mark.databases
def test_remedy_does_not_take_a_name_twice(
    db: SQLAlchemy, new_event: t.Any, check: t.Any
) -> None:
    """The index that ``index=True`` makes has the name that comes first to mind."""
    place = sa.Column(sa.Integer)
    event = new_event(
        account_id=sa.Column(sa.Integer, index=True),
        place=place,
        signalbus_order_by=(place.asc(),),
    )
    (told,) = check(event)

    assert "ix_event_account_id" in {index.name for index in event.__table__.indexes}
    assert (
        '(sa.Index("ix_event_account_id_place", "account_id", "place"),)'
        in told.partition("__table_args__ = ")[2]
    )


@pytest.mark.databases
@pytest.mark.parametrize(
    "index",
    [
        ("account_id", "id"),
        ("account_id", "id", "kind"),
        ("account_id", sa.desc("id")),
        sa.UniqueConstraint,
    ],
    ids=["exact", "longer", "descending", "constraint"],
)
def test_every_index_that_serves_is_accepted(
    new_event: t.Any, check: t.Any, index: t.Any
) -> None:
    """Whatever its name, if it begins with the key and goes on with the order."""
    if not isinstance(index, tuple):
        index = index("account_id", "id")

    assert [] == check(new_event(index))


@pytest.mark.databases
@pytest.mark.parametrize(
    "index",
    [("id", "account_id"), ("account_id", "kind", "id"), ("kind", "account_id", "id")],
    ids=" ".join,
)
def test_other_indexes_are_not_accepted(
    new_event: t.Any, check: t.Any, index: Parts
) -> None:
    """One that has the columns, but not in front or not together, finds nothing."""
    assert [NO_INDEX] == check(new_event(index))


@pytest.mark.databases("postgresql", "sqlite")
def test_partial_index_is_not_accepted(new_event: t.Any, check: t.Any) -> None:
    """It lacks the other rows."""
    where = sa.text("account_id > 5")
    index = sa.Index(
        "ix_some", "account_id", "id", postgresql_where=where, sqlite_where=where
    )

    assert [NO_INDEX] == check(new_event(index))


@pytest.mark.databases("postgresql")
def test_unordered_index_is_not_accepted(new_event: t.Any, check: t.Any) -> None:
    """A BRIN index has the columns, but no order."""
    index = sa.Index("ix_brin", "account_id", "id", postgresql_using="brin")

    assert [NO_INDEX] == check(new_event(index))


@pytest.mark.databases
def test_innodb_adds_the_primary_key(
    database: str, new_event: t.Any, check: t.Any
) -> None:
    """There, an index on the key alone goes on with the primary key."""
    told = check(new_event(("account_id",)))

    assert ([] if database == "mariadb" else [NO_INDEX]) == told


@pytest.mark.databases("mariadb")
def test_innodb_alone_adds_the_primary_key(
    db: SQLAlchemy, new_event: t.Any, check: t.Any
) -> None:
    """A table of another engine needs the whole index."""
    event = new_event(("account_id",))
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE event ENGINE = Aria")

    assert [NO_INDEX] == check(event)


@pytest.mark.databases("mariadb")
def test_innodb_adds_nothing_but_the_primary_key(
    new_event: t.Any, check: t.Any
) -> None:
    """Another order needs its own columns."""
    place = sa.Column(sa.Integer)
    order = (place.asc(),)
    event = new_event(("account_id",), place=place, signalbus_order_by=order)

    assert [True] == ["(account_id, place)" in told for told in check(event)]


@pytest.mark.databases
@pytest.mark.parametrize("index", [("kind", "account_id"), ("account_id", "kind")])
def test_columns_of_a_key_may_come_in_any_order(
    new_event: t.Any, check: t.Any, index: Parts
) -> None:
    """They are compared all at once."""
    key = ("account_id", "kind")

    assert [] == check(new_event((*index, "id"), signalbus_ordering_key=key))


@pytest.mark.databases
def test_declared_order_replaces_the_primary_key(
    new_event: t.Any, check: t.Any
) -> None:
    """Its columns in their order, ascending or not, and no primary key at the end."""
    place, kind = sa.Column(sa.Integer), sa.Column(sa.String(20))
    event = new_event(
        ("account_id", "place", "kind"),
        place=place,
        kind=kind,
        signalbus_order_by=(place.desc(), kind),
    )

    assert [] == check(event)


@pytest.mark.databases
def test_order_counts_without_the_key(new_event: t.Any, check: t.Any) -> None:
    """Among the signals of a key, its own columns do not matter."""
    account, place = sa.Column(sa.Integer), sa.Column(sa.Integer)
    event = new_event(
        ("account_id", "place"),
        account_id=account,
        place=place,
        signalbus_order_by=(account, place),
    )

    assert [] == check(event)


@pytest.mark.databases
@pytest.mark.parametrize("name", ["abs", "nulls_first"])
def test_order_by_an_expression_needs_an_index_on_the_key(
    new_event: t.Any, check: t.Any, name: str
) -> None:
    """An index on columns does not sort by it, but finds the signals of a key."""
    place = sa.Column(sa.Integer)
    order = {"abs": sa.func.abs(place), "nulls_first": sa.nulls_first(place)}
    (told,) = check(new_event(place=place, signalbus_order_by=(order[name],)))

    assert "has no index on its ordering key (account_id), so" in told
    assert '= (sa.Index("ix_event_account_id", "account_id"),)`' in told


@pytest.mark.databases
def test_any_index_on_the_key_is_accepted_where_the_order_is_an_expression(
    new_event: t.Any, check: t.Any
) -> None:
    """It may go on with anything."""
    place = sa.Column(sa.Integer)
    order = (sa.func.abs(place),)

    assert [] == check(
        new_event(("account_id", "kind"), place=place, signalbus_order_by=order)
    )


@pytest.mark.databases
def test_primary_key_is_an_index(new_model: t.Any, check: t.Any) -> None:
    """If it begins with the ordering key, no other is needed."""
    seat = new_model(
        "Seat",
        show=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        id=sa.Column(sa.Integer, primary_key=True, autoincrement=False),
        signalbus_ordering_key="show",
        __table_args__=(sa.PrimaryKeyConstraint("show", "id"),),
    )

    assert [] == check(seat)


@pytest.mark.databases
def test_remedy_has_the_names_of_columns(new_model: t.Any, check: t.Any) -> None:
    """A column may have another name than its attribute."""
    (told,) = check(
        new_model(
            "Event",
            __tablename__="happened",
            account=sa.Column("acc_no", sa.Integer),
            signalbus_ordering_key="account",
        )
    )

    assert told.startswith("The table happened of the signal model Event has no index")
    assert '(sa.Index("ix_happened_acc_no", "acc_no", "id"),)' in told


@pytest.mark.databases
def test_declared_index_that_the_database_lacks_is_told(
    db: SQLAlchemy, new_event: t.Any, check: t.Any
) -> None:
    """To declare it a second time would not help."""
    account, place = sa.Column(sa.Integer), sa.Column(sa.Integer)
    event = new_event(
        (account, place.desc()),
        account_id=account,
        place=place,
        signalbus_order_by=(place.asc(),),
    )
    (index,) = event.__table__.indexes
    index.drop(db.engine)
    (told,) = check(event)

    assert told.endswith(
        " slowly. The model declares ix_0, but the database does not have it, or cannot"
        " use it. Run `flask db migrate` and `flask db upgrade`, or create it by hand."
    )


@pytest.mark.databases
@pytest.mark.usefixtures("app_ctx")
def test_inherited_tables_are_looked_at(
    db: SQLAlchemy, bus: SignalBus, check: t.Any
) -> None:
    """The index is needed where the key is: there is its class, and there its order."""

    class Parent(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(10))
        account_id = sa.Column(sa.Integer)
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_on": kind}

    class Upper(Parent):
        id = sa.Column(sa.ForeignKey(Parent.id), primary_key=True)
        signalbus_ordering_key = "account_id"
        send_signalbus_message = print
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_identity": "u"}

    class Lower(Parent):
        id = sa.Column(sa.ForeignKey(Parent.id), primary_key=True)
        shop_id = sa.Column(sa.Integer)
        signalbus_ordering_key = "shop_id"
        send_signalbus_message = print
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_identity": "l"}

    class Single(Parent):
        signalbus_ordering_key = "account_id"
        send_signalbus_message = print
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_identity": "s"}

    db.create_all()
    upper, lower, single = check(Upper, Lower, Single)

    for told, name in ((upper, "Upper"), (single, "Single")):
        assert told.startswith(f"The table parent of the signal model {name} has no")
        assert '"ix_parent_account_id", "account_id", "id"),)` to Parent, or' in told
    assert '"ix_lower_shop_id", "shop_id", "id"),)` to Lower, or' in lower


@pytest.mark.databases
@pytest.mark.usefixtures("app_ctx")
def test_order_in_another_table_needs_an_index_on_the_key(
    db: SQLAlchemy, bus: SignalBus, check: t.Any
) -> None:
    """No index has columns of two tables."""

    class Parent(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(10))
        place = sa.Column(sa.Integer)
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_on": kind}

    class Child(Parent):
        id = sa.Column(sa.ForeignKey(Parent.id), primary_key=True)
        account_id = sa.Column(sa.Integer, index=True)
        signalbus_ordering_key = "account_id"
        signalbus_order_by = (Parent.place.asc(),)
        send_signalbus_message = print
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_identity": "c"}

    db.create_all()

    assert [] == check(Child)


@pytest.mark.databases
def test_model_without_an_ordering_key_needs_no_index(
    new_model: t.Any, check: t.Any
) -> None:
    """Its primary key is enough."""
    assert [] == check(new_model(signalbus_order_by=(sa.column("text"),)))


@pytest.mark.databases
def test_check_changes_nothing(
    bus: SignalBus, new_event: t.Any, check: t.Any, statements: list[tuple[str, str]]
) -> None:
    """It looks only."""
    event = new_event()
    statements.clear()
    check(event)

    assert statements
    assert {"SELECT", "SHOW", "DESCRIBE", "PRAGMA"} >= {
        text.split()[0].partition("(")[0].upper() for text, _ in statements
    }


class TestTranslatedSchema:
    """An engine with a ``schema_translate_map``, as tenants have them."""

    @pytest.fixture
    def app(self, new_app: t.Any, engine_url: str) -> t.Any:
        """Give an app that finds the schema ``tenant`` in its own database."""
        translation = {"tenant": sa.make_url(engine_url).database}
        options = {"execution_options": {"schema_translate_map": translation}}
        return new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)

    @pytest.mark.databases("mariadb")
    def test_tables_and_indexes_are_looked_for_where_they_are(
        self,
        db: SQLAlchemy,
        new_event: t.Callable[..., SignalModel],
        check: t.Callable[..., list[str]],
    ) -> None:
        """Not in the schema that the model names."""
        index = sa.Index("ix_account", "account_id", "id")
        event = new_event(__table_args__=(index, {"schema": "tenant"}))
        table: t.Any = event.__table__
        there = check(event)
        with db.engine.begin() as connection:
            index.drop(connection)
        (without_index,) = check(event)
        table.drop(db.engine)
        (without_table,) = check(event)

        assert [] == there
        assert "has no index on its ordering key" in without_index
        assert "is missing" in without_table
