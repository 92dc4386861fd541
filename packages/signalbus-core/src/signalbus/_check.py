"""Check, when asked to: brokers, databases, tables and indexes of signal models."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc

from signalbus import plugins
from signalbus._markers import hookimpl
from signalbus._send import no_broker
from signalbus._sql import connections
from signalbus._sql import indexes
from signalbus._sql import missing_tables
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import describe_error

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus._sql.indexes import NeededIndex
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel


@hookimpl(trylast=True)
def signalbus_check(bus: Bus, models: t.Sequence[SignalModel]) -> list[str]:
    """Know what the core cannot send without, or only slowly."""
    declarations = [bus.declaration(model) for model in models]
    problems = _missing_brokers(bus, declarations)
    for key in dict.fromkeys(each.bind_key for each in declarations):
        theirs = [each for each in declarations if each.bind_key == key]
        problems += _problems_of_database(bus, theirs)
    return problems


def _missing_brokers(bus: Bus, declarations: t.Iterable[Declaration]) -> list[str]:
    return [
        str(no_broker(bus, each))
        for each in declarations
        if each.broker is not None
        and plugins.is_missing_broker(bus.plugin_manager, each.broker)
    ]


def _problems_of_database(bus: Bus, declarations: t.Sequence[Declaration]) -> list[str]:
    """Return what is wrong with the database of some models, which is one."""
    try:
        with connections.connect(bus.db, declarations[0]) as connection:
            return [
                problem
                for each in declarations
                for problem in _problems_of_tables(connection, each)
            ] + _missing_tables_of_plugins(connection, declarations)
    except SignalBusError as error:  # the app does not know the database
        return [str(error)]
    except sa_exc.SQLAlchemyError as error:
        return [_describe_unreadable(declarations, error)]


def _problems_of_tables(
    connection: sa.Connection, declaration: Declaration
) -> list[str]:
    missing = missing_tables.find(connection, declaration)
    if missing:
        return list(map(str, missing))
    needed = indexes.needed_index(declaration)
    if needed is None or indexes.is_indexed(connection, needed):
        return []
    return [
        (
            f"The table {needed.table.fullname} of the signal model"
            f" {declaration.model.__name__} has no index on {_describe(needed)}, so its"
            f" signals are found slowly. {_remedy(connection, declaration, needed)}"
        )
    ]


def _missing_tables_of_plugins(
    connection: sa.Connection, declarations: t.Sequence[Declaration]
) -> list[str]:
    key = declarations[0].bind_key
    where = "" if key is None else f" of the database {key!r}"
    return [
        f"The table {name}{where}, which a plugin of signalbus keeps, is missing. Run"
        " `flask db migrate` and `flask db upgrade`, or call db.create_all()."
        for metadata in dict.fromkeys(each.table.metadata for each in declarations)
        for name in missing_tables.find_of_plugins(connection, metadata)
    ]


def _describe(needed: NeededIndex) -> str:
    """Return which columns an index has to begin with, and why."""
    what = "ordering key and order" if needed.order else "ordering key"
    names = ", ".join(column.name for column in needed.columns)
    return f"its {what} ({names})"


def _remedy(
    connection: sa.Connection, declaration: Declaration, needed: NeededIndex
) -> str:
    declared = needed.declared()
    if declared is not None:
        return (
            f"The model declares {declared.name}, but the database does not have it, or"
            " cannot use it. Run `flask db migrate` and `flask db upgrade`, or create"
            " it by hand."
        )
    return (
        f"Add `__table_args__ = ({needed.source(connection)},)` to"
        f" {_owner(declaration, needed.table)}, or the index to the __table_args__ that"
        " it has, and run `flask db migrate` and `flask db upgrade`."
    )


def _owner(declaration: Declaration, table: sa.Table) -> str:
    """Return the name of the class that a table belongs to: a model, or its parent."""
    mappers = declaration.mapper.iterate_to_root()
    owners = [each.class_.__name__ for each in mappers if each.local_table is table]
    return owners[-1]


def _describe_unreadable(
    declarations: t.Sequence[Declaration], error: Exception
) -> str:
    key = declarations[0].bind_key
    title = "The database" if key is None else f"The database {key!r}"
    setting = "SQLALCHEMY_DATABASE_URI" if key is None else "SQLALCHEMY_BINDS"
    models = ", ".join(each.model.__name__ for each in declarations)
    return (
        f"{title} of {models} cannot be read: {describe_error(error).rstrip('.')}."
        f" Start it, or correct {setting} or the privileges of its user."
    )
