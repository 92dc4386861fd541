"""Declare what models and a consumer need, and report it line by line."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq._topology import PRECONDITION_FAILED
from signalbus_rabbitmq._topology import Line
from signalbus_rabbitmq._topology import Queue
from signalbus_rabbitmq._topology import Target

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._topology import Answer
    from signalbus_rabbitmq._topology import Asker

#: What to do about something that exists with other properties.
REMEDIES = {
    "exchange": "Choose its type with --exchange-type, or delete it",
    "queue": "Choose --classic or --no-dead-letters if it was made so, or delete it",
}


class Binding(t.NamedTuple):
    """What a queue gets: messages of an exchange, by their routing key."""

    exchange: str
    routing_key: str


class Plan(t.NamedTuple):
    """What shall be there.

    :param exchanges: the exchanges that models send to.
    :param queues: the queues, of models and of the consumer.
    :param queue: the name of the queue that the bindings are for.
    :param bindings: what it gets.
    :param exchange_type: tells the type of an exchange.
    """

    exchanges: list[str]
    queues: list[Queue]
    queue: str | None
    bindings: list[Binding]
    exchange_type: t.Callable[[str], str]


def declare(plan: Plan, asker: Asker) -> t.Iterator[Line]:
    """Declare all of *plan*, whatever else fails, and tell about each."""
    for exchange in plan.exchanges:
        answer = asker.declare_exchange(exchange, plan.exchange_type(exchange))
        yield _line(Target("exchange", exchange), answer)
    for queue in plan.queues:
        yield _line(Target("queue", queue.name), asker.declare_queue(queue))
    for binding in plan.bindings:
        yield from _bind(plan, binding, asker)


def _bind(plan: Plan, binding: Binding, asker: Asker) -> t.Iterator[Line]:
    """Bind the queue; if the exchange is somebody else's, create it where missing."""
    target = Target("exchange", binding.exchange)
    if binding.exchange not in plan.exchanges and asker.find(target).refusal:
        exchange_type = plan.exchange_type(binding.exchange)
        answer = asker.declare_exchange(binding.exchange, exchange_type)
        yield _line(target, answer)
    answer = asker.bind(plan.queue or "", binding.exchange, binding.routing_key)
    what = f"binding of queue {plan.queue!r} to {target}, key {binding.routing_key!r}"
    yield Line(what, answer.refusal)


def _line(target: Target, answer: Answer) -> Line:
    if answer.code != PRECONDITION_FAILED:
        return Line(str(target), answer.refusal)
    return Line(
        str(target),
        f"it exists with other properties: {answer.refusal}."
        f" {REMEDIES[target.kind]} if nobody needs it, and declare it again.",
    )
