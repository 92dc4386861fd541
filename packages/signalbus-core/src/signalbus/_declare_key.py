"""Read which columns a model names as its ordering key."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

ATTRIBUTE: t.Final = "signalbus_ordering_key"

#: Types whose values databases do not compare.
_INCOMPARABLE = (sa.JSON, sa.PickleType)


class OrderingKeyError(ValueError):
    """An ordering key cannot be used: what is wrong, and what to do."""

    def __init__(self, fact: str, remedy: str) -> None:
        self.fact = fact
        self.remedy = remedy
        super().__init__(fact)


def read_ordering_key(mapper: sa_orm.Mapper[t.Any]) -> tuple[str, ...]:
    """Return the names of the attributes that make the ordering key; maybe none.

    :raises OrderingKeyError: if the model declares something else than columns.
    """
    if ATTRIBUTE in mapper.all_orm_descriptors:
        raise OrderingKeyError(
            f"has a {ATTRIBUTE} that SQLAlchemy has mapped as a column",
            "Name the column in quotes, or in a tuple, such as (account_id,)",
        )
    declared = getattr(mapper.class_, ATTRIBUTE, None)
    if declared is None:
        return ()
    parts = declared if isinstance(declared, tuple) else (declared,)
    names = tuple(dict.fromkeys(_name(mapper, part) for part in parts))
    if not names:
        raise _refused("()", "Name a column, or a tuple of columns, or remove it")
    for name in names:
        _check_type(name, mapper.column_attrs[name].columns[0].type)
    return names


def _name(mapper: sa_orm.Mapper[t.Any], part: object) -> str:
    """Return the name of the attribute that *part* stands for."""
    name = part if isinstance(part, str) else _name_in_class(mapper, part)
    columns = {each.key: each.columns[0] for each in mapper.column_attrs}
    if name in columns and isinstance(columns[name], sa.Column):
        return name
    for key, column in columns.items():
        if isinstance(column, sa.Column) and name == column.name:
            return key
    raise _refused(
        repr(part) if isinstance(part, str) else f"{part!s:.100}",
        "Name a column of the model, such as 'account_id', or a tuple of columns",
    )


def _name_in_class(mapper: sa_orm.Mapper[t.Any], part: object) -> str | None:
    """Return the attribute's name of a column that was declared in a class body.

    A mixin keeps its columns; its models have copies.
    """
    if isinstance(part, sa_orm.InstrumentedAttribute):
        return part.key if part.parent.class_ in mapper.class_.__mro__ else None
    if not isinstance(part, (sa.Column, sa_orm.MappedColumn)):
        return None
    for cls in mapper.class_.__mro__:
        for name, value in vars(cls).items():
            if value is part:
                return name
    column = part if isinstance(part, sa.Column) else part.column
    if mapper.columns.contains_column(column):
        return mapper.get_property_by_column(column).key
    return None


def _check_type(name: str, column_type: sa.types.TypeEngine[t.Any]) -> None:
    if isinstance(column_type, sa.TypeDecorator):
        column_type = column_type.impl_instance
    if isinstance(column_type, _INCOMPARABLE):
        raise _refused(
            repr(name),
            "Databases do not compare values of its type: use a column of another type",
        )


def _refused(what: str, remedy: str) -> OrderingKeyError:
    return OrderingKeyError(f"has a {ATTRIBUTE} of {what}", remedy)
