"""A complete broker plugin: it appends messages to a file, as lines of JSON."""

from __future__ import annotations

import errno
import json
import os
import typing as t

from signalbus import BrokerUnavailableError
from signalbus.brokers import BrokerPlugin
from signalbus.brokers import Sender

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.brokers import WaitLimit
    from signalbus.messages import Message
    from signalbus.messages import MessageBatch


class FileBroker(BrokerPlugin):
    """Send the models that declare `signalbus_broker = "file"`."""

    #: Models name it in `signalbus_broker`; commands and errors use it, too.
    name = "file"

    def make_sender(self, app: Flask) -> FileSender:
        """Return a sender for the file in the configuration."""
        return FileSender(app.config["FILE_BROKER_PATH"])


class FileSender(Sender):
    """Append a line for each message.

    A burst is one write. It is on disk when it is confirmed.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:  # noqa: ARG002 a file does not wait
        """Append the messages that could be made, and confirm them."""
        lines = "".join(map(_line, batch))
        try:
            _append(self._path, lines.encode())
        except OSError as error:
            message = f"{self._path} cannot be written: {error}"
            raise BrokerUnavailableError(message) from error
        batch.confirm_all()


def _line(message: Message) -> str:
    return json.dumps({"signal": message.type, **json.loads(message.body)}) + "\n"


def _append(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)
