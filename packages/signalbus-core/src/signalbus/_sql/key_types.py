"""Types in which primary keys are passed to the database without loss.

A model may declare ``String(4)`` or ``Numeric(6, 2)`` for a column that holds more.
PostgreSQL casts a parameter to the declared type, and truncates or rounds it silently:
another row would be found. So keys are passed in the widest type of their kind.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.dialects.postgresql as sa_postgresql

AnyType: t.TypeAlias = "sa.types.TypeEngine[t.Any]"

#: Plain texts, which differ only in their length.
_TEXTS: t.Final[frozenset[t.Any]] = frozenset({sa.String, sa.VARCHAR, sa.Unicode})

#: From this precision on, in bits, a FLOAT is a double.
_DOUBLE_BITS = 25


def key_type(declared: AnyType) -> AnyType:
    """Return the type in which values of a *declared* type are passed to the database.

    One of SQLAlchemy's own types, if possible: with others, a statement takes longer to
    find in its cache.
    """
    if isinstance(declared, sa.Integer):
        return sa.BigInteger()
    if type(declared) in _TEXTS and not getattr(declared, "collation", None):
        return sa.String()
    if isinstance(declared, (sa.Uuid, sa.Date, sa.LargeBinary)):
        return declared
    return KeyType(declared)


class KeyType(sa.TypeDecorator[t.Any]):
    """The type in which the values of a key column are passed to the database.

    Values are converted as the column's own type does; only the cast is wider.
    """

    impl = sa.types.NullType
    cache_ok = True

    def __init__(self, declared: AnyType) -> None:
        super().__init__()
        self.declared = declared

    def load_dialect_impl(self, dialect: sa.Dialect) -> AnyType:
        """Return the type in which values are passed to *dialect*."""
        declared = _decorated(self.declared, dialect)
        return _widest(declared) if dialect.name == "postgresql" else declared

    def bind_processor(self, dialect: sa.Dialect) -> t.Any:
        """Convert values as the declared type does."""
        return self.declared.dialect_impl(dialect).bind_processor(dialect)


class _BlankPadded(sa.types.UserDefinedType[str]):
    """CHAR of any length, on PostgreSQL; its ``CHAR`` means ``CHAR(1)``."""

    cache_ok = True

    def get_col_spec(self, **_: t.Any) -> str:
        """Return its name in SQL."""
        return "BPCHAR"


def is_single_precision(declared: AnyType, dialect: sa.Dialect) -> bool:
    """Return whether values of this type do not equal the numbers they are read as."""
    base = _decorated(declared, dialect)
    if not isinstance(base, sa.Float) or isinstance(base, sa.Double):
        return False
    if dialect.name == "postgresql":
        default = 0 if isinstance(base, sa.REAL) else _DOUBLE_BITS
        return (base.precision or default) < _DOUBLE_BITS
    is_mysql = dialect.name in {"mysql", "mariadb"} and not isinstance(base, sa.REAL)
    return is_mysql and (base.precision or 0) < _DOUBLE_BITS


def _decorated(declared: AnyType, dialect: sa.Dialect) -> AnyType:
    """Return the type below a ``TypeDecorator``."""
    if isinstance(declared, sa.Interval):  # a decorator only where there is no INTERVAL
        return declared.dialect_impl(dialect)
    while isinstance(declared, sa.TypeDecorator):
        declared = declared.load_dialect_impl(dialect)
    return declared


def _widest(declared: AnyType) -> AnyType:
    """Return the widest type of PostgreSQL that is of the kind of *declared*."""
    if isinstance(declared, sa.Integer):
        return sa.BigInteger()
    if isinstance(declared, (sa.CHAR, sa.NCHAR)):
        return _BlankPadded()
    if isinstance(declared, sa_postgresql.DOMAIN):
        return _widest(declared.data_type)
    if isinstance(declared, sa_postgresql.BIT):
        return sa_postgresql.BIT(varying=True)
    if isinstance(declared, sa.Enum):
        return declared if declared.native_enum else sa.String()
    return _unlimited(declared)


def _unlimited(declared: AnyType) -> AnyType:
    """Return *declared* without a length, a precision and a scale."""
    limits = {"length", "precision", "scale", "fields"} & vars(declared).keys()
    if isinstance(declared, sa.Float) or not limits:
        return declared
    unlimited = declared.copy()
    for limit in limits:
        setattr(unlimited, limit, None)
    return unlimited
