"""A database with atomic procedures, and a model to try them on."""

from __future__ import annotations

import threading
import types
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from signalbus_atomic import AtomicProceduresMixin

if t.TYPE_CHECKING:
    from flask import Flask


class AtomicDB(AtomicProceduresMixin, SQLAlchemy):
    """What the manual calls ``CustomSQLAlchemy``."""


@pytest.fixture
def db(app: Flask) -> AtomicDB:
    """Give the database of the app, with atomic procedures."""
    return AtomicDB(app)


class Psycopg2:
    """The PostgreSQL server, reached by its other driver."""

    def __init__(self, server: t.Any) -> None:
        """Reach *server*."""
        url = sa.make_url(server.url).set(drivername="postgresql+psycopg2")
        self.url = url.render_as_string(hide_password=False)
        self.empty = server.empty


@pytest.fixture
def psycopg2(postgresql: t.Any) -> Psycopg2:
    """Make ``databases("psycopg2")`` mean PostgreSQL with that driver."""
    return Psycopg2(postgresql)


@pytest.fixture
def account(db: AtomicDB) -> type[t.Any]:
    """Give a model, on ``db.Model``."""

    class Account(db.Model):
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        balance: sa_orm.Mapped[int] = sa_orm.mapped_column(default=0)
        owner: sa_orm.Mapped[str | None] = sa_orm.mapped_column(
            sa.String(20), unique=True
        )

    return Account


@pytest.fixture
def saved(
    db: AtomicDB, account: type[t.Any], app_ctx: object
) -> t.Callable[[], dict[int, int]]:
    """Create the tables, and tell the balances by id that the database has."""
    db.create_all()

    def saved() -> dict[int, int]:
        with db.engine.connect() as connection:
            rows = connection.execute(sa.select(account.id, account.balance))
            return {row.id: row.balance for row in rows}

    return saved


@pytest.fixture
def in_threads(app: Flask) -> t.Callable[..., list[Exception]]:
    """Run a function in threads, each in an app context, and return what it raises."""

    def in_threads(function: t.Callable[[], object], count: int) -> list[Exception]:
        errors: list[Exception] = []

        def work() -> None:
            with app.app_context():
                try:
                    function()
                except Exception as error:  # noqa: BLE001 any
                    errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return errors

    return in_threads


@pytest.fixture
def race_of() -> t.Callable[[str], sa.exc.DBAPIError]:
    """Make the error of a database that has decided a race against us."""

    def race_of(database: str) -> sa.exc.DBAPIError:
        return sa.exc.OperationalError("COMMIT", {}, RACES[database]())

    return race_of


class _SQLSTATEError(Exception):
    sqlstate = "40001"


class _PgcodeError(Exception):
    pgcode = "40P01"


RACES: dict[str, t.Callable[[], Exception]] = {
    "serialization failure": _SQLSTATEError,
    "deadlock of psycopg2": _PgcodeError,
    "deadlock of MySQL": lambda: Exception(1213, "Deadlock found"),
    "snapshot of MariaDB": lambda: Exception(1020, "Record has changed"),
    "locked SQLite": lambda: Exception("database is locked"),
}


@pytest.fixture(params=sorted(RACES))
def race(request: pytest.FixtureRequest, race_of: t.Any) -> sa.exc.DBAPIError:
    """Give each kind of error that says that a race was lost."""
    return race_of(request.param)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect the seconds between tries, instead of waiting in earnest."""
    collected: list[float] = []
    clock = types.SimpleNamespace(sleep=collected.append)
    monkeypatch.setattr("signalbus.stopping.time", clock)
    return collected
