"""Read from the databases what is pending, what has failed, and which relays run."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime as dt
import typing as t

import sqlalchemy as sa
import sqlalchemy.pool as sa_pool
from signalbus import clock
from signalbus.exceptions import describe_error
from signalbus.logs import get_logger
from signalbus.tables import find_table

if t.TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Iterator
    from collections.abc import Mapping
    from collections.abc import Sequence

    from signalbus import Declaration

logger = get_logger("signalbus.otel")

#: How long after its last heartbeat a relay counts as gone, as in signalbus-relay.
SILENCE: t.Final = dt.timedelta(seconds=90)

#: The states of a failed signal.
WAITING: t.Final = "waiting"
PARKED: t.Final = "parked"


class Place(t.NamedTuple):
    """Where the signals of a model are stored.

    Several apps may use one database. Different models may have the same name, and so
    may the databases of several apps. Each app may have its own model class for one
    table.
    """

    database: sa.URL
    table: str
    model: str


@dataclasses.dataclass
class Findings:
    """What was found. Values that could not be read are missing.

    :ivar pending: how many signals are pending, up to a limit.
    :ivar ages: how old the oldest pending signal is, in seconds.
    :ivar failures: how many signals have failed, by state, up to a limit.
    :ivar relays: how many relays are alive, by database and bind key.
    """

    pending: dict[Place, int] = dataclasses.field(default_factory=dict)
    ages: dict[Place, float] = dataclasses.field(default_factory=dict)
    failures: dict[tuple[Place, str], int] = dataclasses.field(default_factory=dict)
    relays: dict[tuple[sa.URL, str | None], int] = dataclasses.field(
        default_factory=dict
    )


def look(
    engines: Mapping[str | None, sa.Engine],
    declarations: Iterable[Declaration],
    limit: int,
) -> Findings:
    """Return what is found in the databases of some signal models.

    At most *limit* rows are read for each model. In-memory databases are skipped: they
    have one connection, which may be in the middle of a transaction.
    """
    findings = Findings()
    by_bind = collections.defaultdict(list)
    for declaration in declarations:
        by_bind[declaration.bind_key].append(declaration)
    for bind_key, of_bind in by_bind.items():
        engine = engines.get(bind_key)
        if engine is None or _is_in_memory(engine):
            continue
        try:
            with engine.connect() as connection, _unprepared(connection):
                _Look(connection, findings, limit).at_all(bind_key, of_bind)
        except Exception as error:  # noqa: BLE001 the next database may answer
            _complain(error)
    return findings


class _Look:
    """Reads one database."""

    def __init__(
        self, connection: sa.Connection, findings: Findings, limit: int
    ) -> None:
        self._connection = connection
        self._database = connection.engine.url
        self._findings = findings
        self._limit = limit

    def at_all(self, bind_key: str | None, declarations: Sequence[Declaration]) -> None:
        """Read the models of *declarations*, which are all in this database."""
        for declaration in declarations:
            self._at_pending(declaration)
            self._at_failures(declaration)
        self._at_relays(bind_key, declarations[0].table.metadata)

    def _at_pending(self, declaration: Declaration) -> None:
        place = self._place(declaration)
        (row,) = self._ask(_pending(declaration, self._limit)) or (None,)
        if row is not None:
            self._findings.pending[place] = row[0]
            if len(row) > 1:
                self._findings.ages[place] = _age(row[1])

    def _at_failures(self, declaration: Declaration) -> None:
        table = find_table(declaration.table.metadata, "signalbus_failure")
        if table is None:
            return
        place = self._place(declaration)
        (row,) = self._ask(_failures(table, declaration, self._limit)) or (None,)
        if row is not None:
            total, waiting = row
            self._findings.failures[place, WAITING] = waiting
            self._findings.failures[place, PARKED] = total - waiting

    def _at_relays(self, bind_key: str | None, metadata: sa.MetaData) -> None:
        table = find_table(metadata, "signalbus_relay")
        if table is None:
            return
        rows = self._ask(sa.select(table.c.heartbeat_at, clock.now()))
        if rows is not None:
            alive = [row for row in rows if _since(*row) <= SILENCE]
            self._findings.relays[self._database, bind_key] = len(alive)

    def _place(self, declaration: Declaration) -> Place:
        table, model = declaration.table.fullname, declaration.model.__name__
        return Place(self._database, table, model)

    def _ask(self, select: sa.Executable) -> Sequence[t.Any] | None:
        """Return the rows of *select*, or ``None`` if that fails: a table is missing.

        Each statement has a transaction of its own.
        """
        try:
            with self._connection.begin():
                return self._connection.execute(select).all()
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise
            _complain(error)
            return None


def _pending(declaration: Declaration, limit: int) -> sa.Executable:
    """Count rows in key order, so that the oldest is usually among them."""
    mapper = declaration.mapper
    key = [_attribute(declaration, column) for column in mapper.primary_key]
    times = []
    if "recorded_at" in mapper.column_attrs:
        times = [mapper.column_attrs["recorded_at"].class_attribute.label("recorded")]
    select = sa.select(*(times or key)).order_by(*key).limit(limit)
    if mapper.polymorphic_on is not None and not mapper.concrete:
        select = select.where(mapper.polymorphic_on == mapper.polymorphic_identity)
    rows = select.subquery()
    oldest = [sa.func.min(rows.c.recorded)] if times else []
    return sa.select(sa.func.count(), *oldest).select_from(rows)


def _failures(table: sa.Table, declaration: Declaration, limit: int) -> sa.Executable:
    columns = table.c
    is_own = columns.table_name == declaration.table.fullname
    if declaration.mapper.polymorphic_on is not None:  # others may have its table
        is_own &= columns.model == declaration.model.__name__
    rows = sa.select(columns.next_attempt_at).where(is_own).limit(limit).subquery()
    counts = (sa.func.count(), sa.func.count(rows.c.next_attempt_at))
    return sa.select(*counts).select_from(rows)


def _attribute(declaration: Declaration, column: sa.ColumnElement[t.Any]) -> t.Any:
    return declaration.mapper.get_property_by_column(
        t.cast("sa.Column[t.Any]", column)
    ).class_attribute


def _age(time: dt.datetime | None) -> float:
    """Return how old the oldest signal is; 0 if there is none."""
    if time is None:
        return 0.0
    now = dt.datetime.now(dt.timezone.utc)
    return max(0.0, (now - clock.as_utc(time)).total_seconds())


def _since(heartbeat: dt.datetime, now: dt.datetime) -> dt.timedelta:
    return clock.as_utc(now) - clock.as_utc(heartbeat)


def _is_in_memory(engine: sa.Engine) -> bool:
    return isinstance(engine.pool, (sa_pool.StaticPool, sa_pool.SingletonThreadPool))


@contextlib.contextmanager
def _unprepared(connection: sa.Connection) -> Iterator[None]:
    """Keep psycopg from preparing statements.

    PostgreSQL would keep a plan that it made when a table was empty, and use it to scan
    the whole table when that is full.
    """
    driver: t.Any = connection.connection.dbapi_connection
    threshold = getattr(driver, "prepare_threshold", None)
    if threshold is not None:
        driver.prepare_threshold = None
    try:
        yield
    finally:
        if threshold is not None:
            driver.prepare_threshold = threshold


def _complain(error: Exception) -> None:
    """Log that something cannot be read, but not every time."""
    text = describe_error(error)
    if text not in _complaints:
        _complaints.add(text)
        logger.warning("Metrics from the database are missing: %s", text)


#: What has already been logged.
_complaints: set[str] = set()
