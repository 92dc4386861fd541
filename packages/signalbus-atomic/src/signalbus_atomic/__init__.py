"""Atomic procedures for Flask-SQLAlchemy.

The database work of an atomic procedure is one transaction. It is committed when the
function returns, and rolled back when it raises. A function that loses a race with
another transaction runs again.
"""

from __future__ import annotations

from signalbus_atomic.exceptions import AtomicBlockError
from signalbus_atomic.mixin import AtomicProceduresMixin

__all__ = [
    "AtomicBlockError",
    "AtomicProceduresMixin",
]
