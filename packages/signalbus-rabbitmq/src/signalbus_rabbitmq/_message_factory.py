"""Make messages of the signals of a model, according to the model's attributes."""

from __future__ import annotations

import functools
import time
import typing as t

from signalbus import messages

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
        parts = messages.MessageFactory(model)
        self._message_id = parts.message_id
        self._body = parts.body
        self._content_type = parts.content_type
        self._type = parts.type
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


def _as_function(value: t.Any) -> t.Callable[[t.Any], t.Any]:
    return value if callable(value) else lambda _: value
