"""Check that models and a consumer have what they need, and report line by line."""

from __future__ import annotations

import contextlib
import time
import typing as t

from signalbus.brokers import CheckLine
from signalbus.exceptions import SettingError
from signalbus.exceptions import SignalBusError

from signalbus_rabbitmq import _parameters
from signalbus_rabbitmq import _sender
from signalbus_rabbitmq._connection import Connection
from signalbus_rabbitmq._hints import DECLARE
from signalbus_rabbitmq._hints import bind
from signalbus_rabbitmq._hints import create_queue
from signalbus_rabbitmq._topology import NOT_FOUND
from signalbus_rabbitmq._topology import Target
from signalbus_rabbitmq._topology import TopologyClient

if t.TYPE_CHECKING:
    import pika

    from signalbus_rabbitmq._management import Management
    from signalbus_rabbitmq._topology import Reply

#: How long a check may take, in seconds.
CHECK_TIMEOUT = 15.0

UNBOUND = "nothing is bound to it, and it has no alternate exchange."


def problems(models: list[type[t.Any]], config: t.Mapping[str, t.Any]) -> list[str]:
    """Return what RabbitMQ lacks that *models* need, for ``flask signalbus check``."""
    timeout = min(CHECK_TIMEOUT, _sender.read_timeout(config))
    try:
        with connected(url_parameters(config), timeout) as (client, _):
            return [
                str(line) for line in check(models, None, client, None) if line.problem
            ]
    except SignalBusError as error:
        return [str(error)]


def url_parameters(config: t.Mapping[str, t.Any]) -> pika.ConnectionParameters:
    """Return how to connect to the broker of the app that has *config*."""
    url = config.get(_sender.URL)
    if not url:
        raise SettingError(
            f"{_sender.URL} is not set in app.config. Set it to the broker's URL."
        )
    return _parameters.parse(url, _sender.URL)


@contextlib.contextmanager
def connected(
    parameters: pika.ConnectionParameters, timeout: float
) -> t.Iterator[tuple[TopologyClient, str]]:
    """Connect. Yield a client for the topology, and the broker's address."""
    deadline = time.monotonic() + timeout
    connection = Connection.connect(parameters, deadline)
    try:
        yield TopologyClient(connection, deadline), connection.address
    finally:
        connection.disconnect()


def check(
    models: list[type[t.Any]],
    queue: str | None,
    client: TopologyClient,
    api: Management | None,
) -> t.Iterator[CheckLine]:
    """Check what each of *models* sends to, and the consumer's *queue*.

    :param api: knows whether anything is bound to an exchange, which AMQP does not.
    """
    targets = [(model.__name__, Target.of(model)) for model in models]
    for name, target in targets:
        yield CheckLine(f"{name}: {target}", _complaint(target, client, api))
    if queue:
        yield _consumers_queue(queue, client)
    if api is None and any(target.has_bindings for _, target in targets):
        yield CheckLine("Bindings", good="not checked, which needs --management")


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


def _consumers_queue(queue: str, client: TopologyClient) -> CheckLine:
    target = Target("queue", queue)
    found = client.find(target)
    what = f"The consumer's {target}"
    if found.refusal:
        return CheckLine(what, _refusal(found, create_queue(queue)))
    messages, consumers = found.method.message_count, found.method.consumer_count
    return CheckLine(
        what, good=f"ok (messages: {messages:,}, consumers: {consumers:,})"
    )
