"""Demote what asyncio and nats-py log about connections of signalbus to DEBUG.

The errors that signalbus raises say the same. Records of other loops are unchanged.
"""

from __future__ import annotations

import logging
import threading

from signalbus.logs import demote_record

#: The names of their loggers.
LOGGERS = ("asyncio", "nats.aio.client", "nats.aio.transport", "nats.js.client")

_here = threading.local()


def demote() -> None:
    """Demote what they log in this thread from now on to level DEBUG."""
    _here.is_demoting = True


def _filter(record: logging.LogRecord) -> bool:
    """Demote *record* if it is about us; return whether to log it."""
    is_ours = getattr(_here, "is_demoting", False)
    return demote_record(record) if is_ours else True


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_filter)
