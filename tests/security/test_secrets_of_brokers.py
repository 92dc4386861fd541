"""The password of a broker is told to nobody but the broker."""

from __future__ import annotations

import importlib.util
import typing as t
from urllib.parse import quote

import hostile
import pytest
from hostile import reprs_of_ours
from hostile import texts_of
from signalbus import SignalBusError

if t.TYPE_CHECKING:
    from conftest import NewShop
    from hostile import Shop

#: Of this file alone: objects of other tests may still be there.
SECRET = f"{hostile.SECRET}-of-brokers"

PASSWORD = f"/{SECRET}@:% #?"
ENCODED = quote(PASSWORD, safe="")

#: What models of each broker declare.
ATTRIBUTES: dict[str, dict[str, t.Any]] = {
    "rabbitmq": {"signalbus_exchange": "", "signalbus_routing_key": "orders"},
    "redis": {"signalbus_stream": "orders"},
    "nats": {"signalbus_subject": "orders.paid"},
    "kafka": {"signalbus_topic": "orders"},
    "celery": {"signalbus_task": "shop.take"},
}

#: The schemes of URLs, and where the settings have them.
URLS: dict[str, tuple[str, t.Callable[[t.Any], dict[str, t.Any]]]] = {
    "rabbitmq": ("amqp", lambda url: {"SIGNALBUS_RABBITMQ_URL": url}),
    "redis": ("redis", lambda url: {"SIGNALBUS_REDIS_URL": url}),
    "nats": ("nats", lambda url: {"SIGNALBUS_NATS_URL": url}),
    "kafka": (
        "sasl_plaintext",
        lambda url: {
            "SIGNALBUS_KAFKA": {
                "bootstrap.servers": url,
                "sasl.mechanism": "PLAIN",
                "security.protocol": "sasl_plaintext",
                "sasl.username": "shop",
                "sasl.password": PASSWORD,
            }
        },
    ),
    "celery": ("amqp", lambda url: {"CELERY": {"broker_url": url}}),
}

BROKERS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(f"signalbus_{name}") is None,
            reason=f"signalbus-{name} is not installed",
        ),
    )
    for name in URLS
]

#: Kafka has no URL.
WITH_URLS = [each for each in BROKERS if each.values != ("kafka",)]

#: What people write who do not know how to write a URL, or do not look.
MALFORMED = [
    f"{{}}://shop:12/{SECRET}@127.0.0.1:1/0",
    f"{{}}://shop:12?{SECRET}@127.0.0.1:1/0",
    f"{{}}://shop:12#{SECRET}@127.0.0.1:1/0",
    f"{{}}://shop:{SECRET}@127.0.0.1:port/0",
    f"{{}}://shop:{SECRET}@127.0.0.1:99999/0",
    f"{{}}://shop:{SECRET}@",
    f"{{}}://shop:{SECRET}",
    f"{{}}://shop:{SECRET}@[::1/0",
    f"{{}}://shop:[{SECRET}]@127.0.0.1:1/0",
    f"{{}}://shop:a,{SECRET}@127.0.0.1:1/0",
    f"{{}}://shop:{SECRET}%zz@127.0.0.1:1/0?password={SECRET}",
    f"{{}}://shop:\n{SECRET}@127.0.0.1:1/0",
    f"shop:{SECRET}@127.0.0.1:1",
    f"http://shop:{SECRET}@127.0.0.1:1",
    f":{SECRET}@",
    ["{}://shop", SECRET],
    {"url": SECRET},
    b"{}://shop:" + SECRET.encode(),
]


def shop_of(new_shop: NewShop, broker: str, url: t.Any, **config: t.Any) -> Shop:
    """Return a shop that sends to *broker* at *url*, with one pending signal."""
    settings = URLS[broker][1](url)
    shop = new_shop(
        {**settings, **config}, signalbus_broker=broker, **ATTRIBUTES[broker]
    )
    if broker == "celery":
        celery = pytest.importorskip("celery").Celery("shop", set_as_current=False)
        celery.conf.broker_url = url
        shop.app.extensions["celery"] = celery
    shop.record({"id": 1})
    return shop


def url_of(broker: str, place: str) -> str:
    """Return the URL of a broker at *place*, with the password; Kafka has no URL."""
    if broker == "kafka":
        return place
    path = "" if broker == "nats" else "/0"
    return f"{URLS[broker][0]}://shop:{ENCODED}@{place}{path}"


def all_said(shop: Shop, broker: str) -> list[str]:
    """Return what a flush, the commands and our objects say of a shop."""
    said = texts_of(shop.flush_error())
    if importlib.util.find_spec("signalbus_cli"):
        said += [shop.run("flushmany"), shop.run("check"), shop.run(broker, "check")]
        said += [shop.run("signals"), shop.run("pending")]
    return said + reprs_of_ours()


@pytest.mark.parametrize("place", ["127.0.0.1:{port}", "no-such-host.invalid:1"])
@pytest.mark.parametrize("broker", BROKERS)
def test_an_unreachable_broker_is_told_without_its_password(
    broker: str,
    place: str,
    new_shop: NewShop,
    free_port: int,
    logged: t.Callable[[], list[str]],
) -> None:
    """In errors and their causes, logs, commands, and the ``repr`` of our objects."""
    url = url_of(broker, place.format(port=free_port))
    shop = shop_of(new_shop, broker, url)
    said = all_said(shop, broker) + logged()

    assert [1] == shop.pending()
    assert any("unavailable" in text.lower() for text in said)
    assert not [text for text in said if SECRET in text]


@pytest.mark.parametrize("url", MALFORMED)
@pytest.mark.parametrize("broker", WITH_URLS)
def test_a_malformed_url_is_told_without_its_password(
    broker: str,
    url: t.Any,
    new_shop: NewShop,
    logged: t.Callable[[], list[str]],
) -> None:
    """Whether it is refused at once, or leads nowhere."""
    if isinstance(url, str):
        url = url.replace("{}", URLS[broker][0])
    said: list[str] = []
    try:
        shop = shop_of(new_shop, broker, url)
    except SignalBusError as error:
        said += texts_of(error)
    else:
        said += all_said(shop, broker)
        assert [1] == shop.pending()
    said += logged()

    assert not [text for text in said if SECRET in text]


@pytest.mark.parametrize("login", [f"shop:{SECRET}@", f"sasl_ssl://a:b/{SECRET}@"])
def test_a_login_among_the_servers_of_kafka_is_told_to_nobody(
    login: str,
    new_shop: NewShop,
    free_port: int,
    logged: t.Callable[[], list[str]],
) -> None:
    """It is of no use there, but it is a password."""
    pytest.importorskip("signalbus_kafka")
    shop = shop_of(new_shop, "kafka", f"{login}127.0.0.1:{free_port}")
    said = all_said(shop, "kafka") + logged()

    assert [1] == shop.pending()
    assert not [text for text in said if SECRET in text]
