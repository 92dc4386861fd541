"""What probes see of a relay, and what it counts."""

from __future__ import annotations

import contextlib
import json
import typing as t
import urllib.error
import urllib.request

import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError
from signalbus import SignalBusError
from signalbus_relay._counts import Counts
from signalbus_relay._counts import ModelCounts
from signalbus_relay._health import HealthServer
from signalbus_relay._health import parse_address

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

Answer: t.TypeAlias = "tuple[int, bytes]"


@pytest.fixture
def serve() -> t.Iterator[t.Callable[..., HealthServer]]:
    """Start a server that makes the given report, at any free port."""
    servers: list[HealthServer] = []

    def start(report: t.Any, host: str = "127.0.0.1") -> HealthServer:
        server = HealthServer((host, 0), report)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def _get(server: HealthServer, path: str = "/healthz", method: str = "GET") -> Answer:
    host, port = server.address
    host = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(f"http://{host}:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 ours
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@pytest.mark.parametrize(
    ("is_well", "status", "says"), [(True, 200, "ok"), (False, 503, "unhealthy")]
)
def test_status_is_that_of_the_report(
    serve: t.Any, is_well: bool, status: int, says: str
) -> None:
    """The body has it, too, with the details."""
    server = serve(lambda: (is_well, {"lanes": {"rabbitmq": {"state": "idle"}}}))
    found, body = _get(server)

    assert status == found
    assert {"status": says, "lanes": {"rabbitmq": {"state": "idle"}}} == (
        json.loads(body)
    )


def test_report_is_made_for_each_request(serve: t.Any) -> None:
    """Nothing is kept."""
    answers = iter([(True, {}), (False, {}), (True, {})])
    server = serve(lambda: next(answers))

    assert [200, 503, 200] == [_get(server)[0] for _ in range(3)]


def test_report_that_fails_is_unhealthy(
    serve: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says why; the answer does not."""

    def fail() -> tuple[bool, dict[str, t.Any]]:
        raise ValueError("secret")

    status, body = _get(serve(fail))

    assert (503, {"status": "unhealthy"}) == (status, json.loads(body))
    assert "secret" in caplog.text


def test_other_paths_are_not_found(serve: t.Any) -> None:
    """There is nothing else."""
    server = serve(lambda: (True, {}))

    assert [404, 404] == [_get(server, path)[0] for path in ("/", "/healthz/x")]
    assert 200 == _get(server, "/healthz?verbose")[0]


def test_head_has_the_status_alone(serve: t.Any) -> None:
    """Some probes ask for no more."""
    assert (200, b"") == _get(serve(lambda: (True, {})), method="HEAD")


def test_nothing_is_printed(serve: t.Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Probes come every few seconds."""
    server = serve(lambda: (True, {}))
    _get(server)
    _get(server, "/")

    assert ("", "") == capfd.readouterr()


def test_stopped_server_frees_its_port(serve: t.Any) -> None:
    """Stopping twice is as good as once."""
    server = serve(lambda: (True, {}))
    address = server.address
    server.stop()
    server.stop()
    again = HealthServer(address, lambda: (True, {}))
    again.start()
    status, _ = _get(again)
    again.stop()

    assert 200 == status


def test_port_that_is_taken_is_an_error(serve: t.Any) -> None:
    """When the relay starts, and not later; it says which address."""
    host, port = taken = serve(lambda: (True, {})).address
    with pytest.raises(SignalBusError, match=rf"at {host}:{port}: .*in use"):
        HealthServer(taken, lambda: (True, {})).start()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_address_is_a_host_and_a_port(text: str, address: tuple[str, int]) -> None:
    """An IPv6 host is in brackets."""
    assert address == parse_address(text)


@pytest.mark.parametrize("text", ["", "8080", ":8080", "host:", "host:x", "h:70000"])
def test_address_of_another_form_is_refused(text: str) -> None:
    """The error shows one."""
    with pytest.raises(ValueError, match="Pass HOST:PORT"):
        parse_address(text)


@pytest.fixture
def parcel(db: SQLAlchemy, bus: SignalBus, app_ctx: object) -> SignalModel:
    """Declare a model of which the texts "bad" and "down" cannot be sent."""
    bus.autoflush = False

    class Parcel(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))
        signalbus_burst_count = 10

        @classmethod
        def send_signalbus_message(cls, signal: Signal) -> None:
            if signal.text == "bad":
                raise ValueError("boom")
            if signal.text == "down":
                raise BrokerUnavailableError("no route")

    db.create_all()
    return Parcel


@pytest.fixture
def counts(bus: SignalBus) -> Counts:
    """Count what the bus sends."""
    counts = Counts()
    bus.plugin_manager.register(counts)
    return counts


def _flush(db: SQLAlchemy, bus: SignalBus, model: SignalModel, *texts: str) -> None:
    db.session.add_all([model(text=text) for text in texts])
    db.session.commit()
    with contextlib.suppress(ValueError, BrokerUnavailableError):
        bus.flushmany()


def test_what_is_sent_and_what_fails_is_counted(
    db: SQLAlchemy, bus: SignalBus, parcel: SignalModel, counts: Counts
) -> None:
    """A signal that fails counts whenever it is tried."""
    _flush(db, bus, parcel, "a", "bad", "b")
    _flush(db, bus, parcel, "c")
    found = counts.of(parcel)

    assert (3, 2) == (found.sent, found.failed)
    assert "ValueError: boom" == found.last_error
    assert found.last_success == counts.last_success
    assert found.last_burst
    assert found.last_success
    assert {
        "sent": 3,
        "failed": 2,
        "last_error": "ValueError: boom",
        "last_success": found.last_success.isoformat(),
    } == found.as_json()


def test_broker_that_is_down_fails_no_signal(
    db: SQLAlchemy, bus: SignalBus, parcel: SignalModel, counts: Counts
) -> None:
    """Yet it is an error."""
    _flush(db, bus, parcel, "down")
    found = counts.of(parcel)

    assert (0, 0) == (found.sent, found.failed)
    assert "BrokerUnavailableError: no route" == found.last_error
    assert found.last_success is None


def test_nothing_is_counted_of_an_idle_model(
    parcel: SignalModel, counts: Counts
) -> None:
    """It has counts all the same."""
    assert ModelCounts() == counts.of(parcel)
    assert counts.last_success is None
