"""Marshmallow schemas on every model, made for signals.

Installed, it is found by itself: after mapper configuration every model has
``__marshmallow__``, a schema class, and every signal model has
``__marshmallow_schema__``, an instance of it, ready to dump and load messages.
"""

from __future__ import annotations

from signalbus_marshmallow._schemas import ModelSchema
from signalbus_marshmallow._schemas import SignalSchema

__all__ = ["ModelSchema", "SignalSchema"]
