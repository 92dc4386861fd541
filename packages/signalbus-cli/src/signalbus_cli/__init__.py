"""The `flask signalbus` commands.

Flask imports this module for every app, whichever command it runs. That is why it
imports only click and Flask. signalbus, SQLAlchemy and the plugins are imported when
they are needed.
"""

from __future__ import annotations

from signalbus_cli._group import signalbus

__all__ = ["signalbus"]
