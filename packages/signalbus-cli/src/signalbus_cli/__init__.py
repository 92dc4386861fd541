"""The `flask signalbus` commands.

Flask imports this module whichever command it is to run, for every app. So it imports
click and Flask alone; signalbus, SQLAlchemy and the plugins wait until they are needed.
"""

from __future__ import annotations

from signalbus_cli._group import SignalBusGroup

__all__ = ["signalbus"]

#: The group of commands, found by Flask through its entry point.
signalbus = SignalBusGroup(
    "signalbus",
    help="Send the signals that your app has recorded, and see what is pending.",
)
