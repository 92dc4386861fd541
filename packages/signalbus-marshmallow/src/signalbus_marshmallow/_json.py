"""JSON for messages: the standard module, with decimals written as strings."""

from __future__ import annotations

import decimal
import json
import typing as t

loads = json.loads


def dumps(data: t.Any, **options: t.Any) -> str:
    """Return *data* as JSON, with the *options* of :func:`json.dumps`."""
    return json.dumps(data, **{"default": _decimal_as_string, **options})


def _decimal_as_string(value: t.Any) -> str:
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError(
        f"An object of type {type(value).__name__} cannot be written as JSON. Define"
        " __marshmallow__ on its model, with a field for it."
    )
