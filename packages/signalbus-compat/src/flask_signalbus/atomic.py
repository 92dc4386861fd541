"""Atomic procedures, under their old name."""

from __future__ import annotations

from signalbus import DBSerializationError
from signalbus_atomic import AtomicProceduresMixin

__all__ = ["AtomicProceduresMixin", "DBSerializationError"]
