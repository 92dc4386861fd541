"""JSON for messages: the standard module, with decimals written as strings."""

from __future__ import annotations

import decimal
import json
import typing as t

loads = json.loads


def dumps(data: t.Any, **options: t.Any) -> str:
    """Return *data* as JSON, with the *options* of :func:`json.dumps`.

    A ``NaN`` is an error: JSON has none, and other languages do not read it.
    """
    ours = {"default": _decimal_as_string, "allow_nan": False}
    return json.dumps(data, **{**ours, **options})


def _decimal_as_string(value: t.Any) -> str:
    if isinstance(value, decimal.Decimal):
        return str(value)
    raise TypeError(
        f"An object of type {type(value).__name__} cannot be written as JSON. Define"
        " __marshmallow__ on its model, with a field for it."
    )
