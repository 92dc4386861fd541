"""What becomes of signals while Celery has no broker."""

from __future__ import annotations

import socket
import threading
import time
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import BrokerTimeoutError
from signalbus import BrokerUnavailableError
from signalbus import stopping
from signalbus.testing.proxy import free_port

if t.TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from conftest import CeleryServer
    from conftest import NewShop
    from conftest import RabbitMQ
    from conftest import Redis
    from conftest import Shop


def error_of_flush(shop: Shop) -> str:
    """Flush a signal, which fails; return what is said. The signal stays."""
    shop.record({"id": 7})
    with pytest.raises(BrokerUnavailableError) as caught:
        shop.flush()
    assert {7} == shop.pending()
    return str(caught.value)


@pytest.mark.parametrize("celery", [None, "celery"])
def test_an_app_without_celery_keeps_its_signals(
    new_shop: NewShop, celery: str | None
) -> None:
    """The error says where a Celery app is expected."""
    shop = new_shop(None)
    if celery:
        shop.app.extensions["celery"] = celery

    assert "Set app.extensions['celery'] to it" in error_of_flush(shop)


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_an_error_names_the_broker_and_no_password(
    new_shop: NewShop, scheme: str
) -> None:
    """Logs are read by many."""
    if scheme == "redis":
        pytest.importorskip("redis")
    port = free_port()
    url = f"{scheme}://shop:secret@127.0.0.1:{port}/9"
    told = error_of_flush(new_shop(None, celery={"broker_url": url}))

    assert f"{scheme}://127.0.0.1:{port}/9 cannot be reached" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    "url", ["amqp://shop:sec/ret@127.0.0.1/", "nosuch://shop:secret@127.0.0.1/"]
)
def test_a_url_that_is_no_use_is_told_without_its_password(
    new_shop: NewShop, url: str
) -> None:
    """Neither is a part of it."""
    told = error_of_flush(new_shop(None, celery={"broker_url": url}))

    assert "sec" not in told
    assert "broker_url" in told


def test_a_redis_that_is_full_is_unavailable(
    redis_server: Redis, new_shop: NewShop
) -> None:
    """It takes no message at all: that is not the fault of one."""
    shop = new_shop(redis_server, redis_server.new_queue())
    redis_server.client().config_set("maxmemory", "1")
    try:
        told = error_of_flush(shop)
    finally:
        redis_server.client().config_set("maxmemory", "0")

    assert "memory" in told
    assert 1 == shop.flush()


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_a_stop_ends_the_wait_for_a_silent_broker(
    rabbitmq: RabbitMQ, new_shop: NewShop, size: int
) -> None:
    """Also when it has stopped to take what is being written."""
    queue = rabbitmq.new_queue()
    celery = rabbitmq.settings()["CELERY"]
    columns = {"text": sa.Column(sa.Text)}
    shop = new_shop(rabbitmq, queue, celery=celery, columns=columns)
    shop.record({"id": 1})
    shop.flush()
    shop.record(*({"id": number, "text": "x" * size} for number in range(2, 7)))
    token = stopping.StopToken()
    rabbitmq.freeze()
    timer = threading.Timer(0.3, token.stop)
    timer.start()
    began = time.monotonic()
    try:
        with token.active(), pytest.raises(BrokerTimeoutError):
            shop.flush()
    finally:
        rabbitmq.thaw()
        timer.join()

    assert time.monotonic() - began < 20  # it would wait for 30 seconds by default
    assert {2, 3, 4, 5, 6} == shop.pending()


@pytest.mark.parametrize("size", [10, 20_000_000])
def test_a_thread_that_was_given_up_leaves_nothing_behind(
    rabbitmq: RabbitMQ, new_shop: NewShop, size: int
) -> None:
    """It ends, with its connection, though the broker takes and says nothing."""
    queue = rabbitmq.new_queue()
    # Where there is this option, the system would end the connection before long.
    patience = {getattr(socket, "TCP_USER_TIMEOUT", socket.TCP_NODELAY): 60_000}
    options = {"broker_transport_options": {"socket_settings": patience}}
    celery = {**rabbitmq.settings()["CELERY"], **options}
    columns = {"text": sa.Column(sa.Text)}
    shop = new_shop(rabbitmq, queue, celery=celery, columns=columns)
    shop.record({"id": 1})
    shop.flush()
    rabbitmq.freeze()
    try:
        with shop.app.app_context(), pytest.raises(BrokerTimeoutError):
            shop.bus.plugin_manager.hook.signalbus_send_burst(
                bus=shop.bus,
                model=shop.model,
                signals=[shop.model(id=2, text="x" * size)],
                timeout=0.5,
            )
        for thread in threading.enumerate():
            if thread.name == "signalbus-celery":
                thread.join(30)
                assert not thread.is_alive()
    finally:
        rabbitmq.thaw()


def test_a_process_that_stops_finishes_over_a_new_connection(
    rabbitmq: RabbitMQ, new_shop: NewShop
) -> None:
    """One that died while nobody used it does not count as lost."""
    queue = rabbitmq.new_queue()
    shop = new_shop(rabbitmq, queue, celery=rabbitmq.settings()["CELERY"])
    shop.record({"id": 1})
    shop.flush()
    rabbitmq.drop_connections()
    token = stopping.StopToken()
    token.stop()

    with token.active(), shop.app.app_context():
        shop.bus.plugin_manager.hook.signalbus_send_burst(
            bus=shop.bus, model=shop.model, signals=[shop.model(id=2)], timeout=None
        )

    assert [1, 2] == [call.kwargs["id"] for call in rabbitmq.calls(queue)]


def test_another_celery_app_has_connections_of_its_own(
    rabbitmq: RabbitMQ, redis_server: Redis, new_shop: NewShop
) -> None:
    """Tests of an app may replace it."""
    queue = rabbitmq.new_queue()
    shop = new_shop(rabbitmq, queue)
    shop.record({"id": 1})
    shop.flush()
    shop.app.extensions["celery"] = new_shop(redis_server, queue).celery
    shop.record({"id": 2})
    shop.flush()

    assert [1] == [call.kwargs["id"] for call in rabbitmq.calls(queue)]
    assert [2] == [call.kwargs["id"] for call in redis_server.calls(queue)]


def test_the_next_broker_of_several_is_tried(
    rabbitmq: RabbitMQ, new_shop: NewShop
) -> None:
    """A Celery app may have several URLs."""
    queue = rabbitmq.new_queue()
    urls = [f"amqp://127.0.0.1:{free_port()}//", rabbitmq.celery()["broker_url"]]
    shop = new_shop(rabbitmq, queue, celery={"broker_url": urls})
    shop.record({"id": 7})

    assert 1 == shop.flush()
    assert 1 == len(rabbitmq.calls(queue))


PROGRAM = """
from celery_shop import celery_init_app
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///{folder}/shop.db"
app.config["SIGNALBUS_AUTOFLUSH"] = "background"
app.config["CELERY"] = {celery!r}
celery_init_app(app)
db = SQLAlchemy(app)
bus = SignalBus(db)

class OrderPaid(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    signalbus_broker = "celery"
    signalbus_task = "shop.take"
    signalbus_task_queue = {queue!r}

with app.app_context():
    db.create_all()
    db.session.add(OrderPaid(id=7))
    db.session.commit()
"""


def test_a_program_that_ends_sends_what_it_has_just_recorded(
    server: CeleryServer,
    interpreter: t.Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the background, while the interpreter ends and may start no thread."""
    import celery_shop

    folder = str(celery_shop.__file__).rpartition("/")[0]
    monkeypatch.setenv("PYTHONPATH", folder)
    queue = server.new_queue()
    program = PROGRAM.format(folder=tmp_path, celery=server.celery(), queue=queue)

    assert 0 == interpreter(program).wait(60)
    assert ["order_paid:7"] == [call.headers["id"] for call in server.calls(queue)]
