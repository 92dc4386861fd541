"""Compare signals with what a test expects of them."""

from __future__ import annotations

import difflib
import pprint
import typing as t

from signalbus_pytest._snapshot import column_names

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

    from signalbus_pytest._snapshot import Values

#: How many characters of a value are shown in a line.
MAX_SHOWN: t.Final = 60


class Expectation:
    """A model, and values or conditions for some of its columns.

    :raises TypeError: if the model has no such column.
    """

    def __init__(self, model: SignalModel, expected: t.Mapping[str, t.Any]) -> None:
        self.model = model
        self.expected = expected
        names = column_names(model)
        for name in expected:
            if name not in names:
                raise _no_column(model, name, names)

    def differences(self, values: Values) -> dict[str, list[str]]:
        """Return, by the name of each column that differs, a line or a diff."""
        return {
            name: lines
            for name, expected in self.expected.items()
            if (lines := _differences(expected, name, values))
        }

    def matches(self, values: Values) -> bool:
        """Return whether no column differs."""
        return not self.differences(values)

    def fits(self, model: SignalModel) -> bool:
        """Return whether *model*, a different one, has all these columns."""
        return set(self.expected) <= set(column_names(model))

    def __str__(self) -> str:
        """Return the expected columns as text that follows the word "recorded"."""
        shown = [f"{name}={_as_expected(x)}" for name, x in self.expected.items()]
        return f" with {', '.join(shown)}" if shown else ""


def shown(value: object) -> str:
    """Return *value* as text for a line."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def _differences(expected: t.Any, name: str, values: Values) -> list[str]:
    """Return one or more lines about how a value differs; none if it does not."""
    wanted = f"expected {_as_expected(expected)}, recorded"
    if name not in values:
        return [f"{wanted} no value"]
    value = values[name]
    try:
        if _is_met(expected, value):
            return []
    except Exception as error:  # noqa: BLE001 it was written for other values
        return [f"{wanted} {shown(value)}, for which that raised {error!r}"]
    is_long = max(len(repr(expected)), len(repr(value))) > MAX_SHOWN
    if is_long and type(expected) is type(value):
        return _diff(expected, value)
    return [f"{wanted} {shown(value)}"]


def _is_met(expected: t.Any, value: t.Any) -> bool:
    """Return whether *value* equals, is an instance of, or satisfies *expected*."""
    if expected == value:
        return True
    if isinstance(expected, type):
        return isinstance(value, expected)
    return callable(expected) and bool(expected(value))


def _diff(expected: object, value: object) -> list[str]:
    """Return a diff, with expected lines after ``-`` and recorded ones after ``+``."""
    diff = difflib.ndiff(_lines(expected), _lines(value))
    return [line.rstrip() for line in diff if line.strip()]


def _lines(value: object) -> list[str]:
    return pprint.pformat(value, width=MAX_SHOWN, sort_dicts=True).splitlines()


def _as_expected(expected: t.Any) -> str:
    """Return *expected* as it is shown: a function by its name."""
    if callable(expected) and hasattr(expected, "__name__"):
        name = str(expected.__name__)
        return name if isinstance(expected, type) else f"{name}(…)"
    return shown(expected)


def _no_column(model: SignalModel, name: str, names: t.Sequence[str]) -> TypeError:
    close = difflib.get_close_matches(name, names, 1)
    remedy = f"Did you mean {close[0]!r}?" if close else f"It has {', '.join(names)}."
    return TypeError(f"{model.__name__} has no column {name!r}. {remedy}")
