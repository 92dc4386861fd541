"""The broker named ``nats``."""

from __future__ import annotations

import typing as t

from signalbus.brokers import BrokerPlugin
from signalbus.exceptions import SignalModelError
from signalbus.messages import MessageAttribute

from signalbus_nats._options import read_options
from signalbus_nats._sender import NATSSender
from signalbus_nats._servers import read_servers
from signalbus_nats._subject import complaint

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

URL = "SIGNALBUS_NATS_URL"
OPTIONS = "SIGNALBUS_NATS_OPTIONS"

SUBJECT = MessageAttribute("signalbus_subject", "the subject of its messages")


class NATSBroker(BrokerPlugin):
    """Sends the signals of models that name the broker ``nats``."""

    name = "nats"
    settings = (URL, OPTIONS)
    attributes = (SUBJECT,)

    def make_sender(self, app: Flask) -> NATSSender:
        """Return a sender for the signals of *app*; it does not connect yet."""
        servers = read_servers(URL, app.config.get(URL))
        options = read_options(OPTIONS, app.config.get(OPTIONS))
        return NATSSender(URL, servers, {"name": app.name, **options})

    def check_model(self, bus: Bus, model: SignalModel) -> None:  # noqa: ARG002 its form
        """Reject subjects that NATS does not allow."""
        subject = getattr(model, SUBJECT.name)
        if not callable(subject) and (problem := complaint(subject)):
            raise SignalModelError(
                f"The signal model {model.__name__} names the broker 'nats', and its"
                f" {SUBJECT.name} cannot be used: {problem}"
            )


broker = NATSBroker()
