"""The PostgreSQL channel on which processes wake relays: its name and payloads."""

from __future__ import annotations

import typing as t

#: The name of the channel.
CHANNEL: t.Final = "signalbus"

#: The payload that means all tables.
ALL: t.Final = ""

#: How long a payload may be, in bytes. PostgreSQL refuses 8000.
_MAX_BYTES: t.Final = 7000

_PING: t.Final = "ping:"


def payload_of(tables: t.Collection[str]) -> str:
    """Return the payload that names *tables*, by their full names.

    If the names are ambiguous or too long, the payload means all tables.
    """
    payload = ",".join(sorted(tables))
    is_plain = all(_is_plain(table) for table in tables)
    return payload if is_plain and len(payload.encode()) <= _MAX_BYTES else ALL


def tables_of(payload: str) -> frozenset[str] | None:
    """Return the tables that *payload* names, ``None`` if it means all."""
    return None if payload == ALL else frozenset(payload.split(","))


def ping_of(number: str) -> str:
    """Return a payload without tables, by which a listener checks if it hears.

    :param number: distinguishes the pings of different listeners.
    """
    return _PING + number


def is_ping(payload: str) -> bool:
    """Return whether *payload* is the ping of a listener."""
    return payload.startswith(_PING)


def notify(connection: t.Any, payload: str) -> None:
    """Send *payload* over a driver's *connection* that commits each statement.

    A notification is not written to disk, so nothing is lost if this commit does not
    wait for the disk. While it waits, PostgreSQL lets no other transaction notify.
    """
    cursor = connection.cursor()
    try:
        cursor.execute(_NOTIFY, (CHANNEL, payload))
    finally:
        cursor.close()


#: One statement and a local setting, which pgbouncer does not leak to other clients.
_NOTIFY: t.Final = (
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify(%s, %s)"
)


def _is_plain(table: str) -> bool:
    return table != ALL and "," not in table and not is_ping(table)
