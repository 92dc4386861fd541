"""What NATS takes for a duplicate is sent again if it is not one."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from conftest import Server
    from conftest import Shop

    NewShop: t.TypeAlias = t.Callable[..., Shop]


def test_a_signal_that_is_sent_again_is_stored_once(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """As after a crash between the confirm and the deletion, of a whole burst."""
    numbers = range(1500)
    shop().send(*numbers)

    shop().send(*numbers)

    assert [b"%d" % number for number in numbers] == broker_server.bodies(stream)


@pytest.mark.parametrize(
    "other",
    [
        {"signalbus_body": lambda _: b"another"},
        {"signalbus_body": lambda _: b""},
        {"signalbus_headers": {"Message-Type": "Another"}},
    ],
)
def test_another_signal_with_the_same_id_is_not_lost(
    shop: NewShop, broker_server: Server, stream: str, other: dict[str, t.Any]
) -> None:
    """Tables of two services may have the same name, and a stream in common."""
    shop().send(1, 2)

    shop(**other).send(1, 3)

    ids = [message.id for message in broker_server.messages(stream)]
    assert ["paid:1", "paid:2", "paid:3"] == sorted(ids)[:1] + sorted(ids)[2:]
    assert sorted(ids)[1].startswith("paid:1:")


def test_a_message_that_the_stream_has_no_more_is_sent_again(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """A work queue deletes what was consumed: nobody can tell what it was."""
    shop().send(1)
    broker_server.run(lambda _, js: js.delete_msg(stream, 1))

    shop().send(1)

    assert [b"1"] == broker_server.bodies(stream)


def test_without_the_right_to_look_it_is_sent_again(
    restricted: Server, shop_of: NewShop
) -> None:
    """Twice is better than never."""
    shop = shop_of(f"nats://shop:pw@{restricted.address}", "Orders.1")
    shop.send(1)

    shop.send(1)

    assert [b"1", b"1"] == restricted.bodies("Orders")


@pytest.mark.parametrize("is_reused", [True, False])
def test_keys_that_sqlite_reuses_lose_nothing(
    shop: NewShop, broker_server: Server, stream: str, is_reused: bool
) -> None:
    """An empty table begins with 1 again, unless it has AUTOINCREMENT."""
    sending = shop(
        id=sa.Column(sa.Integer, primary_key=True),
        signalbus_body=lambda _: b"tick",
        __table_args__={"sqlite_autoincrement": not is_reused},
    )
    with sending.app.app_context():
        sending.db.create_all()
        for _ in range(3):
            sending.db.session.add(sending.model(text="tick"))
            sending.db.session.commit()

    assert [b"tick"] * 3 == broker_server.bodies(stream)
