"""Check that models and a consumer have what they need, and report line by line."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq._hints import DECLARE
from signalbus_rabbitmq._hints import bind
from signalbus_rabbitmq._hints import create_queue
from signalbus_rabbitmq._topology import NOT_FOUND
from signalbus_rabbitmq._topology import ReportLine
from signalbus_rabbitmq._topology import Target

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._management import Management
    from signalbus_rabbitmq._topology import Reply
    from signalbus_rabbitmq._topology import TopologyClient

UNBOUND = "nothing is bound to it, and it has no alternate exchange."


def check(
    models: list[type[t.Any]],
    queue: str | None,
    client: TopologyClient,
    api: Management | None,
) -> t.Iterator[ReportLine]:
    """Check what each of *models* sends to, and the consumer's *queue*.

    :param api: knows whether anything is bound to an exchange, which AMQP does not.
    """
    targets = [(model.__name__, Target.of(model)) for model in models]
    for name, target in targets:
        yield ReportLine(f"{name}: {target}", _complaint(target, client, api))
    if queue:
        yield _consumers_queue(queue, client)
    if api is None and any(target.has_bindings for _, target in targets):
        yield ReportLine("Bindings", good="not checked, which needs --management")


def _complaint(
    target: Target, client: TopologyClient, api: Management | None
) -> str | None:
    refusal = _refusal(client.find(target), DECLARE)
    if refusal or api is None or not target.has_bindings:
        return refusal
    return None if api.has_way_out(target.name) else f"{UNBOUND} {bind(target.name)}"


def _refusal(reply: Reply, remedy: str) -> str | None:
    """Return why something cannot be used. What is missing can be created."""
    if reply.code == NOT_FOUND:
        return f"{reply.refusal}. {remedy}"
    return reply.refusal


def _consumers_queue(queue: str, client: TopologyClient) -> ReportLine:
    target = Target("queue", queue)
    found = client.find(target)
    what = f"The consumer's {target}"
    if found.refusal:
        return ReportLine(what, _refusal(found, create_queue(queue)))
    messages, consumers = found.method.message_count, found.method.consumer_count
    return ReportLine(
        what, good=f"ok (messages: {messages:,}, consumers: {consumers:,})"
    )
