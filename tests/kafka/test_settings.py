"""The setting ``SIGNALBUS_KAFKA``: what it takes, what it refuses, what it hides."""

from __future__ import annotations

import json
import logging
import typing as t

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import SettingError

if t.TYPE_CHECKING:
    from conftest import Cluster
    from conftest import Shop

PASSWORD = "correct horse"  # noqa: S105 nobody's


def make_app(value: object) -> Flask:
    """Make an app with the setting, and its bus, which reads it."""
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    app.config["SIGNALBUS_KAFKA"] = value
    SignalBus(SQLAlchemy(app))
    return app


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acks", 0),
        ("acks", "1"),
        ("request.required.acks", 1),
        ("enable.idempotence", False),
        ("enable.idempotence", "false"),
        ("queuing.strategy", "lifo"),
        ("retries", 0),
        ("message.send.max.retries", "0"),
        ("delivery.report.only.error", True),
        ("transactional.id", "shop"),
        ("error_cb", print),
        ("on_delivery", print),
        ("logger", logging.getLogger()),
    ],
)
def test_what_weakens_the_promises_is_refused(name: str, value: object) -> None:
    """The error names the setting of librdkafka, and says why it cannot be."""
    with pytest.raises(SettingError, match=rf"SIGNALBUS_KAFKA .*'{name}'.* but "):
        make_app({"bootstrap.servers": "localhost:9092", name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acks", "all"),
        ("acks", -1),
        ("enable.idempotence", True),
        ("enable.idempotence", "True"),
        ("retries", 5),
        ("linger.ms", 0),
        ("security.protocol", "SASL_SSL"),
        ("stats_cb", print),
    ],
)
def test_all_else_is_left_to_librdkafka(name: str, value: object) -> None:
    """What promises as much as before is fine, however it is written."""
    make_app({"bootstrap.servers": "localhost:9092", name: value})


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_setting_signals_stay_pending(
    open_shop: t.Callable[..., Shop], value: str | None
) -> None:
    """The app starts; a flush says what is missing."""
    shop = open_shop(SIGNALBUS_KAFKA=value)
    paid = shop.declare(signalbus_topic="orders")
    shop.record(paid, "a")

    with pytest.raises(BrokerUnavailableError, match="SIGNALBUS_KAFKA is not set"):
        shop.bus.flushmany()

    assert ["a"] == shop.pending(paid)


def test_it_may_be_json(
    open_shop: t.Callable[..., Shop], cluster: Cluster, topic: str
) -> None:
    """The environment has only texts."""
    text = json.dumps({"bootstrap.servers": cluster.servers})
    shop = open_shop(SIGNALBUS_KAFKA=text)
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "a")

    assert 1 == shop.bus.flushmany()
    assert [b"a"] == cluster.values(topic)


@pytest.mark.parametrize(
    "value",
    [
        f"localhost:9092 {PASSWORD}",
        f'{{"sasl.password": "{PASSWORD}"',
        f'["{PASSWORD}"]',
        [PASSWORD],
        9092,
    ],
)
def test_what_is_no_mapping_is_not_shown(value: object) -> None:
    """The error says what to set it to; the value may have a password."""
    with pytest.raises(SettingError, match="Set it to a mapping") as caught:
        make_app(value)

    assert PASSWORD not in str(caught.value)
    assert None is caught.value.__cause__


def test_names_are_strings() -> None:
    """A mapping with other keys is refused."""
    with pytest.raises(SettingError, match="has the key 9092"):
        make_app({9092: "localhost"})


def test_servers_must_be_named() -> None:
    """Nothing works without, and librdkafka would only log a warning."""
    with pytest.raises(SettingError, match=r"has no 'bootstrap\.servers'"):
        make_app({"client.id": "shop"})


def test_servers_are_one_text() -> None:
    """A list would go to librdkafka as Python shows it, and name no host."""
    with pytest.raises(SettingError, match="with commas in between"):
        make_app({"bootstrap.servers": ["kafka-1.example:9092", "kafka-2.example"]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"bootstrap.server": "localhost:9092"},
        {"linger.ms": "soon"},
        {"security.protocol": PASSWORD},
        {"ssl.key.pem": PASSWORD, "security.protocol": "ssl"},
        {"sasl.mechanism": "PLAIN", "sasl.username": "shop", "debug": PASSWORD},
    ],
)
def test_what_librdkafka_refuses_is_told_without_secrets(
    open_shop: t.Callable[..., Shop], wrong: dict[str, t.Any]
) -> None:
    """It is found when something is sent; signals stay pending."""
    shop = open_shop({**wrong, "sasl.password": PASSWORD})
    paid = shop.declare(signalbus_topic="orders")
    shop.record(paid, "a")

    with pytest.raises(BrokerUnavailableError, match="SIGNALBUS_KAFKA cannot be used"):
        shop.bus.flushmany()
    with pytest.raises(BrokerUnavailableError) as caught:
        shop.bus.flushmany()

    error: BaseException | None = caught.value
    while error is not None:
        assert PASSWORD not in repr(error)
        error = error.__cause__ or error.__context__
    assert ["a"] == shop.pending(paid)


def test_librdkafka_logs_at_level_debug(
    open_shop: t.Callable[..., Shop],
    cluster: Cluster,
    topic: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Its lines are for those who look for them, and never go to standard error."""
    caplog.set_level(logging.DEBUG, "signalbus.kafka")
    secrets = {"sasl.password": PASSWORD, "client.id": f"shop {PASSWORD}"}
    shop = open_shop({**secrets, "debug": "all"})
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "a")
    shop.bus.flushmany()
    cluster.stop()
    shop.record(paid, "b")

    with pytest.raises(BrokerUnavailableError):
        shop.bus.flushmany()

    lines = [each for each in caplog.records if each.name == "signalbus.kafka"]
    assert {"DEBUG"} == {each.levelname for each in lines}
    assert any("Connection refused" in each.message for each in lines)
    assert PASSWORD not in caplog.text
    assert ("", "") == capfd.readouterr()
