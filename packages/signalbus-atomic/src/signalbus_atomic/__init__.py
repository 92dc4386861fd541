"""Atomic procedures for Flask-SQLAlchemy.

Functions whose database work is one transaction: committed when they return, rolled
back when they raise, and run again when they lose a race.
"""

from __future__ import annotations

from signalbus_atomic.exceptions import AtomicBlockError
from signalbus_atomic.mixin import AtomicProceduresMixin

__all__ = [
    "AtomicBlockError",
    "AtomicProceduresMixin",
]
