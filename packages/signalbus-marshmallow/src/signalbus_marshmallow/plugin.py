"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import SignalModelError
from signalbus import hookimpl

from signalbus_marshmallow._attach import attach_message_schema
from signalbus_marshmallow._attach import attach_schema
from signalbus_marshmallow._attach import is_signal_model

if t.TYPE_CHECKING:
    from signalbus import SignalBus


@hookimpl
def signalbus_models_configured(bus: SignalBus, models: list[type[t.Any]]) -> None:
    """Give every model its ``__marshmallow__``, and signal models an instance of it.

    What the user wrote is left alone. May be called again: what is there stays. A model
    that is refused keeps none of the others from getting theirs.
    """
    refusals = []
    for model in models:
        try:
            attach_schema(model, bus.db.session)
        except SignalModelError as refusal:
            refusals.append(refusal)
            continue
        if is_signal_model(model):
            attach_message_schema(model)
    if refusals:
        raise refusals[0]
