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

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


@hookimpl
def signalbus_send_burst(
    bus: Bus, model: SignalModel, signals: t.Sequence[Signal]
) -> bool | None:
    """Append *signals* to the file; they are confirmed when the disk has them."""
    declaration = bus.declaration(model)
    if declaration.broker != "filebroker":
        return None
    lines = [json.dumps(_message(declaration, each), default=str) for each in signals]
    try:
        with Path(current_app.config["SIGNALBUS_FILEBROKER_PATH"]).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BrokerUnavailableError(f"The file cannot be written: {error}") from error
    return True


def _message(declaration: Declaration, signal: Signal) -> dict[str, t.Any]:
    names = declaration.mapper.column_attrs.keys()
    values = {name: getattr(signal, name) for name in names}
    return {"signal": declaration.model.__name__, **values}
