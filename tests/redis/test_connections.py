"""Connections that are lost, silent, late or given up, and what is sent again."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import typing as t

import pytest
from signalbus import BrokerUnavailableError
from signalbus import stopping
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import MessageRefusedError

if t.TYPE_CHECKING:
    import redis
    from conftest import NewScripted
    from conftest import NewServer
    from conftest import NewShop
    from conftest import Shop

#: More than is on its way at once.
LARGE = 2_000_000

#: So that there is an answer before the burst has been written.
PIECE = 40_000


def test_what_was_confirmed_before_a_connection_broke_is_not_sent_again(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """The rest goes out over a new connection, and no error is raised."""
    got: list[bytes] = []

    def script(body: bytes) -> str | None:
        got.append(body)
        return None if body == b"2" and got.count(b"2") == 1 else "+1-1"

    server = scripted(script)
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"2", b"3")

    assert 3 == shop.flush()
    assert [b"1", b"2", b"2", b"3"] == got
    assert 2 == server.accepted


def test_replies_before_a_connection_broke_count(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """Though it is noticed only when more is written."""
    got: list[bytes] = []

    def script(body: bytes) -> str | None:
        got.append(body[:1])
        return None if got == [b"0", b"1", b"2"] else "+1-1"

    server = scripted(script)
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(*(str(number).encode() * PIECE for number in range(10)))

    assert 10 == shop.flush()
    assert [b"0", b"1", b"2", *(b"%d" % number for number in range(2, 10))] == got


def test_a_server_that_keeps_hanging_up_is_unavailable(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """After the second time without any answer, the burst is given up."""
    server = scripted(lambda body: None)
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"2", b"3")

    with pytest.raises(BrokerUnavailableError) as caught:
        shop.flush()

    assert not isinstance(caught.value, BrokerTimeoutError)
    assert 2 == server.accepted
    assert [1, 2, 3] == shop.pending()


def test_a_server_that_gets_on_is_given_further_chances(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """A burst that loses its connection again and again, but each time later, ends."""
    breaks = [b"2", b"4", b"6"]

    def script(body: bytes) -> str | None:
        if body in breaks:
            breaks.remove(body)
            return None
        return "+1-1"

    server = scripted(script)
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(*(str(number).encode() for number in range(1, 8)))

    assert 7 == shop.flush()
    assert 4 == server.accepted


def test_a_timeout_is_not_tried_again(scripted: NewScripted, new_shop: NewShop) -> None:
    """What was not answered in time may have arrived."""
    server = scripted(lambda body: "+1-1" if body == b"1" else "")
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"2", b"3")

    failures = shop.failures(timeout=2)

    assert [1, 2] == list(failures)
    assert all(isinstance(each, BrokerTimeoutError) for each in failures.values())
    assert 1 == server.accepted


def test_half_a_reply_is_waited_for_and_not_for_ever(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """A server that stops in the middle of a reply is silent, too."""
    server = scripted(lambda body: "$3\r\n1-1" if body == b"1" else "$3\r\n1")
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"2")
    began = time.monotonic()

    failures = shop.failures(timeout=2)

    assert [1] == list(failures)
    assert isinstance(failures[1], BrokerTimeoutError)
    assert 2 <= time.monotonic() - began < 20  # it would be 30 seconds by default


def test_a_reply_in_pieces_is_put_together(
    redis_url: str, scripted: NewScripted, new_shop: NewShop
) -> None:
    """A nap between two halves of a reply loses neither."""
    later = threading.Event()

    def script(body: bytes) -> str:
        if body == b"2":
            later.wait(0.3)  # more than a nap
            return "-1\r\n+1-1"
        return "$3\r\n1-1\r\n$3\r\n1"

    server = scripted(script)
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"2")

    assert {} == shop.failures()


def test_unread_replies_are_never_taken_for_others(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """A burst that is broken off leaves no connection behind for the next one.

    Or else its replies would confirm messages that Redis has refused.
    """
    interrupted = threading.Event()

    def body(signal: t.Any) -> bytes:
        if signal.id == 3 and not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        return b"x" * PIECE

    client.set(f"{stream}.hash", "no stream")
    shop = new_shop(
        redis_url,
        signalbus_body=body,
        signalbus_stream=lambda _: f"{stream}.hash" if interrupted.is_set() else stream,
    )
    shop.record(b"1", b"2", b"3")
    with pytest.raises(KeyboardInterrupt):
        shop.failures()

    failures = shop.failures()
    client.delete(f"{stream}.hash")

    assert [0, 1, 2] == list(failures)
    assert all(isinstance(each, MessageRefusedError) for each in failures.values())


def test_late_replies_are_never_taken_for_others(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """A burst that has timed out leaves no connection behind for the next one."""
    answers = threading.Event()

    def script(body: bytes) -> str:
        answers.wait(30)
        return "+1-1" if body == b"1" else "-ERR refused"

    server = scripted(script)
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1")
    assert [0] == list(shop.failures(timeout=0.3))
    shop.record(b"2")
    answers.set()

    failures = shop.failures()

    assert isinstance(failures[0], MessageRefusedError)
    assert 2 == server.accepted


def test_a_connection_is_kept_for_the_next_burst(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """Bursts one after the other need one connection."""
    server = scripted(lambda body: "+1-1")
    shop = new_shop(server.url, signalbus_stream="orders")
    for _ in range(3):
        shop.record(b"1")
        shop.flush()

    assert 1 == server.accepted


def test_a_connection_that_was_idle_for_long_is_not_trusted(
    scripted: NewScripted, new_shop: NewShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall may have forgotten it, and would swallow what is sent."""
    monkeypatch.setattr("signalbus_redis._pool.MAX_IDLE_TIME", 0.0)
    server = scripted(lambda body: "+1-1")
    shop = new_shop(server.url, signalbus_stream="orders")
    for _ in range(3):
        shop.record(b"1")
        shop.flush()

    assert 3 == server.accepted


def test_no_more_than_ten_connections_are_kept(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """Those of more threads are closed when they have done their work."""
    everybody = threading.Barrier(12)

    def script(body: bytes) -> str:
        everybody.wait(30)
        return "+1-1"

    server = scripted(script)
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1")
    threads = [threading.Thread(target=shop.failures) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 12 == server.accepted
    assert all(server.closed.acquire(timeout=30) for _ in range(2))
    assert not server.closed.acquire(blocking=False)


def test_large_bodies_go_out_in_pieces(
    shop: Shop, client: redis.Redis, stream: str
) -> None:
    """A burst of many megabytes arrives as it is, and in its order."""
    bodies = [bytes([number]) * (LARGE if number % 3 else 10) for number in range(1, 9)]
    shop.record(*bodies)

    assert 8 == shop.flush()
    assert bodies == [fields[b"body"] for _, fields in client.xrange(stream)]


def test_a_burst_is_not_kept_in_memory(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """A large body is made when what is before it is written, and those stored."""
    stored: list[int] = []

    def body(_: object) -> bytes:
        stored.append(client.xlen(stream))
        return b"x" * LARGE

    shop = new_shop(redis_url, signalbus_stream=stream, signalbus_body=body)
    shop.record(*[b""] * 5)
    shop.flush()

    assert all(
        count >= least for count, least in zip(stored, (0, 0, 1, 2, 3), strict=True)
    )


def test_a_message_that_is_too_large_for_redis_is_refused(
    new_server: NewServer, new_shop: NewShop
) -> None:
    """Redis hangs up on it; the others of the burst are stored all the same."""
    server = new_server("--proto-max-bulk-len 1mb")
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"x" * LARGE, b"3", b"x" * LARGE, b"5")

    failures = shop.failures()

    assert [1, 3] == list(failures)
    assert all(isinstance(each, MessageRefusedError) for each in failures.values())
    stored = server.read({"signalbus_stream": "orders"})
    assert {b"1", b"3", b"5"} == {each.body for each in stored}


def test_a_message_that_breaks_connections_is_refused(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """A proxy with a limit says nothing, and hangs up: twice is enough."""
    server = scripted(lambda body: "+1-1" if len(body) < LARGE else None)
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"x" * LARGE, b"3", b"x" * LARGE, b"5")

    failures = shop.failures()

    assert [1, 3] == list(failures)
    for error in failures.values():
        assert isinstance(error, MessageRefusedError)
        assert "2,000,0" in str(error)
        assert "proto-max-bulk-len" in str(error)


def test_a_line_that_is_stuck_ends_a_write(
    new_server: NewServer, new_shop: NewShop
) -> None:
    """A body that nobody takes is a timeout, too; and a stop ends it."""
    server = new_server()
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1")
    shop.flush()
    shop.record(b"x" * 50_000_000)
    server.freeze()
    token = stopping.StopToken()
    threading.Timer(0.5, token.stop).start()
    began = time.monotonic()

    with token.active():
        failures = shop.failures()
    server.thaw()

    assert isinstance(failures[0], BrokerTimeoutError)
    assert time.monotonic() - began < 20  # it would be 30 seconds by default


def test_a_host_that_drops_packets_is_not_waited_for(new_shop: NewShop) -> None:
    """A process that is told to stop does not wait for a connection, either."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.listen(0)
        for _ in range(5):  # once its queue is full, the system drops what comes
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        shop = new_shop(f"redis://127.0.0.1:{port}", signalbus_stream="orders")
        shop.record(b"1")
        token = stopping.StopToken()
        threading.Timer(0.2, token.stop).start()
        began = time.monotonic()

        with token.active(), pytest.raises(BrokerTimeoutError):
            shop.flush()

    assert time.monotonic() - began < 10


def test_errors_name_the_host_and_what_is_wrong(new_shop: NewShop) -> None:
    """They say what to do, and have no password."""
    shop = new_shop("redis://shop:secret@127.0.0.1:1/0", signalbus_stream="orders")
    shop.record(b"1")

    with pytest.raises(BrokerUnavailableError) as caught:
        shop.flush()

    assert (
        "Redis at 127.0.0.1:1 cannot be reached: Connection refused. Start it, or"
        " correct SIGNALBUS_REDIS_URL."
    ) == str(caught.value)
