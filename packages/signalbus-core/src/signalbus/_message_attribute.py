"""The attributes of signal models that describe their messages."""

from __future__ import annotations

import dataclasses
import typing as t

from signalbus.exceptions import SignalModelError

if t.TYPE_CHECKING:
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: The attributes that every broker reads.
COMMON: t.Final = ("signalbus_body", "signalbus_content_type", "signalbus_headers")

#: How the types of values are called in errors.
_NAMES: t.Final = {
    dict: "a dict",
    float: "a number",
    int: "an integer",
    str: "a string",
}


@dataclasses.dataclass(frozen=True)
class MessageAttribute:
    """An attribute of signal models that a broker reads, such as the name of a topic.

    A model sets it to a value, or to a function of the signal that returns one.

    :param name: its name, such as ``"signalbus_topic"``.
    :param what: a description for error messages, such as ``"the name of a topic"``.
    :param types: the types that a value may have. ``int`` does not include ``bool``.
    :param is_required: whether a model that names the broker must have it. Otherwise,
        its value may be ``None``, which is the default.
    """

    name: str
    what: str
    types: tuple[type, ...] = (str,)
    is_required: bool = True

    def check(self, model: SignalModel, broker: str) -> None:
        """Check that *model* has the attribute, if required, with a value that fits.

        :raises SignalModelError: if not. It names the model, the attribute and the
            remedy.
        """
        value = getattr(model, self.name, None)
        if callable(value) or self._takes(value):
            return
        remedy = f"{self.what}: {self._types()}, or a function of the signal that"
        raise misdeclared(model, broker, self.name, value, f"{remedy} returns one")

    def is_constant(self, model: SignalModel) -> bool:
        """Return whether all signals of *model* have the same value.

        Override it in a subclass that reads other parts of the signal.
        """
        return not callable(getattr(model, self.name, None))

    def reader(self, model: SignalModel) -> t.Callable[[Signal], t.Any]:
        """Return a function that returns the value for a signal of *model*.

        It raises :exc:`TypeError` if the model's own function returns another type.
        """
        value = getattr(model, self.name, None)
        if not callable(value):
            return lambda _: value

        def read(signal: Signal) -> t.Any:
            returned = value(signal)
            if not self._takes(returned):
                raise TypeError(
                    f"{self.name} of {model.__name__} returned {returned!r:.60}. It"
                    f" must return {self.what}: {self._types()}."
                )
            return returned

        return read

    def _takes(self, value: object) -> bool:
        if value is None:
            return not self.is_required
        if isinstance(value, bool):
            return bool in self.types
        return isinstance(value, self.types)

    def _types(self) -> str:
        return " or ".join(_NAMES.get(each, each.__name__) for each in self.types)


def check_attributes(model: SignalModel, broker: str) -> None:
    """Check the attributes of *model* that every broker reads.

    :raises SignalModelError: if one is misdeclared. It names the model, the attribute
        and the remedy.
    """
    body = getattr(model, "signalbus_body", None)
    if not (body is None or callable(body)):
        raise misdeclared(
            model, broker, "signalbus_body", body, "a function of the signal"
        )
    headers = getattr(model, "signalbus_headers", None)
    if not (headers is None or callable(headers) or isinstance(headers, dict)):
        remedy = "a dict, or a function of the signal"
        raise misdeclared(model, broker, "signalbus_headers", headers, remedy)
    content_type = getattr(model, "signalbus_content_type", "")
    if not isinstance(content_type, str):
        remedy = "a string, such as 'application/protobuf'"
        raise misdeclared(model, broker, "signalbus_content_type", content_type, remedy)


def misdeclared(
    model: SignalModel, broker: str, attribute: str, value: object, remedy: str
) -> SignalModelError:
    """Return the error that *attribute* is missing or has an unusable *value*."""
    fact = "has no" if value is None else "cannot use its"
    found = "" if value is None else f" ({value!r:.60})"
    return SignalModelError(
        f"The signal model {model.__name__} names the broker {broker!r}, and {fact}"
        f" {attribute}{found}. Set it to {remedy}."
    )
