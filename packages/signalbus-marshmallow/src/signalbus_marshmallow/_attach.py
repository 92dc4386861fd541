"""Set schemas on models, never in the place of what the user wrote."""

from __future__ import annotations

import typing as t
import weakref

from signalbus import SignalModelError

from signalbus_marshmallow._schemas import ModelSchema
from signalbus_marshmallow._schemas import SignalSchema
from signalbus_marshmallow._schemas import make_schema

if t.TYPE_CHECKING:
    import marshmallow

SCHEMA = "__marshmallow__"
MESSAGE_SCHEMA = "__marshmallow_schema__"

#: What we have set on models. All else is the user's.
_ours: weakref.WeakSet[t.Any] = weakref.WeakSet()


def attach_schema(model: type[t.Any], session: t.Any) -> None:
    """Set ``__marshmallow__`` on *model*, unless the user wrote it or it is there.

    :param session: where the schema of a model that is no signal model loads from.
    :raises SignalModelError: when the name of *model* ends in ``Schema``.
    """
    if not _keep_written(model, SCHEMA) and vars(model).get(SCHEMA) is None:
        _set(model, SCHEMA, _schema_for(model, session))


def attach_message_schema(model: type[t.Any]) -> None:
    """Set ``__marshmallow_schema__`` on *model*, unless the user wrote it."""
    if not _keep_written(model, MESSAGE_SCHEMA) and MESSAGE_SCHEMA not in vars(model):
        _set(model, MESSAGE_SCHEMA, MessageSchema())


class MessageSchema:
    """Be, as an attribute of a model, an instance of its ``__marshmallow__``.

    Always of the present one: the user may have set another since.
    """

    def __init__(self) -> None:
        self._made: marshmallow.Schema | None = None

    def __get__(self, signal: object, model: type[t.Any]) -> marshmallow.Schema:
        """Return the instance, the same one while ``__marshmallow__`` is the same."""
        made = self._made
        if made is None or type(made) is not model.__marshmallow__:
            made = self._made = model.__marshmallow__()
        return made


def is_signal_model(model: type[t.Any]) -> bool:
    """Tell whether *model* has a way to be sent: a method, or the name of a broker."""
    return (
        getattr(model, "send_signalbus_message", None) is not None
        or getattr(model, "signalbus_broker", None) is not None
    )


def _schema_for(model: type[t.Any], session: t.Any) -> type[ModelSchema]:
    if model.__name__.endswith("Schema"):
        raise SignalModelError(
            f"The name of the model {model.__name__!r} ends in 'Schema', which is how"
            " the schemas of models are named. Rename it, keeping its __tablename__,"
            " or give it a __marshmallow__ of its own."
        )
    if is_signal_model(model):
        return make_schema(SignalSchema, model)
    return make_schema(ModelSchema, model, sqla_session=session)


def _keep_written(model: type[t.Any], name: str) -> bool:
    """Tell whether the user wrote *name*, in *model* or a base, and see that it holds.

    A schema that we made for a base is passed over: it knows nothing of *model*.
    """
    found = [vars(base)[name] for base in model.__mro__ if name in vars(base)]
    written = [each for each in found if each is not None and each not in _ours]
    if written and found[0] is not written[0]:
        setattr(model, name, written[0])
    return bool(written)


def _set(model: type[t.Any], name: str, schema: t.Any) -> None:
    _ours.add(schema)
    setattr(model, name, schema)
