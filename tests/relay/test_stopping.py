"""A relay that is told to stop finishes its bursts, and is gone within the grace."""

from __future__ import annotations

import signal
import threading
import time
import typing as t

import pytest

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from conftest import Process
    from conftest import Proxy
    from conftest import Shop

Started: t.TypeAlias = "t.Callable[..., Process]"
Eventually: t.TypeAlias = "t.Callable[[t.Callable[[], object]], None]"

#: How many seconds an end may take on a busy machine that waits for nothing, or for a
#: grace of one or two. The grace is otherwise 20.
BEFORE_THE_GRACE = 15

READY = "Relay of shop: 2 models in 2 lanes; "


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_relay_ends_at_once(
    started: Started, shop: Shop, signum: signal.Signals
) -> None:
    """With status 0, and the number of signals that it has sent."""
    relay = started(shop)
    relay.expect(READY)

    assert (0, "0 signals sent.\n", "") == relay.end_quietly(signum)


@pytest.mark.databases
def test_the_burst_at_hand_is_finished(started: Started, shop: Shop) -> None:
    """Its signals are sent and deleted, and the next one stays: status 0."""
    shop.record("waits", "next")
    relay = started(shop)
    relay.expect("tries waits")
    relay.send_signal(signal.SIGTERM)
    assert relay.stderr is not None
    line = relay.stderr.readline()
    (shop.folder / "go on").touch()

    assert (0, "sent waits\n1 signal sent.\n", "") == relay.end()
    assert "waiting up to" in line
    assert " s for Letter." in line
    assert ["next"] == shop.pending()


@pytest.mark.databases
def test_a_sender_that_hangs_is_left_behind(started: Started, shop: Shop) -> None:
    """Its model is named, the status is 1, and its row is free for others."""
    shop.record("hangs")
    relay = started(shop, "--grace", "1")
    relay.expect("tries hangs")
    begun = time.monotonic()
    status, out, err = relay.end(signal.SIGTERM)

    assert time.monotonic() - begun < BEFORE_THE_GRACE
    assert (1, "0 signals sent.\n") == (status, out)
    assert "Error: The relay ends without waiting any longer for Letter.\n" in err
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM letter")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    started: Started, shop: Shop, second: signal.Signals
) -> None:
    """Whatever the grace, by the signal itself."""
    shop.record("hangs")
    relay = started(shop, "--grace", "3600")
    relay.expect("tries hangs")
    relay.send_signal(signal.SIGTERM)
    assert relay.stderr is not None
    assert "waiting up to" in relay.stderr.readline()

    assert -second == relay.end(second)[0]
    assert ["hangs"] == shop.pending()


@pytest.mark.databases("postgresql")
def test_a_wait_for_a_locked_row_ends_at_once(started: Started, shop: Shop) -> None:
    """An ordered lane polls for it: nothing is left undone, so the status is 0."""
    shop.record("first", "second", table="parcel")
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1 FROM parcel WHERE id = 2 FOR UPDATE")
        relay = started(shop)
        relay.expect("sent first")
        begun = time.monotonic()

        assert 0 == relay.end(signal.SIGTERM)[0]
        assert time.monotonic() - begun < BEFORE_THE_GRACE
    assert ["second"] == shop.pending("parcel")


@pytest.mark.databases("postgresql")
def test_a_wait_for_a_locked_table_ends_with_the_grace(
    started: Started, shop: Shop, eventually: Eventually
) -> None:
    """Nothing was being sent, so the status is 0."""
    relay = started(shop, "--grace", "1")
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE letter IN ACCESS EXCLUSIVE MODE")
        relay.expect(READY)
        eventually(lambda: _waits_for_lock(connection))
        begun = time.monotonic()
        status, out, err = relay.end(signal.SIGTERM)

        assert time.monotonic() - begun < BEFORE_THE_GRACE
    assert (0, "0 signals sent.\n") == (status, out)
    assert "without waiting any longer for Letter." in err


def _waits_for_lock(connection: sa.Connection) -> bool:
    query = (
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
        " WHERE datname = current_database() AND NOT granted"
    )
    return bool(connection.exec_driver_sql(query).scalar())


@pytest.mark.databases("postgresql")
def test_a_database_that_refuses_delays_no_end(
    started: Started, shop: Shop, proxy: Proxy, proxied_url: str
) -> None:
    """The relay is between two tries, and ends at once with status 0."""
    relay = started(shop, url=proxied_url)
    relay.expect(READY)
    proxy.close()
    assert relay.stderr is not None
    assert any("The database is unavailable" in line for line in relay.stderr)
    begun = time.monotonic()

    assert (0, "0 signals sent.\n") == relay.end(signal.SIGTERM)[:2]
    assert time.monotonic() - begun < BEFORE_THE_GRACE


@pytest.mark.databases("postgresql")
def test_a_database_that_is_gone_delays_the_end_by_the_grace(
    started: Started,
    shop: Shop,
    proxy: Proxy,
    proxied_url: str,
    eventually: Eventually,
) -> None:
    """It answers nothing, and nothing was being sent: status 0."""
    shop.record("a")
    relay = started(shop, "--grace", "2", "--poll", "0.1", url=proxied_url)
    relay.expect("sent a")
    eventually(lambda: not shop.pending())
    proxy.freeze()
    time.sleep(1)  # by now, a lane looks and gets no answer
    begun = time.monotonic()
    status, _, err = relay.end(signal.SIGTERM)

    assert time.monotonic() - begun < BEFORE_THE_GRACE
    assert 0 == status, err


def test_the_grace_of_a_relay_in_a_thread_is_kept(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any
) -> None:
    """Whoever runs it is told that a thread was left behind."""
    is_over = threading.Event()
    wire.on_sending = lambda text: is_over.wait(30)
    record(new_model("Letter"), "a")
    running = run(grace=0.2)
    wire.wait_for(lambda: wire.tried)

    assert 1 == running.stop()
    assert running.relay.is_hanging
    is_over.set()
