"""Private servers, which the suite starts, kills, freezes and harms.

Each has a folder and ports of its own, and ends with the process that started it.
"""

from __future__ import annotations

from chaos.servers.database import DatabaseServer
from chaos.servers.mariadb import MariaDB
from chaos.servers.ports import free_port
from chaos.servers.postgresql import PostgreSQL
from chaos.servers.programs import Unavailable
from chaos.servers.rabbitmq import RabbitMQ

__all__ = [
    "DatabaseServer",
    "MariaDB",
    "PostgreSQL",
    "RabbitMQ",
    "Unavailable",
    "free_port",
]
