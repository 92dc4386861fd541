"""A table that is missing is an error that says how to make it."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import MissingTableError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


REMEDY = (
    "The table greeting of the signal model Greeting is missing."
    " Run `flask db migrate` and `flask db upgrade`, or call db.create_all()."
)


@pytest.fixture
def tableless(greeting: SignalModel, db: SQLAlchemy) -> SignalModel:
    """Give a model whose table is gone."""
    t.cast("sa.Table", greeting.__table__).drop(db.engine)
    return greeting


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_flush_says_what_to_do(
    bus: SignalBus, tableless: SignalModel, method: str, caplog: t.Any
) -> None:
    """The error names the model, its table and the remedy."""
    with pytest.raises(MissingTableError) as caught:
        getattr(bus, method)()

    assert REMEDY == str(caught.value)
    assert isinstance(caught.value.__cause__, sa.exc.DBAPIError)
    assert 1 == caplog.text.count(REMEDY)


@pytest.mark.databases
def test_counting_says_what_to_do(bus: SignalBus, tableless: SignalModel) -> None:
    """So does the count of what is pending."""
    with pytest.raises(MissingTableError) as caught:
        bus.count_pending()

    assert REMEDY == str(caught.value)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["row", "instance"])
def test_autoflush_says_what_to_do(
    db: SQLAlchemy, new_model: t.Any, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    """A table that goes between the commit and its autoflush is told in the log."""
    model = new_model(form=form)

    def lose_table(session: object) -> None:
        with db.engine.begin() as connection:
            model.__table__.drop(connection)

    sa.event.listen(db.session(), "after_commit", lose_table, insert=True)
    db.session.add_all([model(text="a"), model(text="b")])
    db.session.commit()

    assert REMEDY in caplog.text


@pytest.fixture
def created(tableless: SignalModel, db: SQLAlchemy) -> t.Iterator[list[str]]:
    """Let the table be created as soon as a statement has failed; give the errors."""
    errors: list[str] = []

    def note(context: sa.ExceptionContext) -> None:
        errors.append(str(context.original_exception))

    def create(*_: object) -> None:
        if errors:
            tableless.metadata.create_all(others)

    sa.event.listen(db.engine, "handle_error", note)
    sa.event.listen(db.engine.pool, "checkin", create)
    others = sa.create_engine(db.engine.url, poolclass=sa.NullPool)
    yield errors
    others.dispose()


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flushmany", "flushordered", "count_pending"])
def test_table_that_was_created_since_was_missing(
    bus: SignalBus, db: SQLAlchemy, created: list[str], method: str
) -> None:
    """What the database said is explained, though it would not say so any more."""
    with pytest.raises(MissingTableError) as caught:
        getattr(bus, method)()

    assert REMEDY == str(caught.value)
    assert created
    assert sa.inspect(db.engine).has_table("greeting")


@pytest.mark.databases("postgresql", "mariadb", "sqlite")
def test_another_table_is_another_error(
    bus: SignalBus,
    greeting: SignalModel,
    db: SQLAlchemy,
    record: t.Any,
    database: str,
) -> None:
    """A trigger may name a table that does not exist; the model's own is there."""
    record(greeting, "a")
    body = {
        "sqlite": "BEGIN INSERT INTO greeting_log VALUES (1); END",
        "mariadb": "FOR EACH ROW INSERT INTO greeting_log VALUES (1)",
        "postgresql": "FOR EACH ROW EXECUTE FUNCTION note()",
    }
    with db.engine.begin() as connection:
        if database == "postgresql":
            connection.exec_driver_sql(
                "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql"
                " AS 'BEGIN INSERT INTO greeting_log VALUES (1); RETURN old; END'"
            )
        connection.exec_driver_sql(
            f"CREATE TRIGGER noted BEFORE DELETE ON greeting {body[database]}"
        )
    with pytest.raises(sa.exc.DBAPIError, match="greeting_log"):
        bus.flushmany()


@pytest.mark.databases
@pytest.mark.usefixtures("app_ctx")
def test_table_of_a_child_is_named(bus: SignalBus, db: SQLAlchemy) -> None:
    """Of a model with several tables, the one that is missing is told."""

    class Parent(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(10))
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_on": kind}

    class Child(Parent):
        id = sa.Column(sa.ForeignKey(Parent.id), primary_key=True)
        __mapper_args__: t.ClassVar[dict[str, t.Any]] = {"polymorphic_identity": "c"}

        def send_signalbus_message(self) -> None:
            """Send nothing."""

    Parent.__table__.create(db.engine)
    with pytest.raises(MissingTableError, match="The table child of"):
        bus.flushmany()
