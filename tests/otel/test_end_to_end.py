"""One trace leads from an HTTP request to the consumer, through three processes."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import typing as t
import urllib.request
from pathlib import Path

import pytest

SHOP = Path(__file__).with_name("shop.py")

RABBITMQ_URL = os.environ.get(
    "SIGNALBUS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"
)

#: What the processes need beside the API.
NEEDED = (
    "opentelemetry.sdk",
    "opentelemetry.instrumentation.flask",
    "signalbus_rabbitmq",
    "signalbus_relay",
)


@pytest.fixture
def queue() -> t.Iterator[str]:
    """Declare a queue on the broker."""
    for module in NEEDED:
        pytest.importorskip(module)
    import pika

    name = f"signalbus.{secrets.token_hex(6)}"
    try:
        connection = pika.BlockingConnection(pika.URLParameters(RABBITMQ_URL))
    except pika.exceptions.AMQPConnectionError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"No RabbitMQ: {error!r}"
        )
    connection.channel().queue_declare(name, durable=True)
    yield name
    connection.channel().queue_delete(name)
    connection.close()


@pytest.mark.broker
@pytest.mark.parametrize(("count", "sent"), [(1, "send"), (3, "create")])
def test_one_trace_leads_from_the_request_to_the_consumer(
    count: int, sent: str, queue: str, engine_url: str, tmp_path: Path
) -> None:
    """Request, sending and processing, each a child of the one before."""

    def start(role: str) -> subprocess.Popen[str]:
        environment = {
            "QUEUE": queue,
            "SPANS": str(tmp_path / role),
            "DATABASE_URL": engine_url,
            "RABBITMQ_URL": RABBITMQ_URL,
        }
        return subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, "-W", "ignore", str(SHOP), role],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def spans(role: str) -> list[dict[str, t.Any]]:
        lines = tmp_path.joinpath(role).read_text().splitlines()
        return [json.loads(line) for line in lines]

    with start("web") as web:
        assert web.stdout is not None
        url = f"http://127.0.0.1:{int(web.stdout.readline())}/orders/{count}"
        with urllib.request.urlopen(url, b"") as answer:
            assert b"paid" == answer.read()
        web.communicate()
    for role in ("relay", "consumer"):
        with start(role) as process:
            process.communicate(timeout=60)
        assert 0 == process.returncode

    (request,) = spans("web")
    sendings = [each for each in spans("relay") if each["name"] == f"{sent} {queue}"]
    processings = spans("consumer")

    assert "POST /orders/<int:count>" == request["name"]
    assert [count] * 2 == [len(sendings), len(processings)]
    assert {request["context"]["trace_id"]} == {
        span["context"]["trace_id"] for span in (*sendings, *processings)
    }
    assert {request["context"]["span_id"]} == {each["parent_id"] for each in sendings}
    assert {each["context"]["span_id"] for each in sendings} == {
        each["parent_id"] for each in processings
    }
    assert {f"process {queue}"} == {each["name"] for each in processings}
