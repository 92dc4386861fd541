"""Send the signals of models that name the broker "filebroker" to a file.

A line of JSON each, appended to the file that SIGNALBUS_FILEBROKER_PATH names.
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from flask import current_app
from signalbus import BrokerUnavailableError
from signalbus import hookimpl
from sqlalchemy import inspect


@hookimpl
def signalbus_send_burst(model: type[t.Any], signals: t.Sequence[t.Any]) -> bool | None:
    """Append *signals* to the file; they are confirmed when the disk has them."""
    if getattr(model, "signalbus_broker", None) != "filebroker":
        return None
    lines = [json.dumps(_describe(model, signal), default=str) for signal in signals]
    try:
        with Path(current_app.config["SIGNALBUS_FILEBROKER_PATH"]).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BrokerUnavailableError(f"The file cannot be written: {error}") from error
    return True


def _describe(model: type[t.Any], signal: t.Any) -> dict[str, t.Any]:
    names = [column.key for column in inspect(model).column_attrs]
    return {"signal": model.__name__} | {name: getattr(signal, name) for name in names}
