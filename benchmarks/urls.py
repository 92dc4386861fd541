"""Where the servers are."""

from __future__ import annotations

import os

#: Where the servers are; the tests have the same defaults, and the same variables.
DEFAULT_URLS = {
    "postgresql": "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    "mariadb": "mysql+pymysql://root@127.0.0.1:3306/test",
    "nats": "nats://127.0.0.1:4222",
    "rabbitmq": "amqp://guest:guest@127.0.0.1:5672/",
    "redis": "redis://127.0.0.1:6379/0",
}


def url(server: str) -> str:
    """Return where a server is, with its password."""
    variable = f"SIGNALBUS_TEST_{server.upper()}_URL"
    return os.environ.get(variable, DEFAULT_URLS[server])
