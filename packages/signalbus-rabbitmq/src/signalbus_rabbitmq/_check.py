"""Look whether models and a consumer have what they need, and tell it line by line."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq._hints import DECLARE
from signalbus_rabbitmq._hints import bind
from signalbus_rabbitmq._hints import create_queue
from signalbus_rabbitmq._topology import NOT_FOUND
from signalbus_rabbitmq._topology import Line
from signalbus_rabbitmq._topology import Target

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._management import Management
    from signalbus_rabbitmq._topology import Answer
    from signalbus_rabbitmq._topology import Asker

UNBOUND = "nothing is bound to it, and it has no alternate exchange."


def check(
    models: list[type[t.Any]],
    queue: str | None,
    asker: Asker,
    api: Management | None,
) -> t.Iterator[Line]:
    """Tell about what each of *models* sends to, and about the consumer's *queue*.

    :param api: tells whether anything is bound to an exchange; AMQP cannot.
    """
    targets = [(model.__name__, Target.of(model)) for model in models]
    for name, target in targets:
        yield Line(f"{name}: {target}", _complaint(target, asker, api))
    if queue:
        yield _consumers_queue(queue, asker)
    if api is None and any(target.has_bindings for _, target in targets):
        yield Line("Bindings", good="not looked at, which takes --management")


def _complaint(target: Target, asker: Asker, api: Management | None) -> str | None:
    refusal = _refusal(asker.find(target), DECLARE)
    if refusal or api is None or not target.has_bindings:
        return refusal
    return None if api.has_way_out(target.name) else f"{UNBOUND} {bind(target.name)}"


def _refusal(answer: Answer, remedy: str) -> str | None:
    """Return why something cannot be used; what is not there can be created."""
    if answer.code == NOT_FOUND:
        return f"{answer.refusal}. {remedy}"
    return answer.refusal


def _consumers_queue(queue: str, asker: Asker) -> Line:
    target = Target("queue", queue)
    found = asker.find(target)
    what = f"The consumer's {target}"
    if found.refusal:
        return Line(what, _refusal(found, create_queue(queue)))
    messages, consumers = found.method.message_count, found.method.consumer_count
    return Line(what, good=f"ok (messages: {messages:,}, consumers: {consumers:,})")
