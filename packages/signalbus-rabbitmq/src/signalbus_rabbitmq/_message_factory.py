"""Make messages of the signals of a model, according to the model's attributes."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import operator
import time
import typing as t
import urllib.parse

import sqlalchemy.orm as sa_orm

from signalbus_rabbitmq._body import body_writer
from signalbus_rabbitmq._frames import SHORT_STRING_MAX
from signalbus_rabbitmq.message import Message
from signalbus_rabbitmq.message import MessageProperties
from signalbus_rabbitmq.message import snapshot


class MessageFactory:
    """Makes the messages of one model's signals.

    :param app_id: the name of the application that sends them.
    """

    def __init__(self, model: type[t.Any], app_id: str) -> None:
        self._exchange: str = model.signalbus_exchange
        self._routing_key = _as_function(model.signalbus_routing_key)
        self._headers = getattr(model, "signalbus_headers", None)
        self._message_id = message_id_of(sa_orm.class_mapper(model))
        content_type, self._body = body_writer(model)
        self._content_type = getattr(model, "signalbus_content_type", content_type)
        self._type = model.__name__
        self._app_id = app_id

    def messages(
        self,
        signals: t.Sequence[t.Any],
        added: t.Sequence[t.Mapping[str, str]] = (),
    ) -> t.Sequence[Message]:
        """Return the messages of *signals*, each made when it is requested.

        :param added: headers that plugins add, one mapping for each signal, or none at
            all. The model's own headers win.
        """
        make = functools.partial(self._message, int(time.time()), self._headers_of())
        return _Messages(signals, added, make)

    def _headers_of(self) -> t.Callable[[t.Any], t.Any]:
        """Return a function that returns the headers of a signal: a copy of its own.

        Where they are the same for all signals, so is the copy: it is encoded once.
        """
        headers = self._headers
        if callable(headers):
            return lambda signal: snapshot(headers(signal))
        return _as_function(snapshot(headers))

    def _message(
        self,
        now: int,
        headers_of: t.Callable[[t.Any], t.Any],
        signal: t.Any,
        added: t.Mapping[str, str] | None,
    ) -> Message:
        headers = headers_of(signal)
        properties = MessageProperties(
            content_type=self._content_type,
            headers={**added, **(headers or {})} if added else headers,
            delivery_mode=2,
            message_id=self._message_id(signal),
            timestamp=now,
            type=self._type,
            app_id=self._app_id,
        )
        return Message(
            self._exchange,
            self._routing_key(signal),
            self._body(signal),
            properties,
            mandatory=True,
        )


class _Messages(t.Sequence[Message]):
    """Messages that are made when they are requested, and not kept."""

    def __init__(
        self,
        signals: t.Sequence[t.Any],
        added: t.Sequence[t.Mapping[str, str]],
        make: t.Callable[[t.Any, t.Mapping[str, str] | None], Message],
    ) -> None:
        self._signals = signals
        self._added = added
        self._make = make

    def __len__(self) -> int:
        return len(self._signals)

    @t.overload
    def __getitem__(self, index: int) -> Message: ...

    @t.overload
    def __getitem__(self, index: slice) -> t.Sequence[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | t.Sequence[Message]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        added = self._added[index] if self._added else None
        return self._make(self._signals[index], added)


def message_id_of(mapper: sa_orm.Mapper[t.Any]) -> t.Callable[[t.Any], str]:
    """Return what makes the message id of a signal, from its table and primary key.

    It is the same each time that the row is sent, whoever sends it.
    """
    table = getattr(mapper.primary_key[0], "table").fullname  # noqa: B009 mypy
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    if len(keys) > 1:
        values = operator.attrgetter(*keys)
        return lambda signal: _short(f"{table}:{','.join(map(_text, values(signal)))}")
    value = operator.attrgetter(keys[0])
    return lambda signal: _short(f"{table}:{_text(value(signal))}")


def _text(value: t.Any) -> str:
    """Return a key's value as text; different values never look the same."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return urllib.parse.quote(str(value), safe=" /:@+=")


def _short(message_id: str) -> str:
    """Return *message_id*, or a digest of one that is too long for AMQP."""
    encoded = message_id.encode()
    if len(encoded) <= SHORT_STRING_MAX:
        return message_id
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def _as_function(value: t.Any) -> t.Callable[[t.Any], t.Any]:
    return value if callable(value) else lambda _: value
