"""Declare what models and a consumer need, and report it line by line."""

from __future__ import annotations

import typing as t

from signalbus.brokers import CheckLine

from signalbus_rabbitmq._topology import PRECONDITION_FAILED
from signalbus_rabbitmq._topology import Queue
from signalbus_rabbitmq._topology import Target

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._topology import Reply
    from signalbus_rabbitmq._topology import TopologyClient

#: What to do about something that exists with other properties.
REMEDIES = {
    "exchange": "Choose its type with --exchange-type, or delete it",
    "queue": "Choose --classic or --no-dead-letters if it was made so, or delete it",
}


class Binding(t.NamedTuple):
    """A binding of a queue to an exchange, by a routing key."""

    exchange: str
    routing_key: str


class Plan(t.NamedTuple):
    """What is to be declared.

    :param exchanges: the exchanges that models send to.
    :param queues: the queues, of models and of the consumer.
    :param queue: the name of the queue that the bindings are for.
    :param bindings: its bindings.
    :param exchange_type: returns the type of an exchange.
    """

    exchanges: list[str]
    queues: list[Queue]
    queue: str | None
    bindings: list[Binding]
    exchange_type: t.Callable[[str], str]


def declare(plan: Plan, client: TopologyClient) -> t.Iterator[CheckLine]:
    """Declare all of *plan*, whatever else fails, and report each."""
    for exchange in plan.exchanges:
        reply = client.declare_exchange(exchange, plan.exchange_type(exchange))
        yield _line(Target("exchange", exchange), reply)
    for queue in plan.queues:
        yield _line(Target("queue", queue.name), client.declare_queue(queue))
    for binding in plan.bindings:
        yield from _bind(plan, binding, client)


def _bind(
    plan: Plan, binding: Binding, client: TopologyClient
) -> t.Iterator[CheckLine]:
    """Bind the queue. Create the exchange if it is missing and not a model's."""
    target = Target("exchange", binding.exchange)
    if binding.exchange not in plan.exchanges and client.find(target).refusal:
        exchange_type = plan.exchange_type(binding.exchange)
        reply = client.declare_exchange(binding.exchange, exchange_type)
        yield _line(target, reply)
    reply = client.bind(plan.queue or "", binding.exchange, binding.routing_key)
    what = f"binding of queue {plan.queue!r} to {target}, key {binding.routing_key!r}"
    yield CheckLine(what, reply.refusal)


def _line(target: Target, reply: Reply) -> CheckLine:
    if reply.code != PRECONDITION_FAILED:
        return CheckLine(str(target), reply.refusal)
    return CheckLine(
        str(target),
        f"it exists with other properties: {reply.refusal}."
        f" {REMEDIES[target.kind]} if it is not needed, and declare it again.",
    )
