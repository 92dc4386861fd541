"""The base classes of schemas: for any model, and for the messages of signal models."""

from __future__ import annotations

import dataclasses
import types
import typing as t

import marshmallow
from marshmallow_sqlalchemy import SQLAlchemyAutoSchema

from signalbus_marshmallow import _json
from signalbus_marshmallow._convert import REQUIRED_UNLESS
from signalbus_marshmallow._convert import SignalConverter

if t.TYPE_CHECKING:
    AutoSchema = SQLAlchemyAutoSchema[t.Any]
else:
    # Not generic before marshmallow-sqlalchemy 1.2.
    AutoSchema = SQLAlchemyAutoSchema


class ModelSchema(AutoSchema):
    """Dump and load instances of a model, with foreign keys and relationships.

    A relationship is dumped as the primary key of the related instance, or as a list of
    primary keys. Loading returns instances of the model, and needs a session. A schema
    that this plugin sets uses ``db.session``.
    """

    class Meta:
        """The options of every schema."""

        include_fk = True
        include_relationships = True
        load_instance = True
        model_converter = SignalConverter
        render_module = _json
        # In the registry, our schema could make a name of the user's ambiguous.
        register = False

    @marshmallow.validates_schema
    def require_references(self, data: t.Any, **options: t.Any) -> None:
        """Refuse *data* that has neither a foreign key nor its relationship.

        Called by marshmallow when every field is valid. Partial *data* is not checked.
        """
        if options.get("partial"):
            return
        missing = {
            name: [field.error_messages["required"]]
            for name, field in self.load_fields.items()
            if REQUIRED_UNLESS in field.metadata
            and data.keys().isdisjoint({name, field.metadata[REQUIRED_UNLESS]})
        }
        if missing:
            raise marshmallow.ValidationError(missing)

    def _split_model_kwargs_association(
        self, data: dict[str, t.Any]
    ) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """Split *data* into arguments of the model's ``__init__`` and later settings.

        The ``__init__`` of a dataclass takes no attributes that have ``init=False``.
        """
        early, late = super()._split_model_kwargs_association(data)  # type: ignore[no-untyped-call]
        for name in _not_in_init(self.opts.model) & early.keys():
            late[name] = early.pop(name)
        return early, late


class SignalSchema(ModelSchema):
    """Dump and load the messages of a signal model, without a database.

    Dumps instances and rows. A row has no relationships, so its message has none.
    Loading returns transient instances, and ignores unknown fields: the sender may be a
    newer version, and columns that the database computes cannot be loaded.
    """

    class Meta(ModelSchema.Meta):
        """The options of a schema for messages."""

        transient = True
        unknown = marshmallow.EXCLUDE


def make_schema(
    base: type[ModelSchema], model: type[t.Any], **options: t.Any
) -> type[ModelSchema]:
    """Return a new subclass of *base* for *model*, with *options* in its ``Meta``."""
    meta = type("Meta", (base.Meta,), {"model": model, **options})
    name = f"{model.__name__}Schema"
    namespace = {"Meta": meta, "__module__": model.__module__}
    return types.new_class(name, (base,), exec_body=lambda body: body.update(namespace))


def _not_in_init(model: t.Any) -> set[str]:
    """Return the attributes that the ``__init__`` of a dataclass does not take."""
    if not dataclasses.is_dataclass(model):
        return set()
    return {field.name for field in dataclasses.fields(model) if not field.init}
