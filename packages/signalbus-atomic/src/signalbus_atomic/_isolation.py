"""Make REPEATABLE READ the default on databases that have it."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

if t.TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

Options: t.TypeAlias = "dict[str, t.Any]"

MYSQL = frozenset({"mysql", "mariadb"})

#: The databases that have REPEATABLE READ, and whose default is not stricter.
REPEATABLE_READ = MYSQL | {"postgresql", "mssql"}


def with_default_isolation(
    config: t.Mapping[str, t.Any], engine_options: Options
) -> Options:
    """Return Flask-SQLAlchemy's settings for engines, with the default added.

    An isolation level that the user set is kept, whether in *engine_options* (the
    argument of the extension), ``SQLALCHEMY_ENGINE_OPTIONS`` or ``SQLALCHEMY_BINDS``.
    These are merged here as Flask-SQLAlchemy merges them.
    """
    basic: Options = config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}
    binds: dict[str | None, t.Any] = config.get("SQLALCHEMY_BINDS") or {}
    merged = {**_as_options(binds.get(None, {})), **engine_options, **basic}
    if config.get("SQLALCHEMY_DATABASE_URI") is not None:
        merged["url"] = config["SQLALCHEMY_DATABASE_URI"]
    return {
        "SQLALCHEMY_ENGINE_OPTIONS": {**basic, **_defaults(merged)},
        "SQLALCHEMY_BINDS": {
            key: {**own, **_defaults({**engine_options, **own})}
            for key, own in ((key, _as_options(bind)) for key, bind in binds.items())
        },
    }


def _as_options(bind: str | sa.URL | Options) -> Options:
    """Return the options of a bind, which may be a plain URL."""
    return {"url": bind} if isinstance(bind, (str, sa.URL)) else bind


def _defaults(options: Options) -> Options:
    """Return what to add to the *options* of an engine."""
    if "url" not in options or _chooses_isolation(options):
        return {}
    backend = sa.make_url(options["url"]).get_backend_name()
    if backend not in REPEATABLE_READ:
        return {}
    defaults: Options = {"isolation_level": "REPEATABLE READ"}
    if backend in MYSQL and "pool" not in options:
        events = options.get("pool_events", ())
        defaults["pool_events"] = [*events, (_refuse_lost_updates, "connect")]
    return defaults


def _chooses_isolation(options: Options) -> bool:
    """Return whether *options* set an isolation level, for SQLAlchemy or the driver."""
    to_driver = f"{sa.make_url(options['url']).query} {options.get('connect_args')}"
    return (
        "isolation_level" in options
        or "isolation_level" in options.get("execution_options", {})
        or "isolation" in to_driver.lower()
    )


def _refuse_lost_updates(connection: DBAPIConnection, _record: object) -> None:
    """Make MariaDB refuse to overwrite changes that the transaction has not seen.

    From 11.6.2 on, servers do so by default. MySQL and older MariaDBs do not support
    it at all.
    """
    cursor = connection.cursor()
    cursor.execute("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'")
    if cursor.fetchone():
        cursor.execute("SET SESSION innodb_snapshot_isolation = ON")
    cursor.close()
