"""The pictures of the manual are made by this test: run `hatch run screenshots`."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from conftest import Browser
    from conftest import Wire
    from signalbus.typing import SignalModel

pytest.importorskip("selenium")

Shop: t.TypeAlias = "dict[str, SignalModel]"

#: The first bytes of a picture.
PNG = b"\x89PNG"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder in which the pictures of the manual are, if they are wanted."""
    return Path(os.environ.get("SIGNALBUS_SCREENSHOTS", tmp_path))


@pytest.fixture
def shop(new_model: t.Any) -> Shop:
    """Declare the signal models of a shop."""
    card = sa.Column(sa.String(20), default="4111 1111 1111 1111")
    cents = sa.Column(sa.Integer, default=1995)
    hidden = {"card_number": card, "signalbus_hidden": ("card_number",)}
    return {
        "OrderPaid": new_model("OrderPaid", cents=cents, **hidden),
        "OrderPlaced": new_model("OrderPlaced"),
        "ParcelSent": new_model("ParcelSent"),
    }


def test_all_is_well(
    browser: Browser, shop: Shop, add_relay: t.Any, folder: Path
) -> None:
    """Two relays are running, and everything is sent."""
    add_relay(2, OrderPaid={"sent": 48_212}, OrderPlaced={"sent": 51_907})
    add_relay(9, OrderPaid={"sent": 47_950}, ParcelSent={"sent": 12_044})
    take(browser, "/", folder / "dashboard-well.png")


def test_some_have_failed(  # noqa: D103 the name says it
    browser: Browser,
    shop: Shop,
    add_relay: t.Any,
    record: t.Any,
    fail: t.Any,
    visit: t.Any,
    folder: Path,
) -> None:
    add_relay(2, OrderPaid={"sent": 48_212}, OrderPlaced={"sent": 51_907})
    fail_some(shop, fail, visit)
    record(shop["OrderPlaced"], *map(str, range(37)))
    take(browser, "/", folder / "dashboard-failing.png")
    take(browser, "/models/OrderPaid/failures", folder / "dashboard-failures.png")
    address = "/models/OrderPaid/signal?key=1"
    take(browser, address, folder / "dashboard-signal.png")


def test_others(  # noqa: D103 for those who design
    browser: Browser,
    shop: Shop,
    add_relay: t.Any,
    record: t.Any,
    fail: t.Any,
    visit: t.Any,
    wire: Wire,
    flush: t.Any,
    tmp_path: Path,
) -> None:
    folder = Path(os.environ.get("SIGNALBUS_SCREENSHOTS_MORE", tmp_path))
    add_relay(100, OrderPaid={"sent": 48_212}, OrderPlaced={"sent": 51_907})
    fail_some(shop, fail, visit)
    wire.is_down = True
    record(shop["OrderPlaced"], *map(str, range(37)))
    flush()
    for scheme, width in [("dark", 1000), ("light", 360), ("dark", 360)]:
        browser.look(scheme=scheme, width=width)
        for name, path in {
            "overview": "/",
            "failures": "/models/OrderPaid/failures",
            "signal": "/models/OrderPaid/signal?key=1",
            "discard": "/models/OrderPaid/discard?error=account",
        }.items():
            browser.open(path)
            browser.picture(folder / f"{name}-{scheme}-{width}.png")


def fail_some(shop: Shop, fail: t.Any, visit: t.Any) -> None:
    """Let some signals fail, and park one."""
    errors: dict[str, Exception] = {
        f"Order {number}": LookupError(f"There is no account {number}.")
        for number in range(4017, 4021)
    }
    errors["Order 4100"] = ValueError("The amount of 'order 4100' is negative.")
    errors["Order 4101"] = RuntimeError(
        "amqp://shop:secret@broker.internal/ has refused the message: NO_ROUTE\n"
        "caused by KeyError: 'orders.paid'"
    )
    fail(shop["OrderPaid"], **errors)
    visit.post("/models/OrderPaid/park", "/models/OrderPaid/failures", key="1")


def take(browser: Browser, path: str, picture: Path) -> None:
    """Make a picture of a page, which has been watched for a few seconds."""
    browser.look(width=1000)
    browser.open(path)
    if path == "/":
        spark = browser.find("[data-spark=pending] polyline")
        browser.wait(lambda: len(str(spark.get_attribute("points")).split()) > 6)
    picture.parent.mkdir(exist_ok=True)
    browser.picture(picture)

    assert picture.read_bytes().startswith(PNG)
