"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import SignalModelError
from signalbus import hookimpl

from signalbus_marshmallow._attach import attach_message_schema
from signalbus_marshmallow._attach import attach_schema

if t.TYPE_CHECKING:
    from signalbus import SignalBus


@hookimpl
def signalbus_models_configured(bus: SignalBus, models: list[type[t.Any]]) -> None:
    """Set ``__marshmallow__`` on every model, and an instance of it on signal models.

    Keeps what the user defined, and what an earlier call has set. If a model is
    refused, the others get their schemas before the error is raised.
    """
    refusals = []
    for model in models:
        try:
            attach_schema(bus, model)
        except SignalModelError as refusal:
            refusals.append(refusal)
            continue
        if bus.is_signal_model(model):
            attach_message_schema(model)
    if refusals:
        raise refusals[0]
