"""A commit waits for RabbitMQ for a while, and not once it is known to hang."""

from __future__ import annotations

import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Proxy
    from flask import Flask

#: What a web server does in the last test: threads, requests a second, and seconds.
THREADS = 8
RATE = 20
DURATION = 12


class Shop:
    """An app whose signals go to a queue, through a proxy."""

    def __init__(self, app: Flask, queue: str, burst_count: int = 1000) -> None:
        """Declare its signal model, and create the table."""
        self.app = app
        self.db = SQLAlchemy(app)
        self.bus = SignalBus(self.db)
        attributes = {
            "__annotations__": {"id": Mapped[int], "text": Mapped[str]},
            "id": mapped_column(primary_key=True),
            "text": mapped_column(sa.Text),
            "signalbus_broker": "rabbitmq",
            "signalbus_exchange": "",
            "signalbus_routing_key": queue,
            "signalbus_body": lambda signal: signal.text.encode(),
            "signalbus_burst_count": burst_count,
        }
        self.paid: t.Any = type("Paid", (self.db.Model,), attributes)
        with app.app_context():
            self.db.create_all()

    def commit(self, *texts: str) -> float:
        """Record signals in one transaction; return how long the commit took."""
        with self.app.app_context():
            self.db.session.add_all([self.paid(text=text) for text in texts])
            started = time.monotonic()
            self.db.session.commit()
            return time.monotonic() - started

    def waits(self, seconds: float) -> None:
        """Let a commit wait so long for the broker, from now on."""
        self.app.config["SIGNALBUS_AUTOFLUSH_TIMEOUT"] = seconds

    @property
    def pending(self) -> int:
        """How many signals are pending."""
        return self.bus.count_pending()[self.paid]


@pytest.fixture
def open_shop(
    new_app: t.Callable[..., Flask], engine_url: str, proxy: Proxy, queue: str
) -> t.Callable[..., Shop]:
    """Make a shop with ``open_shop()``; a commit waits long before ``shop.waits()``."""

    def make(burst_count: int = 1000, **config: t.Any) -> Shop:
        config["SIGNALBUS_AUTOFLUSH_TIMEOUT"] = 60
        config["SIGNALBUS_RABBITMQ_URL"] = proxy.url
        return Shop(new_app(engine_url, **config), queue, burst_count)

    return make


def _unavailable(caplog: pytest.LogCaptureFixture) -> str:
    """Return the one line of the log."""
    (line,) = [each.getMessage() for each in caplog.records]
    return line


def test_a_commit_does_not_wait_for_confirms_longer_than_it_may(
    open_shop: t.Any, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that falls silent costs the timeout, and the signal stays."""
    shop = open_shop()
    shop.commit("a")
    shop.waits(0.3)
    proxy.silence()

    assert shop.commit("b") < 10  # the broker's own timeout is 30 seconds
    assert 1 == shop.pending
    assert "it did not answer in time" in _unavailable(caplog)


def test_connecting_counts(
    open_shop: t.Any, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that takes connections and says nothing costs no more."""
    shop = open_shop()
    shop.waits(0.3)
    proxy.silence()

    assert shop.commit("a") < 10
    assert 1 == shop.pending
    assert "it took too long to connect" in _unavailable(caplog)


def test_progress_does_not_make_the_time_longer(
    open_shop: t.Any, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """The commit waits, whether or not the broker does something meanwhile."""
    shop = open_shop()
    shop.commit("a")
    shop.waits(0.5)
    proxy.throttle(100_000)

    assert shop.commit(*["x" * 100_000] * 50) < 10  # all of it takes 50 seconds
    assert shop.pending > 0
    assert "it did not answer in time" in _unavailable(caplog)


def test_the_brokers_own_timeout_holds_if_it_is_shorter(
    open_shop: t.Any, proxy: Proxy
) -> None:
    """Whoever set it for the requests of a web application goes on to have it."""
    shop = open_shop(SIGNALBUS_RABBITMQ_TIMEOUT=0.3)
    shop.commit("a")
    proxy.silence()

    assert shop.commit("b") < 10


def test_a_flush_waits_as_long_as_the_broker_allows(
    open_shop: t.Any, proxy: Proxy
) -> None:
    """Nobody's commit waits for it: what a commit left goes out."""
    shop = open_shop()
    shop.waits(0.2)
    proxy.delay(0.2)
    shop.commit("a")

    assert 1 == shop.pending
    assert 1 == shop.bus.flush()


@pytest.mark.databases("postgresql")
def test_a_frozen_broker_does_not_stop_a_web_server(
    open_shop: t.Any, proxy: Proxy, broker: Broker, queue: str
) -> None:
    """One request waits for two seconds; nothing is lost, and the others go on."""
    shop = open_shop(burst_count=100)
    shop.commit("before")
    shop.waits(2)
    proxy.silence()

    requests = [str(number) for number in range(RATE * DURATION)]
    ticks = threading.Event()
    with ThreadPoolExecutor(THREADS) as server:
        futures = []
        for request in requests:
            futures.append(server.submit(shop.commit, request))
            ticks.wait(1 / RATE)  # what the test is about: how often requests come
        seconds = sorted(future.result() for future in futures)

    assert seconds[-1] < 10  # the broker's own timeout is 30 seconds
    assert sum(each >= 2 for each in seconds) <= len(seconds) / 100
    assert len(requests) == shop.pending

    proxy.unsilence()
    assert len(requests) == shop.bus.flush()
    assert {"before", *requests} == {body.decode() for body in broker.bodies(queue)}
