"""The clock of the database, which all processes share, and its times.

For plugins that keep times in tables of their own.
"""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy as sa
import sqlalchemy.sql.functions as sa_functions
from sqlalchemy.ext.compiler import compiles

__all__ = ["as_stored", "as_utc", "now", "read"]

#: The databases whose times have no time zone: there, ours are those of UTC.
_WITHOUT_ZONE: t.Final = frozenset({"mysql", "mariadb", "sqlite"})


class now(sa_functions.FunctionElement[t.Any]):  # noqa: N801 a function of SQL
    """The time at which a statement is executed, not that of its transaction.

    A function of SQL, on all databases. MariaDB, MySQL and SQLite give it in UTC,
    without a time zone: pass what you read to :func:`as_utc`.
    """

    type = sa.DateTime(timezone=True)
    inherit_cache = True


@compiles(now)
def _any(*_: object, **__: object) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(now, "postgresql")
def _postgresql(*_: object, **__: object) -> str:
    return "clock_timestamp()"


@compiles(now, "mysql")
@compiles(now, "mariadb")
def _mysql(*_: object, **__: object) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(now, "sqlite")
def _sqlite(*_: object, **__: object) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now')"


def read(connection: sa.Connection) -> dt.datetime:
    """Return what the clock of the database says."""
    time = connection.scalar(_SELECT)
    return as_utc(t.cast("dt.datetime", time))


def as_utc(time: dt.datetime) -> dt.datetime:
    """Return a time that was read from the database, with its time zone."""
    if time.tzinfo is None:
        return time.replace(tzinfo=dt.timezone.utc)
    return time.astimezone(dt.timezone.utc)


def as_stored(time: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
    """Return *time* as it is passed to the database."""
    if time is None or dialect.name not in _WITHOUT_ZONE:
        return time
    return time.astimezone(dt.timezone.utc).replace(tzinfo=None)


_SELECT: t.Final = sa.select(now())
