"""Marshmallow schemas for every model, made for signals.

signalbus finds this plugin when it is installed. After mapper configuration, every
model has ``__marshmallow__``, a schema class, and every signal model has
``__marshmallow_schema__``, an instance of that class for dumping and loading messages.
"""

from __future__ import annotations

from signalbus_marshmallow._schemas import ModelSchema
from signalbus_marshmallow._schemas import SignalSchema

__all__ = ["ModelSchema", "SignalSchema"]
