"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from signalbus_dashboard import _hidden

if t.TYPE_CHECKING:
    from signalbus.typing import Bus


@hookimpl
def signalbus_model_attributes() -> tuple[str, ...]:
    """Return the attributes that a model may declare about its columns."""
    return (_hidden.ATTRIBUTE,)


@hookimpl
def signalbus_models_configured(bus: Bus, models: list[type[t.Any]]) -> None:
    """Reject signal models that hide columns that they do not have."""
    for model in filter(bus.is_signal_model, models):
        _hidden.check_model(model)
