"""The machine: a database and a queue for each measurement; what it is made of."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import secrets
import sqlite3
import subprocess
import tempfile
import typing as t
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from benchmarks import queues
from benchmarks.urls import url

#: What the brokers are reached by.
CLIENTS = ("pika", "confluent-kafka", "nats-py", "redis", "celery", "kombu")

#: What tells the versions, and settings that matter for speed.
POSTGRESQL = """SELECT current_setting('server_version')
|| ', fsync = ' || current_setting('fsync')
|| ', synchronous_commit = ' || current_setting('synchronous_commit')
|| ', shared_buffers = ' || current_setting('shared_buffers')"""
MARIADB = """SELECT concat(version(), ', innodb_flush_log_at_trx_commit = ',
@@innodb_flush_log_at_trx_commit)"""
THEIRS = """from importlib.metadata import version
for name in ("Flask-SignalBus", "SQLAlchemy", "psycopg2-binary", "pika"):
    print(name, version(name))"""

#: What empties the table, and what brings the server to rest when it was filled.
EMPTY_AND_REST = {
    "postgresql": ("TRUNCATE signals", "VACUUM ANALYZE signals", "CHECKPOINT"),
    "mysql": ("TRUNCATE TABLE signals", "ANALYZE TABLE signals"),
    "sqlite": ("DELETE FROM signals", "VACUUM", "ANALYZE"),
}

#: What adds an ordering key.
ORDERING_KEY = (
    "ALTER TABLE signals ADD account integer NOT NULL GENERATED ALWAYS AS ({}) STORED",
    "CREATE INDEX ix_signals_queue ON signals (account, id)",
)

#: Doubles the rows, in the order of their keys, up to a number.
DOUBLE = sa.text("""
INSERT INTO signals (id, payload)
SELECT id + :count, payload FROM signals WHERE id <= :size - :count ORDER BY id
""")

metadata = sa.MetaData()
for _name in ("signals", "kept", "business"):
    _id = sa.Column("id", sa.Integer, primary_key=True)
    sa.Table(_name, metadata, _id, sa.Column("payload", sa.Text, nullable=False))


def engine(url: str | sa.URL) -> sa.Engine:
    """Return an engine that keeps neither connections nor transactions."""
    return sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")


class Database:
    """A database that has the tables of this module."""

    def __init__(self, url: str | sa.URL) -> None:
        self.engine = engine(url)
        metadata.create_all(self.engine)

    def fill(self, size: int) -> None:
        """Make *size* signals pending, and no others; bring the server to rest.

        Their texts have 100 bytes that compression cannot make fewer.
        """
        empty, *rest = EMPTY_AND_REST[self.engine.name]
        first = {"id": 1, "payload": secrets.token_urlsafe(100)[:100]}
        with self.engine.connect() as connection:
            connection.exec_driver_sql(empty)
            if size:
                connection.execute(metadata.tables["signals"].insert(), first)
            for count in (2**n for n in range(size.bit_length()) if 2**n < size):
                connection.execute(DOUBLE, {"size": size, "count": count})
            for statement in rest:
                with contextlib.suppress(sa.exc.DBAPIError):  # it may take a superuser
                    connection.exec_driver_sql(statement)

    def add_ordering_key(self, expression: str) -> None:
        """Give signals a key, of their ids, and the index of their queues."""
        with self.engine.connect() as connection:
            for statement in ORDERING_KEY:
                connection.exec_driver_sql(statement.format(expression))

    def pending(self) -> int:
        """Return how many signals are pending."""
        with self.engine.connect() as connection:
            return connection.scalar(sa.text("SELECT count(*) FROM signals")) or 0


@contextlib.contextmanager
def new_database(kind: str) -> t.Iterator[Database]:
    """Create a database; drop it at the end."""
    name = f"signalbus_bench_{secrets.token_hex(4)}"
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix=name) as folder:
            yield Database(f"sqlite:///{folder}/signals.sqlite")
        return
    with engine(url(kind)).connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield Database(sa.make_url(url(kind)).set(database=name))
        finally:
            force = " WITH (FORCE)" if kind == "postgresql" else ""
            connection.exec_driver_sql(f"DROP DATABASE {name}{force}")


@functools.cache
def predecessor(program: str) -> list[str]:
    """Return what *program* prints in the environment that hatch makes for it."""
    command = ["hatch", "-q", "run", "bench-flask-signalbus:python", "-c", program]
    done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 our own command
    return done.stdout.splitlines()


def describe() -> dict[str, str]:
    """Return what matters for speed, each with its name; no host, and nobody."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = r"model name\s*: (.*)"
    processor = _told(lambda: re.findall(model, Path("/proc/cpuinfo").read_text())[0])
    system = _told(lambda: platform.freedesktop_os_release()["PRETTY_NAME"])
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    ours = ("signalbus-core", "SQLAlchemy", "psycopg", *CLIENTS)
    return {
        "Processor": f"{processor}, {os.cpu_count()} cores",
        "Memory": f"{memory:.0f} GiB",
        "System": f"{system}, {kernel}",
        "Python": platform.python_version(),
        "PostgreSQL": _told(lambda: _ask("postgresql", POSTGRESQL)),
        "MariaDB": _told(lambda: _ask("mariadb", MARIADB)),
        **{name: _told(ask) for name, ask in queues.VERSIONS.items()},
        "SQLite": sqlite3.sqlite_version,
        "signalbus": ", ".join(f"{name} {version(name)}" for name in ours),
        "Flask-SignalBus": _told(lambda: ", ".join(predecessor(THEIRS))),
    }


def _told(fact: t.Callable[[], str]) -> str:
    try:
        return fact()
    except Exception:  # noqa: BLE001 what is missing has no figures, either
        return "unknown"


def _ask(server: str, query: str) -> str:
    with engine(url(server)).connect() as connection:
        return str(connection.exec_driver_sql(query).scalar())
