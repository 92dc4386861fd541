"""Log at level DEBUG what pika logs about connections of signalbus.

pika logs several lines at level ERROR for every failed attempt; the errors that
signalbus raises say the same. Connections of the user's own are logged as usual.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import typing as t
import weakref

from signalbus.logs import demote_record

from signalbus_rabbitmq._pika_internals import loop_served_by

#: Where pika logs what happens to a connection.
LOGGERS = (
    "pika.adapters.base_connection",
    "pika.adapters.select_connection",
    "pika.adapters.utils.connection_workflow",
    "pika.adapters.utils.io_services_utils",
    "pika.adapters.utils.selector_ioloop_adapter",
    "pika.callback",
    "pika.channel",
    "pika.connection",
    "pika.heartbeat",
)

_here = threading.local()
_loops: weakref.WeakSet[t.Any] = weakref.WeakSet()


@contextlib.contextmanager
def demoted() -> t.Iterator[None]:
    """Log at level DEBUG what pika logs in this thread, while in this context."""
    before = _is_demoting()
    _here.is_demoting = True
    try:
        yield
    finally:
        _here.is_demoting = before


def demote_lookups(ioloop: t.Any) -> None:
    """Do the same in the threads that look up host names for *ioloop*."""
    _loops.add(ioloop)


def _is_demoting() -> bool:
    return getattr(_here, "is_demoting", False)


def _is_lookup(thread: threading.Thread) -> bool:
    """Return whether pika has started *thread* for one of these loops."""
    loop = loop_served_by(thread)
    return loop is not None and loop in _loops


def _filter(record: logging.LogRecord) -> bool:
    """Demote *record* if it is about us; return whether to log it."""
    is_ours = _is_demoting() or _is_lookup(threading.current_thread())
    return demote_record(record) if is_ours else True


for _name in LOGGERS:
    logging.getLogger(_name).addFilter(_filter)
