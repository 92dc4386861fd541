"""The field for a relationship: a message has only the primary key of the other row."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from marshmallow_sqlalchemy.fields import Related

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm


class Reference(Related):
    """Dump the related instance as its primary key, and load it from that key.

    Without a session, the loaded instance has its key and nothing else. Its
    ``__init__`` is not called, because it may require more.
    """

    def _deserialize(self, value: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        root: t.Any = self.root
        if not root.transient:
            return super()._deserialize(value, *args, **kwargs)  # type: ignore[no-untyped-call]
        mapper = sa.inspect(self.related_model)
        names = [mapper.get_property_by_column(key).key for key in mapper.primary_key]
        values = {names[0]: value} if _is_scalar_key(value, names) else value
        if not isinstance(values, dict) or values.keys() != set(names):
            raise self.make_error("invalid", value=value, keys=names)
        return _bare_instance(mapper, values)


def _is_scalar_key(value: t.Any, names: list[str]) -> bool:
    return len(names) == 1 and not isinstance(value, dict)


def _bare_instance(mapper: sa_orm.Mapper[t.Any], values: dict[str, t.Any]) -> t.Any:
    instance = mapper.class_manager.new_instance()
    for name, value in values.items():
        setattr(instance, name, value)
    return instance
