"""What is in a message is sent as it is, or refused; it is never taken for a command.

A hostile signal is between two others. They go out; of its own message, either all
arrives as it was given, or nothing. What arrives is read by the broker's own client.
"""

from __future__ import annotations

import importlib.util
import os
import typing as t

import pytest
from takers import TAKERS

if t.TYPE_CHECKING:
    from conftest import NewShop
    from hostile import Shop
    from takers import Taker

BROKERS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(f"signalbus_{name}") is None,
            reason=f"signalbus-{name} is not installed",
        ),
    )
    for name in TAKERS
]

#: The header that nobody must be able to smuggle in.
EVIL = "Evil"

#: The headers of the hostile signal.
HEADERS: list[dict[t.Any, t.Any]] = [
    {f"a\r\n{EVIL}: 1\r\nb": "v"},
    {"a": f"v\r\n{EVIL}: 1"},
    {"a": f"v\n{EVIL}: 1"},
    {"a": f"v\r{EVIL}: 1"},
    {"a": f"v\r\n\r\nPUB evil 0\r\n\r\n{EVIL}: 1"},
    {"a": "v\0w"},
    {"a\0b": "v"},
    {f"a: 1 {EVIL}": "v"},
    {"": "v"},
    {"ä": "v"},
    {"a": "ü€\u2028\x85\x0b\x1c"},
    {"a": "\ud800"},
    {"\ud800": "v"},
    {"a" * 300: "v"},
    {"a": "v" * 70_000},
    {"a": b"\xff\r\n\x00"},
    {"a": object()},
    {1: "v"},
    {None: "v"},
    {"a": float("nan")},
    {"a": 2**70},
    {"a": {"b": [{"c": 1}] * 3}},
    {f"x{number}": "v" for number in range(1000)},
]

#: The destinations of the hostile signal; ``{}`` is that of the others.
DESTINATIONS = [
    "",
    " ",
    ".",
    "..",
    "*",
    ">",
    "{}.*",
    "{}.>",
    "{} 1",
    "{}\t",
    "{}\r\nPUB evil 0\r\n\r\n",
    "{}\n",
    "{}\0",
    "{}..x",
    ".{}",
    "\ud800",
    "ü" * 200,
    "x" * 300,
    "x" * 70_000,
    "$JS.API.STREAM.PURGE.{stream}",
    "$SYS.REQ.SERVER.PING",
    "_INBOX.x",
    "../../{}",
]


@pytest.fixture(params=BROKERS)
def taker(request: pytest.FixtureRequest) -> t.Iterator[Taker]:
    """Give a place for messages, or skip the test where the broker is missing."""
    made = TAKERS[request.param]()
    try:
        place = made.__enter__()
    except Exception as error:  # noqa: BLE001 each client has errors of its own
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"No broker: {error!r}")
    try:
        yield place
    finally:
        made.__exit__(None, None, None)


@pytest.fixture
def shop_at(new_shop: NewShop, request: pytest.FixtureRequest) -> t.Callable[..., Shop]:
    """Make a shop that sends to a taker with ``shop_at(taker, **attributes)``."""

    def make(taker: Taker, **attributes: t.Any) -> Shop:
        broker = request.node.callspec.params["taker"]
        declared = {
            "signalbus_broker": broker,
            taker.attribute: taker.name,
            **taker.attributes,
            **attributes,
        }
        if broker != "celery":
            declared["signalbus_body"] = staticmethod(lambda one: one.text.encode())
        shop = new_shop(taker.config, signalbus_burst_count=10, **declared)
        if broker == "celery":
            celery = pytest.importorskip("celery").Celery("shop", set_as_current=False)
            celery.conf.update(taker.config["CELERY"])
            shop.app.extensions["celery"] = celery
        return shop

    return make


def _name(headers: t.Any) -> str:
    """Name a case, the same in each process: without the address of an object."""
    return f"{headers!r:.40}".partition(" at 0x")[0]


def send_three(shop: Shop) -> None:
    """Send a signal, the hostile one, and another."""
    shop.record(*({"id": number, "text": f"b{number}"} for number in (1, 2, 3)))
    shop.flush_error()


@pytest.mark.parametrize("headers", HEADERS, ids=_name)
def test_headers_inject_nothing(
    taker: Taker, shop_at: t.Callable[..., Shop], headers: dict[t.Any, t.Any]
) -> None:
    """They arrive as they are, or their signal is refused and stays pending."""
    shop = shop_at(
        taker,
        signalbus_headers=staticmethod(lambda one: headers if one.id == 2 else {}),
    )
    send_three(shop)
    arrived = taker.arrived()

    assert {"b1", "b3"} <= arrived.keys() <= {"b1", "b2", "b3"}
    assert [] == shop.pending() if "b2" in arrived else [2] == shop.pending()
    assert not any(EVIL in map(_text, each) for each in arrived.values())
    if "b2" in arrived:
        names = {_text(name) for name in arrived["b2"]}
        assert {str(name) for name in headers} <= names


@pytest.mark.parametrize("where", DESTINATIONS, ids=lambda each: f"{each!r:.40}")
def test_destinations_inject_nothing(
    taker: Taker, shop_at: t.Callable[..., Shop], where: str
) -> None:
    """A destination that cannot be is refused, and its neighbours go out."""
    hostile = where.replace("{}", taker.name)
    hostile = hostile.replace("{stream}", taker.name.partition(".")[0])
    shop = shop_at(
        taker,
        **{
            taker.attribute: staticmethod(
                lambda one: hostile if one.id == 2 else taker.name
            )
        },
    )
    send_three(shop)

    assert {"b1", "b3"} == taker.arrived().keys()
    assert {*shop.pending()} <= {2}


def _text(name: t.Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


@pytest.mark.parametrize(
    "taker", [each for each in BROKERS if "nats" in each.values], indirect=True
)
@pytest.mark.parametrize("body", [b"", b"{}"])
@pytest.mark.parametrize("command", ["PURGE", "DELETE"])
def test_nats_is_not_commanded(
    taker: Taker, shop_at: t.Callable[..., Shop], command: str, body: bytes
) -> None:
    """A subject by which NATS deletes what it stores is refused."""
    stream = taker.name.partition(".")[0]
    subject = f"$JS.API.STREAM.{command}.{stream}"
    shop = shop_at(
        taker,
        signalbus_subject=staticmethod(lambda s: subject if s.id == 2 else taker.name),
    )
    shop.model.signalbus_body = staticmethod(
        lambda one: body if one.id == 2 else one.text.encode()
    )
    send_three(shop)

    assert {"b1", "b3"} == taker.arrived().keys()
    assert [2] == shop.pending()
