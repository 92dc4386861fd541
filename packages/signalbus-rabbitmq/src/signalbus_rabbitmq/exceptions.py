"""The errors of RabbitMQ and of the connection to it."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError
from signalbus.exceptions import SignalBusError


class DeliveryError(SignalBusError):
    """Some messages were not confirmed by RabbitMQ. Send them again.

    Every message that *failures* does not name was confirmed: RabbitMQ has it.

    :param failures: the reason, by position in the batch (from 0), of every message
        that was not confirmed.
    """

    def __init__(
        self,
        message: str | None = None,
        failures: t.Mapping[int, Exception] | None = None,
    ) -> None:
        self.failures = dict(failures or {})
        super().__init__(message)


class ConnectionError(DeliveryError, BrokerUnavailableError):  # noqa: A001 the design's
    """RabbitMQ cannot be reached, or the connection was lost. Try again later.

    Messages that *failures* names with this error may or may not have arrived.
    """


class TimeoutError(DeliveryError, BrokerTimeoutError):  # noqa: A001 the design's
    """RabbitMQ did not answer in time. Try again later.

    Messages that *failures* names with this error may or may not have arrived.
    """


class ReturnedError(MessageRefusedError):
    """The message was returned: no queue takes it. Bind a queue to its exchange.

    The default exchange needs no binding: create the queue that the routing key names.
    """


class NackedError(MessageRefusedError):
    """RabbitMQ could not take the message. Look at the broker's log."""


class RefusedError(MessageRefusedError):
    """RabbitMQ refused the message, and closed the channel because of it."""


class UnconfirmedError(SignalBusError):
    """The message was not confirmed in time, though the broker answers otherwise.

    The message may or may not have arrived.
    """


class TerminatedConsumption(SignalBusError):  # noqa: N818 the design's
    """The consumer cannot continue. What it had not processed is back in the queue.

    Raised by :meth:`Consumer.start` if the connection cannot be opened or is lost, if
    the queue is deleted, and in draining mode if messages could not be processed,
    whether they went back or were rejected. The cause is attached.
    """

    #: Whether the consumer was consuming before.
    has_begun = False


class QueueNotFoundError(TerminatedConsumption):
    """The consumer's queue does not exist. Create it, or correct its name."""


#: The spelling of the old library.
TerminatedConsumtion = TerminatedConsumption
