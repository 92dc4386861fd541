"""What RabbitMQ confirms is in a queue, and what it refuses is named."""

from __future__ import annotations

import secrets
import typing as t

import pytest
from signalbus import MessageRefusedError
from signalbus import PartialDeliveryError

if t.TYPE_CHECKING:
    from conftest import NewShop
    from conftest import RabbitMQ
    from conftest import Shop


def send(shop: Shop, count: int) -> dict[int, Exception]:
    """Send so many signals; return why some were not, by the ids of the signals."""
    rows = [shop.model(id=number) for number in range(1, count + 1)]
    with shop.app.app_context():
        try:
            shop.bus.plugin_manager.hook.signalbus_send_burst(
                bus=shop.bus, model=shop.model, signals=rows, timeout=None
            )
        except PartialDeliveryError as error:
            return {at + 1: reason for at, reason in error.failures.items()}
    return {}


def sent(server: RabbitMQ, queue: str) -> set[int]:
    """Return the ids of the signals that are in *queue*."""
    return {call.kwargs["id"] for call in server.calls(queue)}


REFUSED = {1, 100, 101, 250}


@pytest.fixture
def refusing(
    rabbitmq: RabbitMQ, new_shop: NewShop
) -> t.Callable[..., tuple[Shop, str]]:
    """Make a shop that calls another task in some signals, with options of its own."""

    def make(**route: t.Any) -> tuple[Shop, str]:
        queue = rabbitmq.new_queue()
        routes = {"shop.take": {"queue": queue}, "shop.refused": route}
        task = staticmethod(
            lambda signal: "shop.refused" if signal.id in REFUSED else "shop.take"
        )
        shop = new_shop(rabbitmq, celery={"task_routes": routes}, signalbus_task=task)
        return shop, queue

    return make


def _check(rabbitmq: RabbitMQ, shop: Shop, queue: str, told: str) -> None:
    """Check that those are refused which should be, and no others."""
    failures = send(shop, 250)

    assert REFUSED == failures.keys()
    assert all(isinstance(error, MessageRefusedError) for error in failures.values())
    assert told in str(failures[1])
    assert "'shop.refused'" in str(failures[1])
    assert set(range(1, 251)) - REFUSED == sent(rabbitmq, queue)


def test_a_full_queue_refuses(
    rabbitmq: RabbitMQ, refusing: t.Callable[..., tuple[Shop, str]]
) -> None:
    """RabbitMQ answers each message by itself."""
    full = rabbitmq.full_queue()
    shop, queue = refusing(queue=full)

    _check(rabbitmq, shop, queue, "RabbitMQ has no room for it")


def test_an_exchange_that_is_missing_refuses(
    rabbitmq: RabbitMQ, refusing: t.Callable[..., tuple[Shop, str]]
) -> None:
    """RabbitMQ closes the channel, and names no message: it is found."""
    shop, queue = refusing(exchange=f"no.{secrets.token_hex(6)}", routing_key="a")

    _check(rabbitmq, shop, queue, "NOT_FOUND")


def test_an_exchange_without_queues_refuses(
    rabbitmq: RabbitMQ, refusing: t.Callable[..., tuple[Shop, str]]
) -> None:
    """RabbitMQ would confirm the message, and throw it away."""
    shop, queue = refusing(exchange="amq.topic", routing_key=secrets.token_hex(6))

    _check(rabbitmq, shop, queue, "NO_ROUTE")


def test_a_queue_with_other_arguments_refuses(
    rabbitmq: RabbitMQ, refusing: t.Callable[..., tuple[Shop, str]]
) -> None:
    """Celery declares each queue before it uses it, as it knows it."""
    other = rabbitmq.new_queue({"x-max-priority": 9})
    shop, queue = refusing(queue=other)
    shop.celery.amqp.queues[other].queue_arguments = {}

    _check(rabbitmq, shop, queue, "PRECONDITION_FAILED")


def test_a_queue_that_was_deleted_is_declared_again(
    rabbitmq: RabbitMQ, new_shop: NewShop
) -> None:
    """A connection that has declared it before learns that it is gone."""
    queue = rabbitmq.new_queue()
    shop = new_shop(rabbitmq, queue)
    send(shop, 3)
    with rabbitmq.channel() as channel:
        channel.queue_delete(queue)

    assert {} == send(shop, 5)
    assert set(range(1, 6)) == sent(rabbitmq, queue)


def test_refusals_cost_no_connection(rabbitmq: RabbitMQ, new_shop: NewShop) -> None:
    """All bursts of a thread go over one, whatever becomes of messages."""
    lost = {"exchange": f"no.{secrets.token_hex(6)}", "routing_key": "a"}
    shop = new_shop(
        rabbitmq,
        celery={**rabbitmq.settings()["CELERY"], "task_routes": {"shop.take": lost}},
    )
    rabbitmq.drop_connections()  # those of other tests may end at any time
    for _ in range(3):
        assert {1, 2, 3} == send(shop, 3).keys()

    assert 1 == rabbitmq.proxy.connections


def test_a_confirm_is_waited_for(rabbitmq: RabbitMQ, new_shop: NewShop) -> None:
    """A broker that has got everything, and says nothing, has confirmed nothing."""
    queue = rabbitmq.new_queue()
    silent = rabbitmq.settings()["CELERY"]
    shop = new_shop(
        rabbitmq, queue, celery=silent, config={"SIGNALBUS_CELERY_TIMEOUT": 2}
    )
    send(shop, 1)
    shop.record({"id": 2})
    rabbitmq.freeze()
    try:
        with pytest.raises(Exception, match="did not answer in time"):
            shop.flush()
    finally:
        rabbitmq.thaw()

    assert {2} == shop.pending()
    assert 1 == shop.flush()
