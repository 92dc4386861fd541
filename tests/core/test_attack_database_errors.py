"""Errors of the database that are about no row end a model's flush, once."""

from __future__ import annotations

import secrets
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ("flush", "flushmany", "flushordered")

READ_ONLY = {
    "postgresql": "SET default_transaction_read_only = on",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}


@pytest.fixture(params=["row", "instance"])
def signals(
    request: pytest.FixtureRequest, bus: SignalBus, new_model: t.Any, record: t.Any
) -> SignalModel:
    """Make fifty signals pending, in bursts of ten."""
    bus.autoflush = False
    model: SignalModel = new_model(form=request.param, signalbus_burst_count=10)
    record(model, *map(str, range(50)))
    return model


def begin_with(db: SQLAlchemy, statement: str) -> None:
    """Have each new connection of *db* begin with *statement*."""

    def execute(connection: t.Any, _: object) -> None:
        connection.cursor().execute(statement)
        connection.commit()

    db.engine.dispose()
    sa.event.listen(db.engine, "connect", execute)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as an error."""
    return [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_database_that_is_read_only_is_one_error(
    db: SQLAlchemy,
    bus: SignalBus,
    signals: SignalModel,
    database: str,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    """What holds for every row is not found out for each, and nothing is sent."""
    begin_with(db, READ_ONLY[database])
    with pytest.raises(sa_exc.DBAPIError):
        getattr(bus, method)()

    assert 1 == len(errors(caplog))
    assert [] == wire.sent


@pytest.fixture
def role(db: SQLAlchemy, app_ctx: object) -> t.Iterator[str]:
    """Give a role of PostgreSQL that may do nothing yet."""
    name = f"signalbus_{secrets.token_hex(4)}"
    with db.engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {name}")
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA public TO {name}")
    yield name
    engine = sa.create_engine(db.engine.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {name}")
        connection.exec_driver_sql(f"DROP ROLE {name}")


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rights", "tried"), [("SELECT, DELETE", 0), ("SELECT, UPDATE", 1)]
)
def test_missing_privilege_is_one_error(
    db: SQLAlchemy,
    bus: SignalBus,
    signals: SignalModel,
    role: str,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
    method: str,
    rights: str,
    tried: int,
) -> None:
    """A privilege that one row needs is missing for all: at most one burst is sent."""
    with db.engine.begin() as connection:
        table = signals.__table__.name
        connection.exec_driver_sql(f"GRANT {rights} ON {table} TO {role}")
    begin_with(db, f"SET ROLE {role}")
    with pytest.raises(sa_exc.ProgrammingError, match="permission denied"):
        getattr(bus, method)()

    assert tried * 10 == len(wire.sent)
    assert len(errors(caplog)) <= max(1, 10 * tried)


class Outage:
    """Cuts all connections of an engine, and refuses new ones."""

    def __init__(self, db: SQLAlchemy) -> None:
        """Wait for :meth:`begin`."""
        self.db = db
        self.refused = 0

    def begin(self, *_: object) -> None:
        """Take the database away."""
        sa.event.listen(self.db.engine, "do_connect", self._refuse)
        self.db.engine.dispose()

    def end(self) -> None:
        """Let the database be reached again."""
        sa.event.remove(self.db.engine, "do_connect", self._refuse)

    def _refuse(self, dialect: sa.Dialect, *_: object) -> t.NoReturn:
        self.refused += 1
        raise dialect.loaded_dbapi.OperationalError("connection refused")


@pytest.mark.databases("postgresql", "mariadb")
def test_outage_while_rows_are_deleted_one_by_one_ends_it(
    db: SQLAlchemy,
    bus: SignalBus,
    signals: SignalModel,
    database: str,
    wire: t.Any,
) -> None:
    """After a row that resists its DELETE, a lost database is not asked for each."""
    table = signals.__table__.name
    outage = Outage(db)
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE guard (id INTEGER, FOREIGN KEY (id) REFERENCES {table} (id))"
        )
        connection.exec_driver_sql("INSERT INTO guard VALUES (7)")

    def cut(context: sa.engine.ExceptionContext) -> None:
        if isinstance(context.sqlalchemy_exception, sa_exc.IntegrityError):
            outage.begin()
            context.connection.invalidate()

    sa.event.listen(db.engine, "handle_error", cut)
    with pytest.raises(sa_exc.DBAPIError):
        bus.flushmany()
    outage.end()

    assert 10 == len(wire.sent)
    assert outage.refused < 20
