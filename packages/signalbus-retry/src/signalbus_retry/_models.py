"""The declarations of models and apps about their failed signals."""

from __future__ import annotations

import typing as t

import flask
from signalbus import SignalModelError

from signalbus_retry.policy import RetryPolicy
from signalbus_retry.policy import as_policy

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import SignalModel

#: The attributes of models, and the setting of apps, that this distribution reads.
POLICY: t.Final = "signalbus_retry"
ON_PARKED: t.Final = "signalbus_on_parked"
SETTING: t.Final = "SIGNALBUS_RETRY"

#: Whether a parked signal of an ordered model stops those behind it.
STOP: t.Final = "stop"
SKIP: t.Final = "skip"

_EXTENSION: t.Final = "signalbus_retry"
_DEFAULT: t.Final = RetryPolicy()


def read_setting(app: Flask) -> None:
    """Read the policy of *app*.

    :raises ValueError: if it is malformed.
    """
    value = app.config.get(SETTING)
    policy = _DEFAULT if value is None else as_policy(value, SETTING)
    app.extensions[_EXTENSION] = policy


def check_model(model: SignalModel) -> None:
    """Reject a signal model whose attributes about failures are invalid.

    :raises SignalModelError: naming the model and the attribute.
    """
    try:
        _own_policy(model)
    except ValueError as error:
        raise SignalModelError(f"The signal model {model.__name__}: {error}") from error
    on_parked = getattr(model, ON_PARKED, STOP)
    if on_parked not in {STOP, SKIP}:
        raise SignalModelError(
            f"The signal model {model.__name__}: {ON_PARKED} is {on_parked!r:.100}. Set"
            f" it to {STOP!r} or {SKIP!r}."
        )


def policy_of(model: SignalModel) -> RetryPolicy:
    """Return the policy of *model*: its own, or that of the current app."""
    own = _own_policy(model)
    if own is not None:
        return own
    policy: RetryPolicy = flask.current_app.extensions.get(_EXTENSION, _DEFAULT)
    return policy


def skips_parked(model: SignalModel) -> bool:
    """Return whether signals behind a parked one of *model* may pass it."""
    return getattr(model, ON_PARKED, STOP) == SKIP


def _own_policy(model: SignalModel) -> RetryPolicy | None:
    value = getattr(model, POLICY, None)
    return None if value is None else as_policy(value, POLICY)
