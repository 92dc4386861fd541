"""One connection for a process: lost, silent, shared, closed."""

from __future__ import annotations

import gc
import threading
import time
import typing as t

import pytest
from signalbus import BrokerTimeoutError
from signalbus import BrokerUnavailableError

if t.TYPE_CHECKING:
    from conftest import Server
    from conftest import Shop

    NewShop: t.TypeAlias = t.Callable[..., Shop]


class Dropper:
    """Makes bodies, and drops the connections while it makes that of a signal."""

    def __init__(self, server: Server, number: int, times: int) -> None:
        self._server = server
        self._number = number
        self._times = times

    def __call__(self, signal: t.Any) -> bytes:
        """Return the number of *signal*."""
        if signal.id == self._number and self._times:
            self._times -= 1
            self._server.drop_connections()
        return b"%d" % signal.id


def wait_for_connections(server: Server, count: int) -> None:
    """Wait until *server* has so many connections by its proxy."""
    eventually(lambda: count == server.proxy.connections)


def threads() -> set[threading.Thread]:
    """Return the threads of the plugin."""
    return {each for each in threading.enumerate() if each.name == "signalbus-nats"}


def eventually(condition: t.Callable[[], object]) -> None:
    """Wait until *condition* holds, on a machine that may be busy."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", [0, 700, 1999])
def test_a_connection_that_is_lost_within_a_burst_goes_unnoticed(
    shop: NewShop, broker_server: Server, stream: str, number: int
) -> None:
    """The rest is sent over another one; NATS drops what it got over both."""
    sending = shop(signalbus_body=Dropper(broker_server, number, 1))
    sending.send(-1)

    sending.send(*range(2000))

    assert [b"%d" % n for n in range(-1, 2000)] == broker_server.bodies(stream)


def test_a_second_loss_ends_the_burst(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """Whoever flushes decides when to try again; then nothing comes twice."""
    sending = shop(signalbus_body=Dropper(broker_server, 1999, 2))

    with pytest.raises(Exception) as caught:  # noqa: PT011 some may be confirmed
        sending.send(*range(2000))
    sending.send(*range(2000))

    failures = getattr(caught.value, "failures", {0: caught.value}).values()
    assert all(isinstance(each, BrokerUnavailableError) for each in failures)
    assert [b"%d" % n for n in range(2000)] == broker_server.bodies(stream)


def test_a_connection_that_is_silent_is_replaced(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """A firewall may have forgotten it; the burst need not fail for that."""
    sending = shop()
    sending.send(1)
    broker_server.proxy.freeze()
    thaw = threading.Timer(6, broker_server.proxy.thaw)
    thaw.start()

    sending.send(2, 3)

    thaw.join()
    assert [b"1", b"2", b"3"] == broker_server.bodies(stream)


def test_there_is_one_connection(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """However many threads send, and however often."""
    sending = shop()
    wait_for_connections(broker_server, 0)
    threads = [threading.Thread(target=sending.send, args=[n]) for n in range(20)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == broker_server.proxy.connections
    assert 20 == len(broker_server.messages(stream))


def test_nothing_connects_by_itself(shop: NewShop, broker_server: Server) -> None:
    """A connection that is lost is made again when something is sent."""
    sending = shop()
    sending.send(1)
    broker_server.drop_connections()

    time.sleep(0.5)
    assert 0 == broker_server.proxy.connections

    sending.send(2)
    assert 1 == broker_server.proxy.connections


def test_a_commit_that_has_less_time_does_not_disturb_others(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """A thread that gives up soon leaves the connection to those that wait."""
    sending = shop()
    sending.send(1)
    broker_server.proxy.freeze()
    patient = threading.Thread(target=sending.send, args=[2])
    patient.start()

    with pytest.raises(BrokerTimeoutError):
        sending.send(3, timeout=0.3)
    broker_server.proxy.thaw()
    patient.join()

    wait_for_connections(broker_server, 1)
    assert {b"1", b"2"} <= set(broker_server.bodies(stream))


def test_what_a_silent_server_does_not_read_ends_in_time(
    shop: NewShop, broker_server: Server
) -> None:
    """A burst that fills all buffers neither hangs nor keeps the app from closing."""
    sending = shop(signalbus_body=lambda _: b"x" * 1_000_000)
    sending.send(0)
    broker_server.freeze()
    began = time.monotonic()

    with pytest.raises(BrokerTimeoutError):
        sending.send(*range(1, 30), timeout=0.5)
    sending.close()

    assert time.monotonic() - began < 20  # it would wait for 30 seconds by default
    broker_server.thaw()
    sending.send(31)


def test_an_app_that_is_gone_has_no_connection(
    shop_of: NewShop, broker_server: Server
) -> None:
    """Nor a thread."""
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

    wait_for_connections(broker_server, 0)
    others = threads()  # of apps that are still there
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    app.config["SIGNALBUS_NATS_URL"] = broker_server.url
    bus = SignalBus(SQLAlchemy(app))

    class Gone(bus.db.Model):  # type: ignore[name-defined,misc]
        id = bus.db.Column(bus.db.Integer, primary_key=True)
        signalbus_broker = "nats"
        signalbus_subject = "orders.paid"

    with app.app_context():
        plugin: t.Any = bus.plugin_manager.get_plugin("nats")
        plugin.check(bus, [Gone])
    assert 1 == broker_server.proxy.connections
    assert 1 == len(threads() - others)

    del app, bus, Gone, plugin
    gc.collect()

    wait_for_connections(broker_server, 0)
    eventually(lambda: not threads() - others)
