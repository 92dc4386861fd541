"""Retries, under their old name."""

from __future__ import annotations

from signalbus import DBSerializationError
from signalbus import get_models_to_flush
from signalbus import retry_on_deadlock

__all__ = ["DBSerializationError", "get_models_to_flush", "retry_on_deadlock"]
