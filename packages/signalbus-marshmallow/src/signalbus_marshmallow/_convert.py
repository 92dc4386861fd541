"""Turn the attributes of a model into fields: all that can be read, nothing else."""

from __future__ import annotations

import typing as t

import sqlalchemy.orm as sa_orm
from marshmallow import fields
from marshmallow_sqlalchemy import ModelConverter
from marshmallow_sqlalchemy.exceptions import ModelConversionError

from signalbus_marshmallow._reference import Reference

#: Where a field that is not required names the one that must be there in its place.
UNLESS = "required_unless"


class SignalConverter(ModelConverter):
    """Convert columns and relationships so that every model gets a working schema.

    A column of a type that marshmallow has no field for is passed on as it is. Of a
    relationship and its foreign key one is enough: a row has no relationships.
    Composites are left out, for their columns are there, and so are write-only
    relationships.
    """

    def property2field(self, prop: t.Any, **options: t.Any) -> t.Any:
        """Return the field for *prop*, or ``None`` to leave it out."""
        if isinstance(prop, sa_orm.RelationshipProperty):
            return self._relationship(prop, options)
        if isinstance(prop, sa_orm.ColumnProperty):
            return self._column(prop, options)
        return None

    def _relationship(
        self, prop: sa_orm.RelationshipProperty[t.Any], options: dict[str, t.Any]
    ) -> t.Any:
        if prop.lazy == "write_only":
            return None
        options = {"required": False, "field_class": Reference, **options}
        return super().property2field(prop, **options)

    def _column(
        self, prop: sa_orm.ColumnProperty[t.Any], options: dict[str, t.Any]
    ) -> t.Any:
        try:
            field = super().property2field(prop, **options)
        except ModelConversionError:
            field = super().property2field(prop, field_class=fields.Raw, **options)
        reference = _reference_by(prop)
        if reference and field.required:
            field.required = False
            field.metadata[UNLESS] = reference
        return field


def _reference_by(prop: sa_orm.ColumnProperty[t.Any]) -> str | None:
    """Return the name of the many-to-one relationship that sets the columns *prop*."""
    for relationship in prop.parent.relationships:
        if relationship.direction is sa_orm.MANYTOONE and (
            relationship.local_columns.intersection(prop.columns)
        ):
            return relationship.key
    return None
