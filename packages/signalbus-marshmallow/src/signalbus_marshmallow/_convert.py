"""Convert the attributes of a model to the fields of its schema."""

from __future__ import annotations

import typing as t

import sqlalchemy.orm as sa_orm
from marshmallow import fields
from marshmallow_sqlalchemy import ModelConverter
from marshmallow_sqlalchemy.exceptions import ModelConversionError

from signalbus_marshmallow._reference import Reference

#: The metadata key under which a field names another one that may replace it.
REQUIRED_UNLESS = "required_unless"


class SignalConverter(ModelConverter):
    """Convert columns and relationships so that every model gets a working schema.

    - A column whose type has no field in marshmallow gets a raw field.
    - Either a relationship or its foreign key is required, not both: a row has no
      relationships.
    - Composites are left out, because their columns are included. Write-only
      relationships are left out, too.
    """

    def property2field(self, prop: t.Any, **options: t.Any) -> t.Any:
        """Return the field for *prop*, or ``None`` to leave *prop* out."""
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
        reference = _many_to_one_by(prop)
        if reference and field.required:
            field.required = False
            field.metadata[REQUIRED_UNLESS] = reference
        return field


def _many_to_one_by(prop: sa_orm.ColumnProperty[t.Any]) -> str | None:
    """Return the many-to-one relationship that sets the columns of *prop*, if any."""
    for relationship in prop.parent.relationships:
        if relationship.direction is sa_orm.MANYTOONE and (
            relationship.local_columns.intersection(prop.columns)
        ):
            return relationship.key
    return None
