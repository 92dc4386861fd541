"""The shop with a broker that has bad days: it refuses some messages, and goes away.

The payment of each 7th order fails once, and goes out by itself a little later. That of
each 15th fails until it is parked, and goes out when somebody replays it. Placed orders
keep their order, so one that fails would hold back all others.
"""

from __future__ import annotations

import collections
import json
import os
import time
import typing as t

from signalbus import BrokerUnavailableError

from examples.shop import create_app as create_shop
from examples.shop.broker import FileBroker
from examples.shop.broker import FileSender
from examples.shop.models import db

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.brokers import WaitLimit
    from signalbus.messages import Message
    from signalbus.messages import MessageBatch

#: How often the broker goes away, and for how long, in seconds.
PERIOD = 90
OUTAGE = 20

#: After how many attempts a signal is parked.
ATTEMPTS = 3


class MoodySender(FileSender):
    """Append messages to a file, on good days."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._attempts: collections.Counter[str] = collections.Counter()

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Send what does not fail."""
        if time.monotonic() % PERIOD > PERIOD - OUTAGE:
            raise BrokerUnavailableError("The broker has gone for a walk.")
        for message in batch:
            if self._fails(message):
                batch.fail(message.position, _reason(message))
        super().send(batch, limit)

    def _fails(self, message: Message) -> bool:
        """Return whether it is too early for a message to go out."""
        if message.type != "OrderPaid":
            return False
        self._attempts[message.id] += 1
        attempt = self._attempts[message.id]
        order = message.signal.order_id
        fails = ATTEMPTS if order % 15 == 0 else int(order % 7 == 0)
        return attempt <= fails


class MoodyBroker(FileBroker):
    """Stand in for the file broker."""

    def make_sender(self, app: Flask) -> FileSender:
        """Return a sender that has bad days."""
        return MoodySender(app.config["FILE_BROKER_PATH"])


def create_app() -> Flask:
    """Create the app, in which signals are parked soon."""
    policy = {"max_attempts": ATTEMPTS, "first_delay": 3}
    os.environ["FLASK_SIGNALBUS_RETRY"] = json.dumps(policy)
    return create_shop()


def _reason(message: Message) -> Exception:
    order, customer = message.signal.order_id, message.signal.customer
    if order % 15 == 0:
        return LookupError(f"There is no address of {customer!r} (order {order}).")
    return ValueError(f"The broker has no receipt for order {order}.")


def _replace_broker() -> None:
    plugins = db.signalbus.plugin_manager
    for plugin in plugins.get_plugins():
        if isinstance(plugin, FileBroker):
            plugins.unregister(plugin)
    plugins.register(MoodyBroker())


_replace_broker()
