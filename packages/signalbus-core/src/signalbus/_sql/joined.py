"""Let flushes work inside a transaction that somebody else has begun: for tests.

A suite of tests may keep one transaction open for each test, and roll it back. Only
that connection then sees what the application commits. A flush gets an engine that
works on the same connection of the driver, and whose transactions are savepoints.
"""

from __future__ import annotations

import contextlib
import contextvars
import typing as t

import sqlalchemy as sa

from signalbus.exceptions import SignalBusError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

    from signalbus._declaration import Declaration

#: Returns the connection that flushes of a model are to work on; ``None`` for one of
#: their own.
FindConnection: t.TypeAlias = "t.Callable[[Declaration], sa.Connection | None]"

#: The savepoint that stands for a transaction.
SAVEPOINT: t.Final = "signalbus_joined"


class SavepointDialect:
    """Mixed into a dialect: its transactions are savepoints, and it closes nothing.

    The savepoints within have names of their own. On MySQL, one that has the name of
    another would end that.
    """

    def do_begin(self, dbapi_connection: t.Any) -> None:
        """Set the savepoint."""
        _execute(dbapi_connection, f"SAVEPOINT {SAVEPOINT}")

    def do_commit(self, dbapi_connection: t.Any) -> None:
        """Keep what was done since."""
        _execute(dbapi_connection, f"RELEASE SAVEPOINT {SAVEPOINT}")

    def do_rollback(self, dbapi_connection: t.Any) -> None:
        """Undo what was done since."""
        _execute(dbapi_connection, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
        _execute(dbapi_connection, f"RELEASE SAVEPOINT {SAVEPOINT}")

    def do_savepoint(self, connection: sa.Connection, name: str) -> None:
        """Set a savepoint within."""
        dialect: t.Any = super()
        dialect.do_savepoint(connection, _within(name))

    def do_rollback_to_savepoint(self, connection: sa.Connection, name: str) -> None:
        """Undo what was done since a savepoint within."""
        dialect: t.Any = super()
        dialect.do_rollback_to_savepoint(connection, _within(name))

    def do_release_savepoint(self, connection: sa.Connection, name: str) -> None:
        """Keep what was done since a savepoint within."""
        dialect: t.Any = super()
        dialect.do_release_savepoint(connection, _within(name))

    def do_close(self, dbapi_connection: t.Any) -> None:
        """Leave the connection open: it is somebody else's."""

    def do_terminate(self, dbapi_connection: t.Any) -> None:
        """Leave the connection open: it is somebody else's."""


class Joined:
    """The connections that flushes of this thread work on, and their engines."""

    def __init__(self, find: FindConnection) -> None:
        self._find = find
        self._engines: dict[sa.Connection, sa.Engine] = {}

    def engine(self, declaration: Declaration) -> sa.Engine | None:
        """Return the engine for a model; ``None`` if it gets no connection."""
        connection = self._find(declaration)
        if connection is None:
            return None
        if connection not in self._engines:
            self._engines[connection] = _engine_on(connection)
        return self._engines[connection]


_joined: contextvars.ContextVar[Joined | None] = contextvars.ContextVar(
    "signalbus.joined", default=None
)


@contextlib.contextmanager
def joining(find: FindConnection) -> t.Iterator[None]:
    """Let flushes of this thread work on the connections that *find* returns."""
    before = _joined.set(Joined(find))
    try:
        yield
    finally:
        _joined.reset(before)


def engine_for(db: SQLAlchemy, declaration: Declaration) -> sa.Engine | None:
    """Return the engine of a model: the app's, or one on a connection that was joined.

    :raises SignalBusError: if a test has replaced it by a connection, and nobody says
        that flushes may work on that.
    """
    joined = _joined.get()
    engine = joined.engine(declaration) if joined else None
    if engine is None:
        engine = db.engines.get(declaration.bind_key)
    if isinstance(engine, sa.Connection):
        raise SignalBusError(
            "The app's engine is a connection, as in tests that roll everything back,"
            " and the bus has transactions of its own. Turn autoflush off, or let each"
            " test use a fixture of signalbus-pytest, such as memory_broker. Wrap other"
            " calls, such as count_pending(), in `with flush_signals.joined():`."
        )
    return engine


def is_joined(engine: sa.Engine) -> bool:
    """Return whether transactions of *engine* are savepoints in another one."""
    return isinstance(engine.dialect, SavepointDialect)


def _engine_on(connection: sa.Connection) -> sa.Engine:
    """Return an engine whose only connection is the one of *connection*."""
    dialect = _with_savepoints(connection.dialect)
    driver_connection = connection.connection.dbapi_connection
    pool = sa.NullPool(
        lambda: t.cast("t.Any", driver_connection),
        reset_on_return=None,
        dialect=t.cast("sa.engine.default.DefaultDialect", dialect),
    )
    engine = sa.Engine(pool, dialect, connection.engine.url)
    schemas = connection.get_execution_options().get("schema_translate_map")
    if schemas:
        engine.update_execution_options(schema_translate_map=schemas)
    return engine


def _with_savepoints(dialect: sa.Dialect) -> sa.Dialect:
    """Return *dialect*, with all that it knows of its server, made a joined one."""
    own = type(dialect)
    # SQLAlchemy does not inherit it.
    caching = {"supports_statement_cache": own.supports_statement_cache}
    joined: t.Any = type(f"Savepoint{own.__name__}", (SavepointDialect, own), caching)
    made = joined.__new__(joined)
    vars(made).update(vars(dialect))
    return t.cast("sa.Dialect", made)


def _execute(dbapi_connection: t.Any, statement: str) -> None:
    with contextlib.closing(dbapi_connection.cursor()) as cursor:
        cursor.execute(statement)


def _within(name: str) -> str:
    return f"{SAVEPOINT}_{name}"
