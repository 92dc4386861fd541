"""The broker named ``kafka``."""

from __future__ import annotations

import typing as t

from signalbus.brokers import BrokerPlugin
from signalbus.exceptions import SignalModelError
from signalbus.messages import MessageAttribute

from signalbus_kafka._sender import KafkaSender
from signalbus_kafka._settings import SETTING
from signalbus_kafka._settings import read_settings
from signalbus_kafka._topics import complaint

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

TOPIC = MessageAttribute("signalbus_topic", "the name of a topic")
PARTITION_KEY = MessageAttribute(
    "signalbus_partition_key",
    "the key that chooses the partition",
    (str, bytes),
    is_required=False,
)


class KafkaBroker(BrokerPlugin):
    """Sends the signals of models that name the broker ``kafka``."""

    name = "kafka"
    settings = (SETTING,)
    attributes = (TOPIC, PARTITION_KEY)

    def make_sender(self, app: Flask) -> KafkaSender:
        """Return a sender for the signals of *app*; it does not connect yet."""
        return KafkaSender(read_settings(app.config.get(SETTING), app.name))

    def check_model(self, bus: Bus, model: SignalModel) -> None:  # noqa: ARG002 its form
        """Reject topic names that Kafka does not allow."""
        topic = getattr(model, TOPIC.name)
        if not callable(topic) and (problem := complaint(topic)):
            raise SignalModelError(
                f"The signal model {model.__name__} names the broker 'kafka', and"
                f" cannot use its {TOPIC.name}: {problem}"
            )


broker = KafkaBroker()
