"""The two kinds of schemas: for any model, and for the messages of a signal model."""

from __future__ import annotations

import dataclasses
import types
import typing as t

import marshmallow
from marshmallow_sqlalchemy import SQLAlchemyAutoSchema

from signalbus_marshmallow import _json
from signalbus_marshmallow._convert import UNLESS
from signalbus_marshmallow._convert import SignalConverter

if t.TYPE_CHECKING:
    AutoSchema = SQLAlchemyAutoSchema[t.Any]
else:
    # No generic before marshmallow-sqlalchemy 1.2.
    AutoSchema = SQLAlchemyAutoSchema


class ModelSchema(AutoSchema):
    """Dump and load instances of a model, foreign keys and relationships included.

    A relationship is dumped as the primary key of what it refers to, or a list of
    them. Loading gives instances of the model, and needs a session, unless the schema
    was made by this plugin: those use the session of the database.
    """

    class Meta:
        """The options of every schema made by this plugin."""

        include_fk = True
        include_relationships = True
        load_instance = True
        model_converter = SignalConverter
        render_module = _json
        # Nobody shall find two schemas under one name because we made one of them.
        register = False

    @marshmallow.validates_schema
    def require_references(self, data: t.Any, **options: t.Any) -> None:
        """Refuse *data* that has neither a foreign key nor its relationship.

        Called by marshmallow when every field by itself is valid. *data* that may be
        partial is not looked at.
        """
        if options.get("partial"):
            return
        missing = {
            name: [field.error_messages["required"]]
            for name, field in self.load_fields.items()
            if UNLESS in field.metadata
            and data.keys().isdisjoint({name, field.metadata[UNLESS]})
        }
        if missing:
            raise marshmallow.ValidationError(missing)

    def _split_model_kwargs_association(
        self, data: dict[str, t.Any]
    ) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """Split *data* in what the model's ``__init__`` takes, and what is set later.

        A dataclass model does not take the attributes declared with ``init=False``.
        """
        early, late = super()._split_model_kwargs_association(data)  # type: ignore[no-untyped-call]
        for name in _outside_of_init(self.opts.model) & early.keys():
            late[name] = early.pop(name)
        return early, late


class SignalSchema(ModelSchema):
    """Dump and load the messages of a signal model, without any database.

    Dumps instances and rows; a row has no relationships, so its message has none.
    Loading gives transient instances, and ignores what it does not know: the sender
    may be a version ahead, and what is computed by the database cannot be loaded.
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


def _outside_of_init(model: t.Any) -> set[str]:
    """Return the names that the ``__init__`` of *model* refuses, if it is generated."""
    if not dataclasses.is_dataclass(model):
        return set()
    return {field.name for field in dataclasses.fields(model) if not field.init}
