"""What an entry consists of, and where it goes."""

from __future__ import annotations

import enum
import json
import typing as t

import pytest
from signalbus import SignalModelError

if t.TYPE_CHECKING:
    import redis
    from conftest import NewShop
    from conftest import Shop


def test_an_entry_has_four_fields(shop: Shop, client: redis.Redis, stream: str) -> None:
    """They are the id, the type, the content type and the body."""
    shop.record(b"\x00paid")
    shop.flush()

    ((_, fields),) = client.xrange(stream)

    assert {
        b"id": b"paid:1",
        b"type": b"Paid",
        b"content_type": b"application/octet-stream",
        b"body": b"\x00paid",
    } == fields


def test_without_a_body_of_its_own_it_has_the_columns(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """The body is JSON, and the content type says so."""
    shop = new_shop(redis_url, signalbus_stream=stream, signalbus_body=None)
    shop.record(b"paid")
    shop.flush()

    ((_, fields),) = client.xrange(stream)

    assert b"application/json" == fields[b"content_type"]
    assert 1 == json.loads(fields[b"body"])["id"]


def test_headers_are_fields(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """Strings are UTF-8, bytes stay as they are, and numbers are written out."""
    headers = {"country": "Österreich", "raw": b"\xff", "count": -3, "share": 0.1}
    shop = new_shop(redis_url, signalbus_stream=stream, signalbus_headers=headers)
    shop.record(b"")
    shop.flush()

    ((_, fields),) = client.xrange(stream)

    assert {
        b"country": "Österreich".encode(),
        b"raw": b"\xff",
        b"count": b"-3",
        b"share": b"0.1",
    } == dict(list(fields.items())[4:])


def test_a_header_that_is_a_member_of_an_enum_is_its_number(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """It is an integer, and is written as one."""
    headers = {"color": enum.IntEnum("Color", "RED")["RED"]}
    shop = new_shop(redis_url, signalbus_stream=stream, signalbus_headers=headers)
    shop.record(b"")
    shop.flush()

    ((_, fields),) = client.xrange(stream)

    assert b"1" == fields[b"color"]


def test_no_header_replaces_a_field(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """A header with the name of a field gets a prefix, and so does one that has it."""
    headers = {"id": "1", "body": "2", "type": "3", "content_type": "4"}
    headers |= {"header.id": "5", "header": "6"}
    shop = new_shop(redis_url, signalbus_stream=stream, signalbus_headers=headers)
    shop.record(b"paid")
    shop.flush()

    ((_, fields),) = client.xrange(stream)

    assert (b"paid:1", b"paid") == (fields[b"id"], fields[b"body"])
    assert {
        b"header.id": b"1",
        b"header.body": b"2",
        b"header.type": b"3",
        b"header.content_type": b"4",
        b"header.header.id": b"5",
        b"header": b"6",
    } == dict(list(fields.items())[4:])


@pytest.mark.parametrize(
    "headers",
    [{"n": None}, {"n": True}, {"n": [1]}, {1: "n"}, {"n": "\ud800"}, {"\ud800": "n"}],
    ids=["none", "bool", "list", "name", "surrogate", "surrogate-name"],
)
def test_a_header_that_cannot_be_sent_fails_its_signal(
    new_shop: NewShop,
    redis_url: str,
    client: redis.Redis,
    stream: str,
    headers: dict[t.Any, t.Any],
) -> None:
    """The others of the burst go out."""
    shop = new_shop(
        redis_url,
        signalbus_stream=stream,
        signalbus_headers=lambda signal: headers if signal.id == 2 else {},
    )
    shop.record(b"1", b"2", b"3")

    failures = shop.failures()

    assert [1] == list(failures)
    assert isinstance(failures[1], (TypeError, ValueError))
    assert f"The header {next(iter(headers))!r} " in str(failures[1])
    assert 2 == client.xlen(stream)


def test_each_signal_may_have_a_stream_of_its_own(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """The attribute may be a function of the signal."""
    shop = new_shop(
        redis_url, signalbus_stream=lambda signal: f"{stream}.{signal.id % 2}"
    )
    shop.record(b"1", b"2", b"3")
    shop.flush()

    lengths = [client.xlen(f"{stream}.{number}") for number in (0, 1)]
    client.delete(f"{stream}.0", f"{stream}.1")

    assert [1, 2] == lengths


def test_a_stream_is_trimmed_to_about_its_length(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """Redis trims whole nodes of a hundred entries, so a few more stay; never fewer."""
    shop = new_shop(redis_url, signalbus_stream=stream, signalbus_stream_maxlen=250)
    shop.record(*[b"paid"] * 1000)

    assert 1000 == shop.flush()
    assert 250 <= client.xlen(stream) < 450
    assert b"paid:1000" == client.xrevrange(stream, count=1)[0][1][b"id"]


def test_each_signal_may_say_how_much_is_kept(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """The length may be a function of the signal; ``None`` keeps everything."""
    shop = new_shop(
        redis_url,
        signalbus_stream=stream,
        signalbus_stream_maxlen=lambda signal: {999: None, 1000: 0}.get(signal.id, 1),
    )
    shop.record(*[b"paid"] * 1000)

    failures = shop.failures()

    assert [999] == list(failures)
    assert "returned 0" in str(failures[999])
    assert client.xlen(stream) < 300


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"signalbus_stream": 7},
        {"signalbus_stream": b"orders"},
        {"signalbus_stream": "orders", "signalbus_stream_maxlen": 0},
        {"signalbus_stream": "orders", "signalbus_stream_maxlen": True},
        {"signalbus_stream": "orders", "signalbus_stream_maxlen": "1000"},
    ],
)
def test_a_model_that_cannot_be_sent_is_refused(
    new_shop: NewShop, attributes: dict[str, t.Any]
) -> None:
    """Before anything is sent, and by its name."""
    shop = new_shop("redis://127.0.0.1:1", **attributes)

    with pytest.raises(SignalModelError, match=r"Paid .*signalbus_stream"):
        shop.flush()
