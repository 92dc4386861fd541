"""A flush looks at few entries, however many there are, and whatever statistics say."""

from __future__ import annotations

import typing as t

import pytest
import signalbus_retry
import sqlalchemy as sa
from signalbus import PartialDeliveryError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: The signals that have not failed, which come behind the others.
HEALTHY = 100_000

BURST = 1000

#: So many entries that to read them all costs more than to look some up.
MANY = {"postgresql": 100_000, "mariadb": 20_000}

#: How many rows a statement may look at: those of the largest window, and a bit more.
BOUND = 10_000

NEVER, EMPTY, FULL = "never analyzed", "analyzed when empty", "analyzed when full"

#: How a table is filled with the numbers from .. to ..
NUMBERS = {
    "postgresql": "SELECT i FROM generate_series({}, {}) AS t(i)",
    "mariadb": "SELECT seq FROM seq_{}_to_{}",
}

ANALYZE = {"postgresql": "VACUUM ANALYZE {}", "mariadb": "ANALYZE TABLE {}"}


@pytest.fixture(autouse=True)
def _retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the plugin on."""
    monkeypatch.delenv("SIGNALBUS_DISABLED_PLUGINS", raising=False)


class EnoughError(BaseException):
    """Some bursts have been sent."""


class Stop:
    """A plugin that ends a flush after some bursts."""

    def __init__(self, bursts: int) -> None:
        """End it after so many *bursts*."""
        self.left = bursts

    @hookimpl
    def signalbus_burst_sent(self) -> None:
        """Count."""
        self.left -= 1
        if not self.left:
            raise EnoughError


@pytest.fixture
def new_parcel(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object
) -> t.Callable[[int], SignalModel]:
    """Declare a model of which every tenth signal fails, and the burst has a size."""

    def make(burst_count: int) -> SignalModel:
        class Parcel(db.Model):
            id = sa.Column(sa.Integer, primary_key=True)
            text = sa.Column(sa.String(50))
            signalbus_burst_count = burst_count

            @classmethod
            def send_signalbus_message(cls, signal: Signal) -> None:
                if not signal.id % 10:
                    raise ValueError(signal.id)

            @classmethod
            def send_signalbus_messages(cls, signals: t.Sequence[Signal]) -> None:
                failures = {
                    position: ValueError(signal.id)
                    for position, signal in enumerate(signals)
                    if not signal.id % 10
                }
                if failures:
                    raise PartialDeliveryError(failures)

        db.create_all()
        return Parcel

    return make


class Rows:
    """Counts the rows that each statement looks at."""

    def __init__(self) -> None:
        """Begin with none."""
        #: What was looked at how, and the rows that were looked at.
        self.seen: list[tuple[str, int]] = []

    def beyond(self, bound: int) -> list[str]:
        """Name what looked at more rows than *bound*."""
        return [f"{rows} rows: {what}" for what, rows in self.seen if rows > bound]


class PostgreSQLRows(Rows):
    """Counts the rows that each statement looks at, by its plan."""

    def before(
        self,
        connection: sa.Connection,
        cursor: t.Any,
        text: str,
        values: t.Any,
        *_: t.Any,
    ) -> None:
        """Execute a statement in a savepoint, to see what it does."""
        if not text.lstrip().startswith(("SELECT", "DELETE", "UPDATE", "WITH")):
            return
        if isinstance(values, list):
            values = values[0]
        cursor.execute("SAVEPOINT plan")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {text}", values)
        plan = cursor.fetchone()[0][0]["Plan"]
        cursor.execute("ROLLBACK TO SAVEPOINT plan")
        for node in _nodes(plan):
            if "Relation Name" in node:
                rows = node["Actual Rows"] + sum(
                    node.get(name, 0)
                    for name in (
                        "Rows Removed by Filter",
                        "Rows Removed by Join Filter",
                    )
                )
                what = f"{node['Node Type']} {node['Relation Name']}: {text:.200}"
                self.seen.append((what, int(rows * node["Actual Loops"])))

    def after(self, *_: t.Any) -> None:
        """Do nothing."""


class MariaDBRows(Rows):
    """Counts the rows that each statement looks at, by the server's counters."""

    def before(self, connection: sa.Connection, *_: t.Any) -> None:
        """Begin at zero."""
        with connection.connection.cursor() as cursor:
            cursor.execute("FLUSH STATUS")

    def after(
        self, connection: sa.Connection, _cursor: t.Any, text: str, *_: t.Any
    ) -> None:
        """Read the counters."""
        if not text.lstrip().startswith(("SELECT", "DELETE", "UPDATE", "WITH")):
            return
        with connection.connection.cursor() as cursor:
            cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
            rows = sum(int(count) for _, count in cursor.fetchall())
        self.seen.append((f"{text:.200}", rows))


def _nodes(plan: dict[str, t.Any]) -> Iterator[dict[str, t.Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


@pytest.fixture
def rows(db: SQLAlchemy, app_ctx: object, database: str) -> Iterator[t.Any]:
    """Count the rows that statements look at."""
    rows = {"postgresql": PostgreSQLRows, "mariadb": MariaDBRows}[database]()
    sa.event.listen(db.engine, "before_cursor_execute", rows.before)
    sa.event.listen(db.engine, "after_cursor_execute", rows.after)
    yield rows
    sa.event.remove(db.engine, "before_cursor_execute", rows.before)
    sa.event.remove(db.engine, "after_cursor_execute", rows.after)


@pytest.fixture
def execute(db: SQLAlchemy, app_ctx: object) -> t.Callable[[str], None]:
    """Execute a statement in a connection of its own, which nobody counts."""

    def execute(statement: str) -> None:
        engine = sa.create_engine(
            db.engine.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
        )
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    return execute


@pytest.fixture(scope="module")
def kept(postgresql: t.Any) -> Iterator[sa.Engine]:
    """Give a schema that no test empties, for entries that are dear to make."""
    engine = sa.create_engine(
        postgresql.url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE SCHEMA kept")
    yield engine
    with engine.connect() as connection:
        connection.exec_driver_sql("DROP SCHEMA kept CASCADE")


@pytest.fixture
def park(bus: SignalBus, database: str, request: pytest.FixtureRequest) -> t.Any:
    """Park the first signals; of 100,000, keep the entries for other tests."""

    def park(model: SignalModel, count: int) -> None:
        keys = [(number,) for number in range(1, count + 1)]
        if database != "postgresql" or count < 100_000:
            signalbus_retry.park(bus, model, keys)
            return
        with request.getfixturevalue("kept").connect() as connection:
            execute = connection.exec_driver_sql
            if execute("SELECT to_regclass('kept.entry')").scalar():
                execute("INSERT INTO signalbus_failure SELECT * FROM kept.entry")
            else:
                signalbus_retry.park(bus, model, keys)
                execute("CREATE TABLE kept.entry AS TABLE signalbus_failure")

    return park


@pytest.fixture
def fill(park: t.Any, database: str, execute: t.Any) -> t.Callable[..., None]:
    """Let signals be pending; the first have failed, and are held back or due."""

    def fill(model: SignalModel, count: int, state: str) -> None:
        last = count + HEALTHY
        execute(f"INSERT INTO parcel (id) {NUMBERS[database].format(1, last)}")
        if count:
            park(model, count)
        if state == "due":
            execute("UPDATE signalbus_failure SET next_attempt_at = '2000-01-01'")
        else:
            execute(
                "UPDATE signalbus_failure SET next_attempt_at = '2100-01-01'"
                " WHERE MOD(number, 2) = 0"
            )

    return fill


@pytest.fixture
def analyze(database: str, execute: t.Any) -> t.Callable[[], None]:
    """Let the database gather its statistics."""

    def analyze() -> None:
        for table in ("parcel", "signalbus_failure"):
            execute(ANALYZE[database].format(table))

    return analyze


@pytest.fixture
def prepare(
    new_parcel: t.Any, fill: t.Any, analyze: t.Any
) -> t.Callable[..., SignalModel]:
    """Declare a model, fill its table, and let statistics be as old as they are."""

    def prepare(burst_count: int, count: int, state: str, when: str) -> SignalModel:
        model = new_parcel(burst_count)
        if when == EMPTY:
            analyze()
        fill(model, count, state)
        if when == FULL:
            analyze()
        return model

    return prepare


def flush(bus: SignalBus, bursts: int) -> None:
    """Flush some bursts."""
    stop = Stop(bursts)
    bus.plugin_manager.register(stop)
    try:
        with pytest.raises(EnoughError):
            bus.flushmany()
    finally:
        bus.plugin_manager.unregister(stop)


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("when", [NEVER, EMPTY, FULL])
@pytest.mark.parametrize(
    ("count", "state", "burst_count"),
    [
        (0, "", BURST),
        (1000, "held back", BURST),
        (1000, "due", 1),
        ("many", "held back", 1),
        ("many", "held back", BURST),
        ("many", "due", 1),
        ("many", "due", BURST),
    ],
)
def test_flush_looks_at_few_rows(
    bus: SignalBus,
    rows: t.Any,
    database: str,
    prepare: t.Any,
    count: t.Any,
    state: str,
    burst_count: int,
    when: str,
) -> None:
    """Each statement looks at the rows of a burst or a window, never at a table."""
    prepare(burst_count, MANY[database] if count == "many" else count, state, when)
    rows.seen.clear()
    flush(bus, 3)

    assert rows.seen
    assert [] == rows.beyond(BOUND)


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("when", [NEVER, EMPTY, FULL])
def test_autoflush_looks_at_few_rows(
    db: SQLAlchemy, rows: t.Any, database: str, prepare: t.Any, when: str
) -> None:
    """A commit costs the same, whatever else has failed."""
    model = prepare(1, MANY[database], "held back", when)
    for number in (1_000_001, 1_000_002):  # the first may have looked for orphans
        rows.seen.clear()
        db.session.add_all([model(id=number), model(id=number * 10)])
        db.session.commit()

    assert rows.seen
    assert [] == rows.beyond(10)


@pytest.mark.databases("postgresql", "mariadb")
def test_entries_that_were_just_replayed_cost_nothing(
    bus: SignalBus, rows: t.Any, database: str, prepare: t.Any
) -> None:
    """Dead entries that nobody has cleaned up yet are not read again and again."""
    prepare(BURST, MANY[database], "held back", FULL)
    signalbus_retry.replay(bus)
    rows.seen.clear()
    flush(bus, 3)

    assert rows.seen
    assert [] == rows.beyond(BOUND)
