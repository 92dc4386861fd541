"""The health report of a relay serves probes, whoever else connects."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import typing as t

import pytest
from signalbus_relay import _health
from signalbus_relay._health import HealthServer

REPORT = {"lanes": {"kafka": {"last_error": "no"}}}


@pytest.fixture
def server() -> t.Iterator[HealthServer]:
    """Give a server that reports."""
    made = HealthServer(("127.0.0.1", 0), lambda: (True, REPORT))
    made.start()
    yield made
    made.stop()


def ask(server: HealthServer, request: bytes) -> bytes:
    """Send bytes, and return all that is answered."""
    with socket.create_connection(server.address, timeout=30) as client:
        client.sendall(request)
        with contextlib.suppress(ConnectionResetError):
            return b"".join(iter(lambda: client.recv(65536), b""))
        return b""


GOOD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def test_one_request_is_answered_on_a_connection(server: HealthServer) -> None:
    """So none can be smuggled in behind another, in a body, or by two lengths."""
    smuggled = (
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GOOD
    )

    assert 1 == ask(server, GOOD + GOOD).count(b"HTTP/1.0 200")
    assert 1 == ask(server, smuggled).count(b"HTTP/1.0 ")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "CONNECT", "X"])
def test_other_methods_do_nothing(server: HealthServer, method: str) -> None:
    """They are not implemented, and the answer quotes nothing."""
    answer = ask(server, f"{method} /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.0 501 ")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET /healthz HTTP/1.1\r\nx: " + b"x" * 100_000 + b"\r\n\r\n", b"431"),
        (b"GET /healthz HTTP/1.1\r\n" + b"x: 1\r\n" * 1000 + b"\r\n", b"431"),
        (b"GET /<script> HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b"404"),
        (b"GET //healthz/%2e%2e/x HTTP/1.1\r\n\r\n", b"404"),
        (b"<script> /healthz HTTP/1.1\r\n\r\n", b"501"),
        (b"GET /healthz HTTP/9.9\r\n\r\n", b"505"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", b"400"),
        (b"\xff\xfe\x00 a b c\r\n\r\n", b"400"),
    ],
    ids=lambda each: f"{each!r:.20}",
)
def test_nonsense_is_refused_and_not_quoted(
    server: HealthServer, request_: bytes, status: bytes
) -> None:
    """However long it is."""
    answer = ask(server, request_)

    assert answer[9:12] in {status, b""}  # it may hang up on who still sends
    assert b"script" not in answer
    assert b"passwd" not in answer
    assert b"200" in ask(server, GOOD)


def test_a_report_is_no_page(server: HealthServer) -> None:
    """A browser takes it for JSON, and keeps no copy."""
    head, _, body = ask(server, GOOD).partition(b"\r\n\r\n")

    assert {"status": "ok", **REPORT} == json.loads(body)
    assert b"Content-Type: application/json" in head
    assert b"X-Content-Type-Options: nosniff" in head
    assert b"Cache-Control: no-store" in head
    assert b"Python" not in head


def test_silent_clients_keep_nobody_waiting(server: HealthServer) -> None:
    """Neither probes nor a relay that stops."""
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(socket.create_connection(server.address))
            client.sendall(b"GET /heal")

        assert b"200" in ask(server, GOOD)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        stopper.join(30)
        assert not stopper.is_alive()


def test_a_client_that_dribbles_is_left(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time does not begin again with each byte."""
    monkeypatch.setattr(_health, "_TIMEOUT", 0.2)
    with (
        socket.create_connection(server.address, timeout=0.05) as client,
        contextlib.suppress(ConnectionError),
    ):
        for _ in range(600):
            client.sendall(b"G")
            with contextlib.suppress(TimeoutError):
                assert b"" == client.recv(1)
                return
        pytest.fail("It was served all the time.")


def test_too_many_clients_are_turned_away(
    server: HealthServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are no more threads than that, and soon there is room again."""
    monkeypatch.setattr(_health, "_MAX_CLIENTS", 3)
    monkeypatch.setattr(_health, "_TIMEOUT", 2.0)
    threads = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(socket.create_connection(server.address))
        answers = [ask(server, GOOD) for _ in range(3)]

        assert threading.active_count() <= threads + 4
        assert b"" in answers
    answer = b""
    while not answer:
        answer = ask(server, GOOD)

    assert b"200" in answer
