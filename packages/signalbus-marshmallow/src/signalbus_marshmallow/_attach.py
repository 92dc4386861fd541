"""Set schemas on models, unless the user defined them."""

from __future__ import annotations

import typing as t
import weakref

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import SignalModelError

from signalbus_marshmallow._schemas import ModelSchema
from signalbus_marshmallow._schemas import SignalSchema
from signalbus_marshmallow._schemas import make_schema

if t.TYPE_CHECKING:
    import marshmallow
    from signalbus.typing import Bus

SCHEMA = "__marshmallow__"
MESSAGE_SCHEMA = "__marshmallow_schema__"

#: What this module has set on models. Everything else is the user's.
_generated: weakref.WeakSet[t.Any] = weakref.WeakSet()


def attach_schema(bus: Bus, model: type[t.Any]) -> None:
    """Set ``__marshmallow__`` on *model*, unless it has one.

    The schema loads from the session of *bus*, unless *model* is a signal model.

    :raises SignalModelError: if the name of *model* ends in ``Schema``.
    """
    if not _keep_defined(model, SCHEMA) and vars(model).get(SCHEMA) is None:
        _set(model, SCHEMA, _schema_for(bus, model))


def attach_message_schema(model: type[t.Any]) -> None:
    """Set ``__marshmallow_schema__`` on *model*, unless it has one."""
    if not _keep_defined(model, MESSAGE_SCHEMA) and MESSAGE_SCHEMA not in vars(model):
        _set(model, MESSAGE_SCHEMA, MessageSchema())


class MessageSchema:
    """A descriptor that returns an instance of the model's ``__marshmallow__``.

    It follows ``__marshmallow__``, which the user may replace at any time.
    """

    def __init__(self) -> None:
        self._schema: marshmallow.Schema | None = None

    def __get__(self, signal: object, model: type[t.Any]) -> marshmallow.Schema:
        """Return the instance: the same one until ``__marshmallow__`` is replaced."""
        schema = self._schema
        if schema is None or type(schema) is not model.__marshmallow__:
            schema = self._schema = model.__marshmallow__()
        return schema


def _schema_for(bus: Bus, model: type[t.Any]) -> type[ModelSchema]:
    if model.__name__.endswith("Schema"):
        raise SignalModelError(
            f"The name of the model {model.__name__!r} ends in 'Schema', which is how"
            " the schemas of models are named. Rename it, keeping its __tablename__,"
            " or define __marshmallow__ on it."
        )
    if bus.is_signal_model(model):
        return make_schema(SignalSchema, model, exclude=_not_in_body(model))
    return make_schema(ModelSchema, model, sqla_session=bus.db.session)


def _not_in_body(model: type[t.Any]) -> tuple[str, ...]:
    """Return the attributes whose columns say that they are no part of messages."""
    return tuple(
        attribute.key
        for attribute in sa_orm.class_mapper(model).column_attrs
        if isinstance(column := attribute.columns[0], sa.Column)
        and not column.info.get("signalbus_body", True)
    )


def _keep_defined(model: type[t.Any], name: str) -> bool:
    """Return whether the user defined *name*, on *model* or a base, and let it apply.

    A schema generated for a base must not hide it, and does not fit *model* itself.
    """
    found = [vars(base)[name] for base in model.__mro__ if name in vars(base)]
    defined = [each for each in found if each is not None and each not in _generated]
    if defined and found[0] is not defined[0]:
        setattr(model, name, defined[0])
    return bool(defined)


def _set(model: type[t.Any], name: str, schema: t.Any) -> None:
    _generated.add(schema)
    setattr(model, name, schema)
