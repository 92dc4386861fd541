"""Convert the values of columns to text and to JSON."""

from __future__ import annotations

import datetime as dt
import enum
import json
import typing as t

from signalbus.exceptions import hide_passwords

#: How many characters of a value are shown.
MAX_TEXT: t.Final = 10_000

Plain: t.TypeAlias = "str | int | float | bool | list[t.Any] | dict[str, t.Any] | None"


def as_plain(value: object) -> Plain:
    """Return *value* as JSON or else as text, without passwords."""
    if value is None or isinstance(value, (bool, int, float)):
        return value if _is_finite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [as_plain(each) for each in value]
    if isinstance(value, dict):
        return {
            hide_passwords(str(name)): as_plain(each) for name, each in value.items()
        }
    return hide_passwords(_text(value))[:MAX_TEXT]


def as_text(value: object) -> str:
    """Return *value*, a plain one, as text for people."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _text(value: object) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    try:
        return str(value)
    except Exception:  # noqa: BLE001 a type of the application's own may do anything
        return f"<{type(value).__name__}>"


def _is_finite(value: object) -> bool:
    """Return whether JSON can represent the number."""
    return not isinstance(value, float) or value - value == 0
