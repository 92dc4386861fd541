"""What the figures were measured on. It names no host, and nobody."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import typing as t
from pathlib import Path

import sqlalchemy as sa

from benchmarks import interpreters
from benchmarks import services
from benchmarks.interpreters import InterpreterMissingError
from benchmarks.subjects.broker import connect

PACKAGES = ("signalbus-core", "signalbus-rabbitmq", "SQLAlchemy", "psycopg", "pika")
PREDECESSORS_PACKAGES = ("Flask-SignalBus", "SQLAlchemy", "psycopg2-binary", "pika")


def describe() -> dict[str, str]:
    """Return what matters for speed, each with its name."""
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": _memory(),
        "System": _system(),
        "Python": platform.python_version(),
        **_servers(),
        "signalbus": _listed(map(_installed, PACKAGES)),
        "Flask-SignalBus": _predecessor(),
    }


def _processor() -> str:
    """Return the model of the processor."""
    return _value_in("/proc/cpuinfo", "model name", ":") or platform.processor()


def _memory() -> str:
    kilobytes = (_value_in("/proc/meminfo", "MemTotal", ":") or "").split()
    return f"{int(kilobytes[0]) / 1024**2:.0f} GiB" if kilobytes else "unknown"


def _system() -> str:
    """Return the names of the distribution, if it has one, and of the kernel."""
    release = platform.release().partition("-")[0]
    kernel = f"{platform.system()} {release}"
    name = (_value_in("/etc/os-release", "PRETTY_NAME", "=") or "").strip('"')
    return f"{name}, {kernel}" if name else kernel


def _value_in(path: str, name: str, sign: str) -> str | None:
    """Return the first value of a name in a file of names and values."""
    file = Path(path)
    if not file.exists():
        return None
    for line in file.read_text().splitlines():
        key, _, value = line.partition(sign)
        if key.strip() == name:
            return value.strip()
    return None


def _servers() -> dict[str, str]:
    """Return the versions of the servers that are there."""
    tell = {
        "PostgreSQL": ("postgresql", _postgresql),
        "MariaDB": ("mariadb", _mariadb),
        "RabbitMQ": ("rabbitmq", _rabbitmq),
    }
    there = {
        name: version()
        for name, (service, version) in tell.items()
        if services.is_there(service)
    }
    return {**there, "SQLite": sqlite3.sqlite_version}


def _postgresql() -> str:
    settings = ("fsync", "synchronous_commit", "shared_buffers")
    version, *values = _ask("postgresql", ("server_version", *settings), "SHOW {}")
    pairs = zip(settings, values, strict=True)
    return _listed([version, *(f"{name} = {value}" for name, value in pairs)])


def _mariadb() -> str:
    name = "innodb_flush_log_at_trx_commit"
    version, flush = _ask("mariadb", ("version", name), "SELECT @@{}")
    return f"{version}, {name} = {flush}"


def _ask(service: str, names: t.Iterable[str], query: str) -> list[t.Any]:
    engine = sa.create_engine(services.url(service), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return [
            connection.exec_driver_sql(query.format(name)).scalar() for name in names
        ]


def _rabbitmq() -> str:
    with connect(services.url("rabbitmq")) as (_, properties):
        return str(properties["version"])


def _predecessor() -> str:
    """Return the versions that the predecessor runs with."""
    try:
        versions = interpreters.versions("flask_signalbus", PREDECESSORS_PACKAGES)
    except InterpreterMissingError as error:
        return f"not measured: {error}"
    return _listed(versions)


def _installed(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"


def _listed(parts: t.Iterable[str]) -> str:
    return ", ".join(parts)
