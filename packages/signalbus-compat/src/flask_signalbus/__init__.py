"""The import names of Flask-SignalBus, for the same objects of signalbus.

A program written for Flask-SignalBus 0.5 runs unchanged but for what Flask-SQLAlchemy 3
itself changed. New code imports from :mod:`signalbus` and its plugins.
"""

from __future__ import annotations

from signalbus import DBSerializationError
from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus import get_models_to_flush
from signalbus_atomic import AtomicProceduresMixin

from flask_signalbus._beside import refuse_the_old_library

__all__ = [
    "AtomicProceduresMixin",
    "DBSerializationError",
    "SignalBus",
    "SignalBusMixin",
    "get_models_to_flush",
]

refuse_the_old_library()
