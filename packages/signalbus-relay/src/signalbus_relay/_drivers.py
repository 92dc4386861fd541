"""The notifications and error texts of the drivers of PostgreSQL."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import describe_error

from signalbus_relay._channel import CHANNEL

#: Returns the payloads that have arrived on a connection whose socket is readable.
Receive: t.TypeAlias = t.Callable[[t.Any], list[str]]


def _receive_psycopg(connection: t.Any) -> list[str]:
    encoding = connection.info.encoding
    connection.pgconn.consume_input()
    payloads = []
    while (each := connection.pgconn.notifies()) is not None:
        if each.relname.decode(encoding) == CHANNEL:
            payloads.append(each.extra.decode(encoding))
    return payloads


def _receive_psycopg2(connection: t.Any) -> list[str]:
    connection.poll()
    arrived = connection.notifies[:]
    del connection.notifies[:]
    return [each.payload for each in arrived if each.channel == CHANNEL]


#: The supported drivers, by SQLAlchemy's names for them.
RECEIVE: t.Final[t.Mapping[str, Receive]] = {
    "psycopg": _receive_psycopg,
    "psycopg2": _receive_psycopg2,
}


def describe_first_line(error: BaseException) -> str:
    """Return the text of a driver's *error*, without the lines of advice after it."""
    return describe_error(error).partition("\\n")[0].rstrip()
