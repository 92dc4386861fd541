"""Explain a missing table: name it, and say how to create it."""

from __future__ import annotations

import contextlib
import typing as t

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from signalbus._sql import errors
from signalbus.exceptions import MissingTableError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

    from signalbus._declaration import Declaration

#: What the databases call it.
SQLSTATE = "42P01"
MYSQL_CODE = 1146
SQLITE_TEXT = "no such table"


def explained(db: SQLAlchemy, declaration: Declaration, error: Exception) -> Exception:
    """Return *error*, or what to do about it if a table of the model is missing.

    The database is asked, since the missing table may be one that a trigger uses.
    """
    if not _is_about_a_table(error):
        return error
    engine = db.engines.get(declaration.bind_key)
    if engine is None:
        return error
    for missing in _ask(engine, declaration):
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


def find(inspector: sa.Inspector, declaration: Declaration) -> list[MissingTableError]:
    """Return an error for each table of a model that its database does not have."""
    return [
        MissingTableError(
            f"The table {table.fullname} of the signal model"
            f" {declaration.model.__name__} is missing. Run `flask db migrate` and"
            " `flask db upgrade`, or call db.create_all()."
        )
        for table in declaration.mapper.tables
        if isinstance(table, sa.Table)
        and not inspector.has_table(table.name, schema=table.schema)
    ]


def _is_about_a_table(error: Exception) -> bool:
    return isinstance(error, sa_exc.DBAPIError) and (
        errors.sqlstate(error) == SQLSTATE
        or errors.mysql_code(error) == MYSQL_CODE
        or str(error.orig).startswith(SQLITE_TEXT)
    )


def _ask(engine: sa.Engine, declaration: Declaration) -> list[MissingTableError]:
    try:
        return find(sa.inspect(engine), declaration)
    except sa_exc.SQLAlchemyError:
        return []  # the first error says more
