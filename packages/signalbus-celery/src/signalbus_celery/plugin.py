"""The broker named ``celery``: a signal is the call of a task."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl
from signalbus.brokers import DEFAULT_TIMEOUT
from signalbus.brokers import BrokerPlugin
from signalbus.settings import read_seconds

from signalbus_celery._attributes import ATTRIBUTES
from signalbus_celery._eager import EagerCalls
from signalbus_celery._sender import CelerySender

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.brokers import Sender


class CeleryBroker(BrokerPlugin):
    """Sends the signals of models that name the broker ``celery`` as calls of tasks."""

    name = "celery"
    attributes = ATTRIBUTES
    has_bodies = False

    def __init__(self) -> None:
        self._eager_calls = EagerCalls()

    def make_sender(self, app: Flask) -> Sender:
        """Return a sender that uses the Celery app, which may be set later."""
        timeout = app.config.get(self.timeout_setting, DEFAULT_TIMEOUT)
        seconds = read_seconds(self.timeout_setting, timeout)
        return CelerySender(seconds, self._eager_calls)

    @hookimpl
    def signalbus_burst_sent(self) -> None:
        """Run the calls that eager apps have sent, since they are committed now."""
        self._eager_calls.run()

    @hookimpl
    def signalbus_burst_failed(self) -> None:
        """Forget the calls that eager apps have sent, which were not committed."""
        self._eager_calls.forget()


broker = CeleryBroker()
