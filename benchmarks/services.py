"""The servers to measure on: where they are, and what versions they have."""

from __future__ import annotations

import functools
import os
import socket
import typing as t
from urllib.parse import urlsplit

if t.TYPE_CHECKING:
    from benchmarks.cases import Case

#: By name, the variable that says where a server is, and where it is if that is not
#: set: the same as for the tests.
ADDRESSES = {
    "postgresql": (
        "SIGNALBUS_TEST_POSTGRESQL_URL",
        "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    ),
    "mariadb": (
        "SIGNALBUS_TEST_MARIADB_URL",
        "mysql+pymysql://root@127.0.0.1:3306/test",
    ),
    "rabbitmq": (
        "SIGNALBUS_TEST_RABBITMQ_URL",
        "amqp://guest:guest@127.0.0.1:5672/",
    ),
}

#: How long a server may take to be reached, in seconds.
PATIENCE = 5


def url(name: str) -> str:
    """Return where a server is, with its password."""
    variable, default = ADDRESSES[name]
    return os.environ.get(variable, default)


def reason_to_skip(case: Case) -> str | None:
    """Return which server *case* misses, if one is not there."""
    needed = [case.database, *(["rabbitmq"] if case.broker else [])]
    missing = [name for name in needed if not is_there(name)]
    return f"nothing answers for {' and '.join(missing)}" if missing else None


@functools.cache
def is_there(name: str) -> bool:
    """Tell whether a server can be reached."""
    if name == "sqlite":
        return True
    parts = urlsplit(url(name))
    address = (parts.hostname or "localhost", parts.port or _PORTS[name])
    try:
        socket.create_connection(address, PATIENCE).close()
    except OSError:
        return False
    return True


_PORTS = {"postgresql": 5432, "mariadb": 3306, "rabbitmq": 5672}
