"""An app with all the models, and ways to look at what is really there."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sqlite3
import typing as t

import sqlalchemy as sa
from signalbus import hookimpl

from outbox.models import KINDS

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.testing import MemoryBroker
    from signalbus.typing import Recorded

    from outbox.models import Models
    from outbox.wire import Wire


@dataclasses.dataclass(frozen=True)
class Row:
    """A row that is really there."""

    model: str
    number: int
    id: int
    rank: int
    text: str
    account: str


class Listener:
    """A plugin that keeps what the bus says of commits and bursts."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.recorded: list[Recorded] = []
        self.sent = 0

    @hookimpl
    def signalbus_burst_sent(self, count: int) -> None:
        """Count what was sent."""
        self.sent += count


class CommitListener(Listener):
    """One that wants to know of every commit, whatever is autoflushed."""

    @hookimpl
    def signalbus_committed(self, recorded: Recorded) -> None:
        """Keep what was recorded."""
        self.recorded.append(recorded)


@dataclasses.dataclass
class Shop:
    """The app, what its signals are sent to, and its truth."""

    db: SQLAlchemy
    bus: SignalBus
    models: Models
    wire: Wire
    memory: MemoryBroker
    listener: Listener

    def __post_init__(self) -> None:
        """Make the query that reads all rows, and watch commits."""
        #: What the next commit makes visible; ``None`` when it has.
        self._committing: dict[int, Row] | None = None
        self._query = sa.union_all(
            *(
                sa.select(
                    sa.literal(name).label("model"),
                    *(table.c[x] for x in ("number", "id", "rank", "text", "account")),
                )
                for name, table in ((name, self.models.table(name)) for name in KINDS)
            )
        )
        sa.event.listen(self.db.engine, "commit", self._note_commit)

    @property
    def is_sqlite(self) -> bool:
        """Whether one transaction writes at a time."""
        return self.db.engine.dialect.name == "sqlite"

    @property
    def sees_commits(self) -> bool:
        """Whether a transaction sees what others have committed since it began."""
        return self.db.engine.dialect.name != "mysql"

    @property
    def hears_commits(self) -> bool:
        """Whether a plugin is told what every commit has recorded."""
        return isinstance(self.listener, CommitListener)

    def reset(self) -> None:
        """Forget everything."""
        self.db.session.remove()
        with self.db.engine.begin() as connection:
            for table in reversed(self.db.metadata.sorted_tables):
                connection.execute(sa.delete(table))
        self.wire.repair()
        self.memory.available = True
        self.memory.clear()
        self.bus.reset_breakers()
        self.bus.autoflush = True

    def read(self) -> dict[int, Row]:
        """Read the committed rows, by number."""
        with self.db.engine.connect() as connection:
            return self._read(connection)

    @contextlib.contextmanager
    def watching_commit(self) -> t.Iterator[dict[int, Row]]:
        """Give the rows as they are at the first commit in the block.

        What autoflush sends is gone when the user's commit returns.
        """
        rows = self.read()
        self._committing = rows
        try:
            yield rows
        finally:
            self._committing = None

    def _note_commit(self, connection: sa.Connection) -> None:
        rows, self._committing = self._committing, None
        if rows is not None:
            rows.clear()
            rows.update(self._read(connection))

    def _read(self, connection: sa.Connection) -> dict[int, Row]:
        rows = [Row(*row) for row in connection.execute(self._query)]
        found = {row.number: row for row in rows}

        assert len(rows) == len(found)
        return found

    def count_orphans(self) -> int:
        """Count the lines that no signal has."""
        line, lined = self.models.line.__table__, self.models.table("Lined")
        query = sa.select(sa.func.count()).where(
            line.c.lined_id.not_in(sa.select(lined.c.id)) | line.c.lined_id.is_(None)
        )
        with self.db.engine.connect() as connection:
            return connection.scalar(query) or 0

    def connections(self) -> int:
        """Count the connections that somebody has not returned."""
        pool: t.Any = self.db.engine.pool
        return int(pool.checkedout())

    def state_of_session(self) -> t.Any:
        """Tell all that a flush must leave alone in the user's session."""
        session = self.db.session()
        # The instances themselves, so that none of them vanishes meanwhile.
        instances = [*session.new, *session.identity_map.values()]
        states = [sa.inspect(instance) for instance in instances]
        return (
            instances,
            [set(state.expired_attributes) for state in states],
            [dict(state.dict) for state in states],
            set(session.dirty),
            set(session.deleted),
            session.get_transaction(),
            session.get_nested_transaction(),
            session.in_transaction(),
        )

    @contextlib.contextmanager
    def failing_at(
        self, step: int | None, *, after_commit: bool = False
    ) -> t.Iterator[None]:
        """Let the database fail in passing, at one *step*: a statement, or a commit.

        :param after_commit: whether steps count after the first commit only.
        """
        engine = self.db.engine
        steps = itertools.count(1)
        counts = not after_commit

        def fail(*_: object) -> None:
            if counts and next(steps) == step:
                raise _passing_error(engine.dialect.name)

        def commit(_: object) -> None:
            nonlocal counts
            fail()
            counts = True

        sa.event.listen(engine, "before_cursor_execute", fail)
        sa.event.listen(engine, "commit", commit)
        try:
            yield
        finally:
            sa.event.remove(engine, "before_cursor_execute", fail)
            sa.event.remove(engine, "commit", commit)


def _passing_error(dialect: str) -> Exception:
    """Return what a database says when it is busy."""
    error: t.Any = sqlite3.OperationalError("database is locked")
    if dialect == "mysql":
        error = Exception(1213, "Deadlock found")
    if dialect == "postgresql":
        error = Exception("deadlock detected")
        error.sqlstate = "40P01"
    return sa.exc.OperationalError("SELECT 1", {}, error)
