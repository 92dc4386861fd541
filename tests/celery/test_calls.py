"""What is in the message of a call."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import inspect
import typing as t
import uuid

import pytest
import sqlalchemy as sa
from celery import shared_task
from celery import signals
from signalbus import PartialDeliveryError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from conftest import Call
    from conftest import CeleryServer
    from conftest import NewShop
    from conftest import RabbitMQ
    from conftest import Redis
    from conftest import Shop


#: A time without a zone, as most databases have it.
NOON = dt.datetime.fromisoformat("2026-01-31T12:00:00")


class Size(enum.Enum):
    """What a column may be restricted to."""

    SMALL = "s"


@shared_task(name="shop.shared")
def shared() -> None:
    """Belong to the current Celery app, whichever that is."""


@pytest.fixture
def call_of(server: CeleryServer, new_shop: NewShop) -> t.Callable[..., Call]:
    """Send a signal of a model with these attributes, and return its call."""

    def send(
        values: dict[str, t.Any] | None = None,
        columns: dict[str, sa.Column[t.Any]] | None = None,
        celery: dict[str, t.Any] | None = None,
        **attributes: t.Any,
    ) -> Call:
        queue = server.new_queue()
        functions = {
            name: staticmethod(value) if inspect.isfunction(value) else value
            for name, value in attributes.items()
        }
        shop = new_shop(server, queue, columns=columns, celery=celery, **functions)
        shop.record({"id": 7, **(values or {})})
        assert 1 == shop.flush()
        (call,) = server.calls(queue)
        return call

    return send


@pytest.mark.parametrize(
    ("column_type", "value", "expected"),
    [
        (sa.Text, "Zoë", "Zoë"),
        (sa.Boolean, True, True),
        (sa.Float, 0.5, 0.5),
        (sa.Numeric(6, 2), decimal.Decimal("9.90"), decimal.Decimal("9.90")),
        (sa.Uuid, uuid.UUID(int=7), uuid.UUID(int=7)),
        (sa.DateTime, NOON, NOON),
        (sa.Date, dt.date(2026, 1, 31), dt.date(2026, 1, 31)),
        (sa.Time, dt.time(12, 30), dt.time(12, 30)),
        (sa.LargeBinary, b"\xff\0", b"\xff\0"),
        (sa.JSON, {"a": [1, None]}, {"a": [1, None]}),
        (sa.Enum(Size), Size.SMALL, "SMALL"),
        (sa.Text, None, None),
    ],
)
def test_columns_are_keyword_arguments(
    call_of: t.Callable[..., Call], column_type: t.Any, value: t.Any, expected: t.Any
) -> None:
    """A task gets the values that the columns have; of an enum, the name."""
    call = call_of({"value": value}, {"value": sa.Column(column_type)})

    assert ([], {"id": 7, "value": expected}) == (call.args, call.kwargs)


def test_the_key_may_be_all_there_is(call_of: t.Callable[..., Call]) -> None:
    """A model with one column has one argument."""
    assert {"id": 7} == call_of().kwargs


def test_columns_that_no_message_has_are_no_arguments(
    call_of: t.Callable[..., Call],
) -> None:
    """Such as that of the trace, which is in the headers: no task would expect it."""
    column = sa.Column(sa.Text, info={"signalbus_body": False})

    assert {"id": 7} == call_of({"traceparent": "00-1"}, {"traceparent": column}).kwargs


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        ({"order": 1}, [], {"order": 1}),
        ((1, "a"), [1, "a"], {}),
        ([1, "a"], [1, "a"], {}),
        ((), [], {}),
    ],
)
def test_a_model_may_choose_the_arguments(
    call_of: t.Callable[..., Call], given: t.Any, args: t.Any, kwargs: t.Any
) -> None:
    """A dict has keyword arguments, a tuple or a list positional ones."""
    call = call_of(signalbus_task_args=lambda _: given)

    assert (args, kwargs) == (call.args, call.kwargs)


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("shop.take", "shop.take"),
        (lambda signal: f"shop.take{signal.id}", "shop.take7"),
        (shared, "shop.shared"),
    ],
)
def test_a_task_is_named_chosen_or_given(
    call_of: t.Callable[..., Call], task: t.Any, name: str
) -> None:
    """By a string, by a function of the signal, or by the task itself."""
    assert name == call_of(signalbus_task=task).headers["task"]


def test_the_task_id_is_the_message_id(call_of: t.Callable[..., Call]) -> None:
    """It says the table and the key."""
    call = call_of()

    assert "order_paid:7" == call.headers["id"]
    assert "order_paid:7" == call.headers["root_id"]
    assert "order_paid:7" == call.properties["correlation_id"]


@pytest.mark.parametrize("priority", [5, lambda signal: signal.id - 2])
def test_a_call_may_have_a_priority(
    call_of: t.Callable[..., Call], priority: t.Any
) -> None:
    """The broker sorts by it, where the queue is made for that."""
    call = call_of(signalbus_task_priority=priority)

    assert 5 == call.properties["priority"]


@pytest.mark.parametrize("countdown", [60, lambda signal: signal.id + 53.0])
def test_a_call_may_have_to_wait(
    call_of: t.Callable[..., Call], countdown: t.Any
) -> None:
    """The countdown begins when the task is sent."""
    eta = dt.datetime.fromisoformat(
        call_of(signalbus_task_countdown=countdown).headers["eta"]
    )
    seconds = (eta - dt.datetime.now(tz=dt.timezone.utc)).total_seconds()

    assert 0 < seconds <= 60


def test_the_queue_may_depend_on_the_signal(
    server: CeleryServer, new_shop: NewShop
) -> None:
    """Each signal has its own."""
    queues = [server.new_queue(), server.new_queue()]
    route = staticmethod(lambda signal: queues[signal.id])
    shop = new_shop(server, signalbus_task_queue=route)
    shop.record({"id": 1}, {"id": 0})
    shop.flush()

    assert [{"id": 0}] == [call.kwargs for call in server.calls(queues[0])]
    assert [{"id": 1}] == [call.kwargs for call in server.calls(queues[1])]


def test_routes_of_the_celery_app_hold(server: CeleryServer, new_shop: NewShop) -> None:
    """A model that says nothing of a queue leaves it to ``task_routes``."""
    queue = server.new_queue()
    routes = {"task_routes": {"shop.*": {"queue": queue}}}
    shop = new_shop(server, celery=routes)
    shop.record({"id": 7})
    shop.flush()

    assert [{"id": 7}] == [call.kwargs for call in server.calls(queue)]


def test_a_handler_can_hide_the_arguments(call_of: t.Callable[..., Call]) -> None:
    """They are in a text for people, hidden ones, too; the task gets them anyway."""
    shown = []

    def hide(headers: dict[str, t.Any], **_: t.Any) -> None:
        shown.append(headers["kwargsrepr"])
        headers["argsrepr"] = headers["kwargsrepr"] = "(hidden)"

    declared = {"signalbus_task": "take", "signalbus_hidden": ("card",)}
    signals.before_task_publish.connect(hide, sender="take")
    try:
        call = call_of({"card": "4242"}, {"card": sa.Column(sa.Text)}, **declared)
    finally:
        signals.before_task_publish.disconnect(hide, sender="take")

    assert "4242" in shown[0]
    assert "4242" not in str(call.headers)
    assert {"id": 7, "card": "4242"} == call.kwargs


def test_headers_go_out(server: CeleryServer, new_shop: NewShop) -> None:
    """Those of plugins, and those of the model, which win."""

    class Tracer:
        @hookimpl
        def signalbus_message_headers(
            self, signals: t.Sequence[t.Any]
        ) -> list[dict[str, str]]:
            return [{"trace": "1", "shop": "plugin"} for _ in signals]

    queue = server.new_queue()
    shop = new_shop(server, queue, signalbus_headers={"shop": "model"})
    shop.bus.plugin_manager.register(Tracer())
    shop.record({"id": 7})
    shop.flush()
    (call,) = server.calls(queue)

    assert ("1", "model") == (call.headers["trace"], call.headers["shop"])


def _failed(shop: Shop) -> dict[int, str]:
    """Send signals, of which some fail; return what is said of each of those."""
    rows = [shop.model(id=number) for number in (1, 2, 3)]
    with shop.app.app_context(), pytest.raises(PartialDeliveryError) as caught:
        shop.bus.plugin_manager.hook.signalbus_send_burst(
            bus=shop.bus, model=shop.model, signals=rows, timeout=None
        )
    return {at: str(error) for at, error in caught.value.failures.items()}


@pytest.mark.parametrize(
    ("attribute", "bad", "good", "told"),
    [
        ("signalbus_task_args", {"a": object()}, {}, "not JSON serializable"),
        ("signalbus_task_args", None, {}, "signalbus_task_args of OrderPaid returned"),
        ("signalbus_task", None, "shop.take", "signalbus_task of OrderPaid returned"),
        ("signalbus_headers", {"id": "1"}, {}, "Rename it in signalbus_headers"),
        ("signalbus_headers", {7: "1"}, {}, "has a name that is not a string"),
        ("signalbus_task_priority", "high", 1, "signalbus_task_priority of OrderPaid"),
    ],
)
def test_a_call_that_cannot_be_made_fails_alone(
    server: CeleryServer,
    new_shop: NewShop,
    attribute: str,
    bad: t.Any,
    good: t.Any,
    told: str,
) -> None:
    """Its error says what to correct, and the others are sent."""
    queue = server.new_queue()
    choose = staticmethod(lambda signal: bad if signal.id == 2 else good)
    shop = new_shop(server, queue, **{attribute: choose})

    failed = _failed(shop)

    assert [1] == list(failed)
    assert told in failed[1]
    assert ["order_paid:1", "order_paid:3"] == [
        call.headers["id"] for call in server.calls(queue)
    ]


def test_a_queue_that_celery_may_not_create_fails_alone(
    server: CeleryServer, new_shop: NewShop
) -> None:
    """The error is Celery's, and not one of the broker."""
    queue = server.new_queue()
    known = {
        "task_create_missing_queues": False,
        "task_default_queue": queue,
        "task_queues": {queue: {"exchange": ""}},
    }
    route = staticmethod(lambda signal: "unknown" if signal.id == 2 else queue)
    shop = new_shop(server, celery=known, signalbus_task_queue=route)

    failed = _failed(shop)

    assert [1] == list(failed)
    assert "unknown" in failed[1]


def test_receivers_of_celery_see_the_call(
    server: CeleryServer, new_shop: NewShop
) -> None:
    """What changes messages before they are published still does, in the app."""
    queue = server.new_queue()
    shop = new_shop(server, queue)

    def receive(headers: dict[str, t.Any], **_: t.Any) -> None:
        from flask import current_app

        headers["app"] = current_app.name

    signals.before_task_publish.connect(receive, weak=False)
    try:
        shop.record({"id": 7})
        shop.flush()
    finally:
        signals.before_task_publish.disconnect(receive)

    assert ["shop"] == [call.headers["app"] for call in server.calls(queue)]


def test_events_of_celery_are_no_calls(redis_server: Redis, new_shop: NewShop) -> None:
    """A Celery app may send an event with each task; it is not taken for one."""
    queue = redis_server.new_queue()
    shop = new_shop(redis_server, queue, celery={"task_send_sent_event": True})
    shop.record(*({"id": number} for number in range(1, 4)))

    assert 3 == shop.flush()
    assert 3 == len(redis_server.calls(queue))


def test_the_result_backend_is_left_alone(
    server: CeleryServer, new_shop: NewShop
) -> None:
    """It need not be there, nor have a library, where tasks are only sent."""
    queue = server.new_queue()
    shop = new_shop(server, queue, celery={"result_backend": "no.such:Backend"})
    shop.record({"id": 7})

    assert 1 == shop.flush()
    assert [None] == [call.headers["ignore_result"] for call in server.calls(queue)]


def test_another_protocol_is_understood(
    server: CeleryServer, new_shop: NewShop
) -> None:
    """Workers of Celery 3 have no headers."""
    shop = new_shop(server, server.new_queue(), celery={"task_protocol": 1})
    shop.record({"id": 7})

    assert 1 == shop.flush()


def test_confirms_of_the_celery_app_change_nothing(
    rabbitmq: RabbitMQ, new_shop: NewShop
) -> None:
    """It may have switched them on for itself."""
    queue = rabbitmq.new_queue()
    options = {"broker_transport_options": {"confirm_publish": True}}
    shop = new_shop(rabbitmq, queue, celery=options)
    shop.record(*({"id": number} for number in range(1, 251)))

    assert 250 == shop.flush()
    assert 250 == len(rabbitmq.calls(queue))
    assert {"confirm_publish": True} == shop.celery.conf.broker_transport_options
