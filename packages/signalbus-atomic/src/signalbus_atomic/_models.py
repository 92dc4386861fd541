"""The methods of every model that find and lock its instances."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm
    from signalbus.typing import PrimaryKey
    from sqlalchemy.orm.interfaces import ORMOption
    from typing_extensions import Self


class AtomicModel:
    """The methods that :class:`AtomicProceduresMixin` gives to every model."""

    _atomic_session: t.ClassVar[sa_orm.scoped_session[t.Any]]

    @classmethod
    def get_instance(cls, instance_or_pk: t.Any, *options: ORMOption) -> Self | None:
        """Return the instance with a primary key, or ``None`` if there is none.

        An instance in ``db.session`` is returned as it is, without a query. Otherwise
        it is loaded from the database.

        :param instance_or_pk: an instance of the model, of any session, or a
            primary key: a value, or a tuple if the key has several columns.
        :param options: loader options, such as ``db.joinedload(...)``. They are ignored
            for an instance that is not loaded.
        """
        session = cls._atomic_session
        if isinstance(instance_or_pk, cls) and instance_or_pk in session:
            return instance_or_pk
        key = cls.get_pk_values(instance_or_pk)
        found: Self | None = session.get(cls, key, options=options)
        return found

    @classmethod
    def lock_instance(
        cls, instance_or_pk: t.Any, *options: ORMOption, **kw: t.Any
    ) -> Self | None:
        """Lock a row, and return its instance, or ``None`` if there is no such row.

        The row is locked until the transaction ends, ``FOR UPDATE`` unless *kw* says
        otherwise. ``db.session`` is flushed first. Then the current values are loaded,
        also into an instance that is in ``db.session`` already. SQLite has no row
        locks: there, an atomic block locks the whole database.

        :param instance_or_pk: an instance of the model, of any session, or a
            primary key: a value, or a tuple if the key has several columns.
        :param options: loader options, such as ``db.joinedload(...)``. The rows
            that they join are not locked.
        :param kw: arguments of SQLAlchemy's ``with_for_update``: ``read``, ``nowait``,
            ``skip_locked``, ``key_share`` and ``of``, which is the model by default.
        """
        session = cls._atomic_session
        session.flush()
        found: Self | None = session.get(
            cls,
            cls.get_pk_values(instance_or_pk),
            options=options,
            populate_existing=True,
            with_for_update={"of": cls, **kw},
        )
        return found

    @classmethod
    def get_pk_values(cls, instance_or_pk: t.Any) -> PrimaryKey:
        """Return a primary key as a tuple.

        :param instance_or_pk: an instance of the model, or a primary key: a value, or
            a tuple or list with a value for each column of the key.
        """
        if isinstance(instance_or_pk, cls):
            return _primary_key(instance_or_pk)
        if isinstance(instance_or_pk, (tuple, list)):
            values = tuple(instance_or_pk)
        else:
            values = (instance_or_pk,)
        _check_primary_key(cls, values)
        return values


def add_methods(model: type[t.Any], session: sa_orm.scoped_session[t.Any]) -> None:
    """Add the methods to *model*, the base class of all models.

    An attribute that the user defined under the same name is kept. The methods are set
    one by one, without a base class, because *model* may be a dataclass, have a
    metaclass, or be mapped already.
    """
    model._atomic_session = session  # noqa: SLF001 our own attribute
    for name in ("get_instance", "lock_instance", "get_pk_values"):
        if not hasattr(model, name):
            setattr(model, name, AtomicModel.__dict__[name])


def _primary_key(instance: object) -> PrimaryKey:
    """Return the key that *instance* has, or will have, in the database."""
    state = sa.inspect(instance, raiseerr=True)
    return tuple(state.identity or state.mapper.primary_key_from_instance(instance))


def _check_primary_key(model: type[t.Any], values: PrimaryKey) -> None:
    """Refuse instances of other models, and keys with another number of columns."""
    mapper = sa.inspect(model, raiseerr=True)
    columns = [column.name for column in mapper.primary_key]
    if len(values) != len(columns):
        raise ValueError(
            f"A primary key of {model.__name__} has {len(columns)} values"
            f" ({', '.join(columns)}), not {len(values)}. Pass these, in this order."
        )
    for value in values:
        if sa.inspect(value, raiseerr=False) is not None:
            raise TypeError(
                f"{type(value).__name__} is not {model.__name__}, nor a primary key of"
                f" {model.__name__}. Call the method of {type(value).__name__} instead."
            )
