"""The names of the signal models in URLs."""

from __future__ import annotations

import collections
import http
import typing as t

import flask

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel


def named_models(bus: Bus) -> dict[str, SignalModel]:
    """Return the signal models by name; with the module, if two have the same name.

    They are sorted by name.
    """
    models = bus.get_signal_models()
    counts = collections.Counter(model.__name__ for model in models)
    named = {
        model.__name__
        if counts[model.__name__] == 1
        else f"{model.__module__}.{model.__name__}": model
        for model in models
    }
    return dict(sorted(named.items()))


def model_named(bus: Bus, name: str) -> SignalModel:
    """Return the model with a name from a URL, or answer that there is none."""
    model = named_models(bus).get(name)
    if model is None:
        flask.abort(http.HTTPStatus.NOT_FOUND, f"There is no signal model {name!r}.")
    return model
