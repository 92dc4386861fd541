"""Explain a missing table: name it, and say how to create it."""

from __future__ import annotations

import contextlib
import re
import typing as t

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from signalbus._sql import errors
from signalbus.exceptions import MissingTableError
from signalbus.tables import has_table

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

    from signalbus._declaration import Declaration

#: What the databases call it.
SQLSTATE = "42P01"
MYSQL_CODE = 1146
SQLITE_TEXT = "no such table"

#: In the ``info`` of a table: a plugin keeps it.
OF_A_PLUGIN: t.Final = "signalbus_of_a_plugin"

#: Where they name it: between quotes, which depend on the language of the server, or at
#: the end, on SQLite.
NAME = re.compile(rf"(?:^{SQLITE_TEXT}: |[\"'«»„]\s?)(?P<name>.+?)(?:\s?[\"'«»“]|$)")


def explained(db: SQLAlchemy, declaration: Declaration, error: Exception) -> Exception:
    """Return *error*, or what to do about it if a table of the model is missing.

    The missing table may be one that a trigger uses. So it must be one of the model's
    that *error* names, though it may have been created since; the database is asked
    where that cannot be told.
    """
    if not _is_about_a_table(error):
        return error
    engine = db.engines.get(declaration.bind_key)
    if engine is None:
        return error
    for missing in _named(engine, declaration, error) or _ask(engine, declaration):
        missing.__cause__ = error
        return missing
    return error


@contextlib.contextmanager
def explaining(db: SQLAlchemy, declaration: Declaration) -> t.Iterator[None]:
    """Raise what is :func:`explained`, once the connections within are closed."""
    try:
        yield
    except Exception as error:
        explanation = explained(db, declaration, error)
        if explanation is error:
            raise
        raise explanation from error


def find(
    connection: sa.Connection, declaration: Declaration
) -> list[MissingTableError]:
    """Return an error for each table of a model that its database does not have."""
    return [
        _missing(declaration, table)
        for table in _tables(declaration)
        if not has_table(connection, table)
    ]


def mark(table: sa.Table) -> None:
    """Remember that a plugin has added *table* to its metadata."""
    table.info[OF_A_PLUGIN] = True


def find_of_plugins(connection: sa.Connection, metadata: sa.MetaData) -> list[str]:
    """Return the names of tables that plugins keep, and the database does not have."""
    return [
        table.fullname
        for table in metadata.tables.values()
        if OF_A_PLUGIN in table.info and not has_table(connection, table)
    ]


def _tables(declaration: Declaration) -> list[sa.Table]:
    tables = declaration.mapper.tables
    return [table for table in tables if isinstance(table, sa.Table)]


def _missing(declaration: Declaration, table: sa.Table) -> MissingTableError:
    return MissingTableError(
        f"The table {table.fullname} of the signal model {declaration.model.__name__}"
        " is missing. Run `flask db migrate` and `flask db upgrade`, or call"
        " db.create_all()."
    )


def _is_about_a_table(error: Exception) -> t.TypeGuard[sa_exc.DBAPIError]:
    return isinstance(error, sa_exc.DBAPIError) and (
        errors.sqlstate(error) == SQLSTATE
        or errors.mysql_code(error) == MYSQL_CODE
        or str(error.orig).startswith(SQLITE_TEXT)
    )


def _named(
    engine: sa.Engine, declaration: Declaration, error: sa_exc.DBAPIError
) -> list[MissingTableError]:
    """Return an error for the table that *error* names, if it is one of the model's."""
    name = _name_in(error)
    return [
        _missing(declaration, table)
        for table in _tables(declaration)
        if name in _names_of(table, engine)
    ]


def _name_in(error: sa_exc.DBAPIError) -> str | None:
    """Return the name in the first line, which is what the database itself says."""
    texts = [each for each in getattr(error.orig, "args", ()) if isinstance(each, str)]
    found = texts and NAME.search(texts[0].partition("\n")[0])
    return found["name"] if found else None


def _names_of(table: sa.Table, engine: sa.Engine) -> set[str]:
    """Return what the databases may call *table*: some add where it should be."""
    if table.schema is not None:
        return {table.fullname}
    return {table.name, f"{engine.url.database}.{table.name}", f"main.{table.name}"}


def _ask(engine: sa.Engine, declaration: Declaration) -> list[MissingTableError]:
    try:
        with engine.connect() as connection:
            return find(connection, declaration)
    except sa_exc.SQLAlchemyError:
        return []  # the first error says more
