"""A signal that was sent in a test, with its message."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from signalbus.exceptions import SignalBusError

if t.TYPE_CHECKING:
    from signalbus.messages import Message
    from signalbus.typing import SignalModel


@dataclasses.dataclass(frozen=True)
class SentSignal:
    """A signal that :class:`MemoryBroker` has confirmed.

    Two are equal if they have the same model and values, even if their messages differ.

    :param model: its signal model.
    :param values: the values of its columns, by attribute name.
    :param message: its message, as a broker sends it; ``None`` if a method of the model
        has sent the signal.
    """

    model: SignalModel
    values: dict[str, t.Any]
    message: Message | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def id(self) -> str:
        """The message id, which is the same each time the row is sent."""
        return self._message.id

    @property
    def type(self) -> str:
        """The type of the message: the name of the model."""
        return self._message.type

    @property
    def content_type(self) -> str:
        """The media type of the body."""
        return self._message.content_type

    @property
    def body(self) -> bytes:
        """The body of the message."""
        return self._message.body

    @property
    def json(self) -> t.Any:
        """The body, parsed as JSON.

        :raises ValueError: if the body is not JSON.
        """
        return json.loads(self.body)

    @property
    def headers(self) -> t.Mapping[str, t.Any]:
        """The headers of the message: those of the model and of all plugins."""
        return self._message.headers

    @property
    def attributes(self) -> t.Mapping[str, t.Any]:
        """The attributes that the model declares for its broker, with their values.

        Such as ``signalbus_topic``. The values are those for this signal. Defaults that
        a broker uses for missing attributes are not included.
        """
        return self._message.attributes

    @property
    def exchange(self) -> str | None:
        """The attribute ``signalbus_exchange``; ``None`` if the model has none."""
        return self.attributes.get("signalbus_exchange")

    @property
    def routing_key(self) -> str | None:
        """The attribute ``signalbus_routing_key``; ``None`` if the model has none."""
        return self.attributes.get("signalbus_routing_key")

    @property
    def _message(self) -> Message:
        if self.message is None:
            raise SignalBusError(
                f"A method of {self.model.__name__} has sent the signal, so no broker"
                " has made a message of it. Look at its values."
            )
        return self.message
