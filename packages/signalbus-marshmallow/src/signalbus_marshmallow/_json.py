"""JSON for messages: the standard module, which also takes decimals, as strings."""

from __future__ import annotations

import decimal
import json
import typing as t

loads = json.loads


def dumps(data: t.Any, **options: t.Any) -> str:
    """Return *data* as JSON; *options* are those of :func:`json.dumps`."""
    return json.dumps(data, **{"default": _decimal_as_string, **options})


def _decimal_as_string(value: t.Any) -> str:
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError(
        f"An object of type {type(value).__name__} cannot be written as JSON. Give its"
        " model a __marshmallow__ with a field for it."
    )
