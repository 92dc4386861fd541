"""The message of a signal, and the factory that makes it as its model declares."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

import sqlalchemy.orm as sa_orm

from signalbus._message_body import NO_BODY
from signalbus._message_body import body_writer
from signalbus._message_id import id_writer

if t.TYPE_CHECKING:
    from signalbus._message_attribute import MessageAttribute
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


class Message(t.NamedTuple):
    """The message of one signal, as a broker sends it.

    :param position: the position of the signal in its burst, starting at 0.
    :param signal: the signal: an instance of the model, or a row.
    :param id: the message id, which is the same each time the row is sent, by any
        process. At most 255 bytes of UTF-8.
    :param type: the name of the model.
    :param content_type: the media type of *body*.
    :param body: the body.
    :param headers: the headers of the model and of all plugins. Those of plugins are
        strings; those of the model may be anything that the broker accepts.
    :param attributes: the values of the broker's own attributes, by name.
    """

    position: int
    signal: Signal
    id: str
    type: str
    content_type: str
    body: bytes
    headers: t.Mapping[str, t.Any]
    attributes: t.Mapping[str, t.Any]


class MessageFactory:
    """Makes the messages of one model's signals, as the model declares.

    It reads the model's declaration once, when it is made. Keep one for each model.

    :param model: the signal model.
    :param attributes: the attributes of models that the broker reads.
    :param has_bodies: whether to make bodies. Otherwise, a message consists of its
        attributes, and its body is empty.
    """

    def __init__(
        self,
        model: SignalModel,
        attributes: t.Sequence[MessageAttribute] = (),
        *,
        has_bodies: bool = True,
    ) -> None:
        #: The name of the model.
        self.type: str = model.__name__
        content_type, body = body_writer(model) if has_bodies else NO_BODY
        #: Makes the body of a signal: ``signalbus_body`` of the model, or else its
        #: ``__marshmallow_schema__``, or else JSON of its columns.
        self.body: t.Callable[[Signal], bytes] = body
        #: The media type of bodies.
        self.content_type: str = getattr(model, "signalbus_content_type", content_type)
        #: Makes the message id of a signal, from its table and primary key.
        self.message_id: t.Callable[[Signal], str] = id_writer(
            sa_orm.class_mapper(model)
        )
        self._headers = getattr(model, "signalbus_headers", None)
        self._readers = {each.name: each.reader(model) for each in attributes}
        # Where no value is made of the signal, all messages share them.
        self._shared: dict[str, t.Any] | None = None
        if all(each.is_constant(model) for each in attributes):
            self._shared = self._attributes(None)

    def message(
        self, position: int, signal: Signal, added: t.Mapping[str, str] | None = None
    ) -> Message:
        """Return the message of *signal*, which is at *position* in its burst.

        :param added: headers that plugins add. The model's own take precedence.
        :raises Exception: whatever the model's functions raise.
        """
        own = self._headers
        body = self.body(signal)
        return Message(
            position,
            signal,
            self.message_id(signal),
            self.type,
            self.content_type,
            body if type(body) is bytes else self._as_bytes(body),
            self._merge(own, signal, added) if own or added else {},
            self._attributes(signal) if self._shared is None else self._shared,
        )

    def _attributes(self, signal: Signal) -> dict[str, t.Any]:
        return {name: read(signal) for name, read in self._readers.items()}

    def _as_bytes(self, body: object) -> bytes:
        if isinstance(body, (bytes, bytearray, memoryview)):
            return bytes(body)
        raise TypeError(
            f"signalbus_body of {self.type} returned {body!r:.60}. It must return"
            " bytes."
        )

    def _merge(
        self, own: t.Any, signal: Signal, added: t.Mapping[str, str] | None
    ) -> dict[str, t.Any]:
        """Return the model's *own* headers, maybe a function's, and those *added*."""
        if callable(own):
            own = own(signal)
        if own and not isinstance(own, Mapping):
            raise TypeError(
                f"signalbus_headers of {self.type} returned {own!r:.60}. It must return"
                " a dict, or None."
            )
        return {**(added or {}), **(own or {})}
