"""Bodies are made of columns: as valid JSON, or not at all, and never as code."""

from __future__ import annotations

import decimal
import json
import math
import typing as t

import pytest
import sqlalchemy as sa
from signalbus.messages import MessageFactory

if t.TYPE_CHECKING:
    from conftest import NewShop

TEXTS = [
    "\x00\x1f\x7f",
    "\u2028\u2029",
    "</script>",
    '"\\',
    "ü😀",
    "\ufeff",
    "x" * 1_000_000,
]


def body_of(shop: t.Any, **columns: t.Any) -> bytes:
    """Return the body of a signal with these columns."""
    with shop.app.app_context():
        body: bytes = MessageFactory(shop.model).body(shop.model(id=1, **columns))
    return body


@pytest.fixture(params=["columns", "marshmallow"])
def shop(new_shop: NewShop, request: pytest.FixtureRequest) -> t.Any:
    """Give a shop whose bodies are made in one of the ways that there are."""
    if request.param == "marshmallow":
        pytest.importorskip("signalbus_marshmallow")
    shop = new_shop(
        text=sa.Column(sa.Text),
        number=sa.Column(sa.Float),
        large=sa.Column(sa.Numeric(25, 0)),
        data=sa.Column(sa.LargeBinary),
        more=sa.Column(sa.JSON),
        signalbus_broker="memory",
    )
    shop.bus.get_signal_models()
    is_schema = hasattr(shop.model, "__marshmallow_schema__")
    if (request.param == "marshmallow") != is_schema:
        if request.param == "marshmallow":
            pytest.skip("The plugin has not made a schema.")
        shop.model.__marshmallow_schema__ = None
    return shop


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:20])
def test_any_text_is_a_string(shop: t.Any, text: str) -> None:
    """It comes back as it was, from strict JSON."""
    assert text == json.loads(body_of(shop, text=text))["text"]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_json(shop: t.Any, number: float) -> None:
    """``NaN`` is refused: other languages do not read it."""
    with pytest.raises(ValueError, match=r"JSON compliant|[Nn]a[Nn]|Special numeric"):
        body_of(shop, number=number)


def test_a_lone_surrogate_is_refused(shop: t.Any) -> None:
    """Where it would be no UTF-8; an escape of JSON may stand for it."""
    try:
        body = body_of(shop, text="\ud800")
    except UnicodeEncodeError:
        return

    assert b"\\ud800" in body
    body.decode()


def test_large_numbers_are_exact(shop: t.Any) -> None:
    """As texts, or as numbers with all their digits."""
    large = decimal.Decimal("9" * 25)
    body = json.loads(body_of(shop, large=large), parse_int=str)

    assert "9" * 25 == str(body["large"]).partition(".")[0]


def test_bytes_are_a_text_or_refused(shop: t.Any) -> None:
    """A schema of marshmallow has no field for bytes that are no UTF-8."""
    try:
        body = json.loads(body_of(shop, data=b"\xff\x00"))
    except UnicodeDecodeError:
        assert shop.model.__marshmallow_schema__ is not None
    else:
        assert "/wA=" == body["data"]


def test_objects_are_not_pickled(shop: t.Any) -> None:
    """What JSON does not have is an error."""
    with pytest.raises(Exception, match=r"(?i)json|serializ"):
        body_of(shop, more={"a": object()})


def test_deep_values_are_an_error_of_one_signal(shop: t.Any) -> None:
    """They end neither the process nor the burst."""
    deep: t.Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises((RecursionError, ValueError)):
        body_of(shop, more=deep)
