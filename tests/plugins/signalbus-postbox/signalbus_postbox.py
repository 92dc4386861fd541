"""Send the signals of models that name the broker "postbox" to a Postbox."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import typing as t

from signalbus.brokers import BrokerPlugin
from signalbus.brokers import CheckLine
from signalbus.brokers import Sender
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError
from signalbus.messages import MessageAttribute

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.brokers import WaitLimit
    from signalbus.messages import Message
    from signalbus.messages import MessageBatch
    from signalbus.typing import SignalModel


class PostboxBroker(BrokerPlugin):
    """What signalbus has to know about this broker."""

    name = "postbox"
    settings = ("SIGNALBUS_POSTBOX_ADDRESS",)
    attributes = (MessageAttribute("signalbus_box", "the name of a box"),)

    def make_sender(self, app: Flask) -> PostboxSender:
        """Return a sender for the address in the configuration."""
        address = app.config.get("SIGNALBUS_POSTBOX_ADDRESS", "localhost:8025")
        return PostboxSender(address)


class PostboxSender(Sender):
    """Sends a burst as one request, over a connection of its own."""

    def __init__(self, address: str) -> None:
        """Send to the Postbox at *address*, a host and a port."""
        self._address = address

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Send the messages, and say what became of each."""
        messages = list(batch)
        content = json.dumps([_fields(message) for message in messages])
        reasons = self._request("POST", content, limit)
        for message, reason in zip(messages, reasons, strict=True):
            if reason is None:
                batch.confirm(message.position)
            else:
                error = MessageRefusedError(f"Postbox refused a message: {reason}.")
                batch.fail(message.position, error)

    def check(
        self, models: t.Sequence[SignalModel], limit: WaitLimit
    ) -> t.Iterator[CheckLine]:
        """Look whether the Postbox answers."""
        try:
            self._request("GET", None, limit)
        except BrokerUnavailableError as error:
            remedy = "Start it, or correct SIGNALBUS_POSTBOX_ADDRESS."
            yield CheckLine("connection", f"{error} {remedy}")
        else:
            yield CheckLine("connection")

    def _request(self, method: str, content: str | None, limit: WaitLimit) -> t.Any:
        """Return the answer, or raise what signalbus understands."""
        try:
            return json.loads(self._exchange(method, content, limit))
        except TimeoutError as error:
            text = f"Postbox at {self._address} did not answer in time."
            raise BrokerTimeoutError(text) from error
        except (OSError, http.client.HTTPException) as error:
            text = f"Postbox at {self._address} cannot be used: {error}."
            raise BrokerUnavailableError(text) from error

    def _exchange(self, method: str, content: str | None, limit: WaitLimit) -> bytes:
        """Return what the Postbox answers in time."""
        with contextlib.closing(
            http.client.HTTPConnection(self._address, timeout=limit.remaining())
        ) as connection:
            connection.request(method, "/", content)
            if not limit.wait_for(connection.sock):
                raise TimeoutError
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise http.client.HTTPException(f"status {response.status}")
            return response.read()


def _fields(message: Message) -> dict[str, t.Any]:
    return {
        "box": message.attributes["signalbus_box"],
        "id": message.id,
        "type": message.type,
        "content_type": message.content_type,
        "headers": message.headers,
        "body": base64.b64encode(message.body).decode(),
    }


broker = PostboxBroker()
