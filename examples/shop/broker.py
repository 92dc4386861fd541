"""A complete broker plugin: it appends messages to a file, as lines of JSON."""

from __future__ import annotations

import errno
import json
import os
import typing as t

import sqlalchemy as sa
from flask import current_app
from signalbus import BrokerUnavailableError
from signalbus import hookimpl


class FileBroker:
    """Send the models that declare `signalbus_broker = "file"`.

    A burst is one write. It is on disk when the broker confirms it.
    """

    #: Models name it in `signalbus_broker`; commands and errors use it, too.
    name = "file"

    @hookimpl
    def signalbus_send_burst(
        self, model: type[t.Any], signals: t.Sequence[t.Any]
    ) -> bool | None:
        """Append a line for each signal."""
        if getattr(model, "signalbus_broker", None) != self.name:
            return None
        lines = "".join(_line(model, signal) for signal in signals)
        path = current_app.config["FILE_BROKER_PATH"]
        try:
            _append(path, lines.encode())
        except OSError as error:
            message = f"{path} cannot be written: {error}"
            raise BrokerUnavailableError(message) from error
        return True


def _line(model: type[t.Any], signal: t.Any) -> str:
    columns = sa.inspect(model).columns.keys()
    message = {"signal": model.__name__} | {
        name: getattr(signal, name) for name in columns
    }
    return json.dumps(message, default=str) + "\n"


def _append(path: str, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        if os.write(file, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(file)
    finally:
        os.close(file)
