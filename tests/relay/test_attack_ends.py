"""A relay that cannot start, or must end at once, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import threading
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import SignalBusError
from signalbus_relay import Relay
from signalbus_relay._health import HealthServer

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Process
    from conftest import Shop
    from conftest import Wire
    from flask import Flask

Rows: t.TypeAlias = "t.Callable[[], list[t.Any]]"
Started: t.TypeAlias = "t.Callable[..., Process]"
Eventually: t.TypeAlias = "t.Callable[[t.Callable[[], object]], None]"


@pytest.fixture
def taken() -> Iterator[tuple[str, int]]:
    """Give an address at which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[:2]


def _threads_of_relays() -> list[str]:
    names = (thread.name for thread in threading.enumerate())
    return [name for name in names if name.startswith("signalbus-relay")]


def test_nothing_is_sent_if_the_port_is_taken(
    app: Flask, new_model: t.Any, record: t.Any, wire: Wire, taken: tuple[str, int]
) -> None:
    """It is an error with the address, before anything starts."""
    record(new_model("Letter"), "a")
    with pytest.raises(SignalBusError, match=f":{taken[1]}: .*[Aa]ddress"):
        Relay(app, health=taken).run()

    assert [] == _threads_of_relays()
    assert [] == wire.tried


def test_a_port_that_is_taken_is_one_line(
    started: Started, shop: Shop, taken: tuple[str, int]
) -> None:
    """On stderr, with status 1."""
    status, out, err = started(shop, "--health", f"127.0.0.1:{taken[1]}").end()

    assert (1, "", 1) == (status, out, err.count("\n"))
    assert "Error: No health report at 127.0.0.1:" in err


@pytest.fixture
def rows(app: Flask, db: t.Any) -> Rows:
    """Read the rows of the relays that are running."""

    def read() -> list[t.Any]:
        with app.app_context(), db.engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT * FROM signalbus_relay")))

    return read


def test_a_start_that_fails_leaves_no_thread_and_no_row(
    app: Flask,
    rows: Rows,
    new_model: t.Any,
    record: t.Any,
    wire: Wire,
    eventually: Eventually,
) -> None:
    """As if it had been stopped; nothing is sent, and the error is raised."""
    record(new_model("Letter"), "a")

    def fail(line: str) -> None:
        eventually(rows)
        raise BrokenPipeError(line)

    with pytest.raises(BrokenPipeError):
        Relay(app).run(fail)

    eventually(lambda: not _threads_of_relays())
    assert [] == rows()
    assert [] == wire.tried


@pytest.fixture
def interrupt() -> Iterator[t.Callable[..., None]]:
    """Let a handler of a signal raise KeyboardInterrupt in the main thread."""
    before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    yield lambda *_: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_an_error_while_it_runs_leaves_no_thread_and_no_row(
    app: Flask,
    rows: Rows,
    new_model: t.Any,
    record: t.Any,
    wire: Wire,
    interrupt: t.Callable[..., None],
    eventually: Eventually,
) -> None:
    """As one that a handler of a signal raises."""
    wire.on_sending = interrupt
    record(new_model("Letter"), "a")

    with pytest.raises(KeyboardInterrupt):
        Relay(app).run()

    eventually(lambda: not _threads_of_relays())
    assert [] == rows()
    assert ["a"] == wire.sent


def test_no_name_server_is_asked_when_the_port_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where none answers, that would take long."""

    def fail(*_: object) -> str:
        raise AssertionError("A name server was asked.")

    monkeypatch.setattr(socket, "getfqdn", fail)
    server = HealthServer(("127.0.0.1", 0), lambda: (True, {}))
    server.start()
    server.stop()


@pytest.mark.databases
@pytest.mark.parametrize("grace", ["0", "0.05"])
def test_a_relay_without_grace_deletes_its_row(
    started: Started, shop: Shop, eventually: Eventually, grace: str
) -> None:
    """Nothing was interrupted, so the next relay need not be careful."""
    relay = started(shop, "--grace", grace, "--poll", "60")
    relay.expect("Relay of shop: ")
    eventually(lambda: 1 == _count_rows(shop))

    assert 0 == relay.end(signal.SIGTERM)[0]
    assert 0 == _count_rows(shop)


def _count_rows(shop: Shop) -> int | None:
    with shop.engine.connect() as connection:
        return connection.scalar(sa.text("SELECT count(*) FROM signalbus_relay"))
