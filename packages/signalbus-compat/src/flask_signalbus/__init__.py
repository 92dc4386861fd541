"""The import names of Flask-SignalBus, for the objects of signalbus.

A program written for Flask-SignalBus 0.5 runs unchanged, except for what changed in
Flask-SQLAlchemy 3 itself. New code should import from :mod:`signalbus` and its plugins.
"""

from __future__ import annotations

from signalbus import DBSerializationError
from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus import get_models_to_flush
from signalbus_atomic import AtomicProceduresMixin

from flask_signalbus._conflict import refuse_old_library

__all__ = [
    "AtomicProceduresMixin",
    "DBSerializationError",
    "SignalBus",
    "SignalBusMixin",
    "get_models_to_flush",
]

refuse_old_library()
