"""Why messages were not confirmed, and what to do about it, in words."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._hints import bind
from signalbus_rabbitmq._hints import create_queue

if t.TYPE_CHECKING:
    from signalbus_rabbitmq.message import Message

#: How many failed messages are named in an error.
MAX_NAMED = 5


def returned(message: Message, reason: str) -> exceptions.ReturnedError:
    """Return the error for a message that came back; the broker gave the *reason*."""
    if message.exchange:
        hint = bind(message.exchange, message.routing_key)
    else:
        hint = create_queue(message.routing_key)
    return exceptions.ReturnedError(
        f"No queue takes the message to {_address(message)}: {reason}. {hint}"
    )


def nacked(message: Message) -> exceptions.NackedError:
    """Return the error for a message that the broker could not take."""
    return exceptions.NackedError(
        f"RabbitMQ could not take the message to {_address(message)}. Look at the"
        " broker's log."
    )


def refused(message: Message, reason: str) -> exceptions.RefusedError:
    """Return the error for a message for which the broker closed the channel."""
    return exceptions.RefusedError(
        f"RabbitMQ refused the message to exchange {message.exchange!r}:"
        f" {reason.rstrip('.')}."
    )


def unconfirmed(message: Message, reason: str) -> exceptions.UnconfirmedError:
    """Return the error for a message that timed out alone."""
    return exceptions.UnconfirmedError(
        f"The message to {_address(message)} ({len(message.body):,} bytes) was not"
        f" confirmed: {reason} The broker answers otherwise. If the way to it is slow,"
        " raise SIGNALBUS_RABBITMQ_TIMEOUT."
    )


def describe(
    failures: t.Mapping[int, Exception],
    count: int,
    error: exceptions.DeliveryError | None = None,
) -> str:
    """Describe *failures* out of *count* messages in a sentence or two.

    :param error: what kept most of them from being confirmed, if it is one thing.
    """
    fact = f"{len(failures):,} of {count:,} messages were not confirmed"
    first = failures[min(failures)]
    if error is not None:
        text = f"{error} {fact}."
        return text if str(error) in str(first) else f"{text} The first: {first}"
    some = ", ".join(map(str, sorted(failures)[:MAX_NAMED]))
    more = ", …" if len(failures) > MAX_NAMED else ""
    return f"{fact} (at {some}{more}). The first: {first}"


def _address(message: Message) -> str:
    return f"exchange {message.exchange!r} with routing key {message.routing_key!r}"
