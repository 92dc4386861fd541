"""A dashboard for signalbus: a Flask blueprint that shows and repairs the outbox."""

from __future__ import annotations

from signalbus_dashboard._access import Authorize
from signalbus_dashboard._blueprint import dashboard

__all__ = ["Authorize", "dashboard"]
