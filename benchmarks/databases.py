"""A database for each measurement: created, filled, brought to rest, dropped."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import tempfile
import typing as t

import sqlalchemy as sa

from benchmarks import services

metadata = sa.MetaData()
for _name in ("signals", "kept", "business"):
    sa.Table(
        _name,
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("payload", sa.Text, nullable=False),
    )


@dataclasses.dataclass(frozen=True)
class Dialect:
    """What is said differently to each kind of database.

    :param empty: removes all signals, and their traces.
    :param numbers: a query of the numbers from 1 to ``:size``.
    :param rest: what ends the work that the fill has left to the server.
    :param drop: removes a database whoever is connected to it.
    """

    empty: str
    numbers: str
    rest: tuple[str, ...]
    drop: str = "DROP DATABASE {name}"

    @property
    def fill(self) -> str:
        """The statement that makes ``:size`` signals pending."""
        return f"INSERT INTO signals (id, payload) SELECT n, :text FROM {self.numbers}"  # noqa: S608 our own words


DIALECTS = {
    "postgresql": Dialect(
        empty="TRUNCATE signals",
        numbers="generate_series(1, :size) AS numbers (n)",
        rest=("VACUUM ANALYZE signals", "CHECKPOINT"),
        drop="DROP DATABASE {name} WITH (FORCE)",
    ),
    "mysql": Dialect(
        empty="TRUNCATE TABLE signals",
        numbers="(SELECT seq AS n FROM seq_1_to_1000000 LIMIT :size) AS numbers",
        rest=("ANALYZE TABLE signals",),
    ),
    "sqlite": Dialect(
        empty="DELETE FROM signals",
        numbers="(WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1"
        " FROM numbers WHERE n < :size) SELECT n FROM numbers)",
        rest=("VACUUM", "ANALYZE"),
    ),
}


class Database:
    """A database that has the tables of this module."""

    def __init__(self, url: sa.URL) -> None:
        #: Where the database is; its text has the password.
        self.url = url
        self._dialect = DIALECTS[url.get_backend_name()]
        self._engine = _engine(url)

    def create_tables(self) -> None:
        """Create empty tables."""
        metadata.create_all(self._engine)

    def fill(self, size: int, payload: int) -> None:
        """Make *size* signals pending, and none else, and bring the server to rest.

        :param payload: the length of their text; compression finds nothing in it.
        """
        values = {"size": size, "text": secrets.token_urlsafe(payload)[:payload]}
        with self._engine.connect() as connection:
            connection.exec_driver_sql(self._dialect.empty)
            if size:
                connection.execute(sa.text(self._dialect.fill), values)
            for statement in self._dialect.rest:
                with contextlib.suppress(sa.exc.DBAPIError):  # it may take a superuser
                    connection.exec_driver_sql(statement)

    def pending(self) -> int:
        """Return how many signals are pending."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.text("SELECT count(*) FROM signals")) or 0

    @contextlib.contextmanager
    def old_snapshot(self) -> t.Iterator[None]:
        """Keep a transaction open that still sees all rows, so that none can go."""
        with self._engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ")
            connection.execute(sa.text("SELECT count(*) FROM signals"))
            yield


@contextlib.contextmanager
def new_database(kind: str) -> t.Iterator[Database]:
    """Create a database with its tables; drop it at the end.

    :param kind: ``postgresql``, ``mariadb`` or ``sqlite``.
    """
    with _new_file() if kind == "sqlite" else _new_on(kind) as url:
        database = Database(url)
        database.create_tables()
        yield database


@contextlib.contextmanager
def _new_file() -> t.Iterator[sa.URL]:
    with tempfile.TemporaryDirectory(prefix="signalbus-bench-") as folder:
        yield sa.make_url(f"sqlite:///{folder}/signals.sqlite")


@contextlib.contextmanager
def _new_on(server: str) -> t.Iterator[sa.URL]:
    url = sa.make_url(services.url(server))
    name = f"signalbus_bench_{secrets.token_hex(4)}"
    drop = DIALECTS[url.get_backend_name()].drop.format(name=name)
    with _engine(url).connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield url.set(database=name)
        finally:
            connection.exec_driver_sql(drop)


def _engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
