"""Send the signals of one app to its broker."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import PartialDeliveryError
from signalbus.messages import message_headers
from signalbus.messages import own_failure
from signalbus.settings import read_seconds

from signalbus_rabbitmq import _parameters
from signalbus_rabbitmq._broker import Broker
from signalbus_rabbitmq._message_factory import MessageFactory
from signalbus_rabbitmq._model_check import check_model
from signalbus_rabbitmq._timeouts import Deadline
from signalbus_rabbitmq._timeouts import IdleTimeout
from signalbus_rabbitmq.exceptions import DeliveryError

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import Bus

    from signalbus_rabbitmq._timeouts import Timeout

#: The settings that the broker plugin reads.
URL = "SIGNALBUS_RABBITMQ_URL"
TIMEOUT = "SIGNALBUS_RABBITMQ_TIMEOUT"

#: How long the broker may confirm nothing by default, in seconds.
DEFAULT_TIMEOUT = 30.0


class SignalSender:
    """Sends the signals of one app to its broker."""

    def __init__(self, app: Flask) -> None:
        self._app_id = app.name
        self._factories: dict[type[t.Any], MessageFactory] = {}
        self._timeout = read_timeout(app.config)
        url = app.config.get(URL)
        self._broker = Broker(_parameters.parse(url, URL)) if url else None

    def send(
        self,
        bus: Bus,
        model: type[t.Any],
        signals: t.Sequence[t.Any],
        timeout: float | None,
    ) -> None:
        """Send *signals* and return when RabbitMQ has confirmed every one.

        :param timeout: how long all of it may take, connecting included, in seconds;
            ``None`` if it may take as long as the broker does something.
        :raises PartialDeliveryError: if some were not confirmed, or cannot be put into
            a message.
        :raises BrokerUnavailableError: if none was, since there is no broker.
        """
        broker = self._find_broker()
        added = message_headers(bus, model, signals)
        messages = self._factory(model).messages(signals, added)
        try:
            broker.publish(messages, self._limit(timeout))
        except DeliveryError as error:
            if isinstance(error, BrokerUnavailableError) and _all_failed(
                error, signals
            ):
                # Without the count: core names what stays pending.
                raise type(error)(str(error.__cause__)) from error.__cause__
            # Here, and not in the publisher, positions are known to be the signals'.
            failures = {at: own_failure(each) for at, each in error.failures.items()}
            raise PartialDeliveryError(failures, str(error)) from error

    def close(self) -> None:
        """Close the connections of this process that are not in use."""
        if self._broker is not None:
            self._broker.close()

    def _limit(self, timeout: float | None) -> Timeout:
        """Return what limits the waits of a burst that has this *timeout*."""
        if timeout is None:
            return IdleTimeout(self._timeout)
        return Deadline(min(timeout, self._timeout))

    def _find_broker(self) -> Broker:
        if self._broker is None:
            raise BrokerUnavailableError(
                f"{URL} is not set in app.config, and models name RabbitMQ as their"
                " broker. Set it to the broker's URL; until then their signals stay"
                " pending."
            )
        return self._broker

    def _factory(self, model: type[t.Any]) -> MessageFactory:
        factory = self._factories.get(model)
        if factory is None:
            check_model(model)
            factory = self._factories[model] = MessageFactory(model, self._app_id)
        return factory


def _all_failed(error: DeliveryError, signals: t.Sequence[t.Any]) -> bool:
    return len(error.failures) == len(signals)


def read_timeout(config: t.Mapping[str, t.Any]) -> float:
    """Return how long the broker of an app may confirm nothing, in seconds."""
    return read_seconds(TIMEOUT, config.get(TIMEOUT, DEFAULT_TIMEOUT))
