"""What a check finds, and the warning about a server that keeps nothing on disk."""

from __future__ import annotations

import logging
import typing as t

import pytest
from signalbus.testing.proxy import free_port

if t.TYPE_CHECKING:
    import redis
    from conftest import NewServer
    from conftest import NewShop
    from conftest import RedisServer
    from conftest import Shop

#: What is said about a server that keeps nothing.
NOTHING = (
    "it keeps nothing on disk, and loses all messages when it stops. Set appendonly to"
    " yes in its configuration, unless that is intended."
)


@pytest.fixture(scope="module")
def server(new_server: NewServer) -> RedisServer:
    """Give a server whose settings may be changed."""
    return new_server()


def keep(server: RedisServer, save: str, appendonly: str) -> None:
    """Let *server* keep what it stores, or not."""
    with server.client as client:
        client.config_set("save", save)
        client.config_set("appendonly", appendonly)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of the plugin."""
    return [
        record.message
        for record in caplog.records
        if record.name == "signalbus.redis" and record.levelno == logging.WARNING
    ]


def test_streams_that_exist_and_those_that_do_not_are_fine(
    shop: Shop, client: redis.Redis, stream: str
) -> None:
    """The first message creates a stream, so nothing has to be declared."""
    absent = shop.check()
    client.xadd(stream, {"body": ""})
    present = shop.check()

    assert f"Paid: stream '{stream}': ok, the first message creates it" == absent[-1]
    assert f"Paid: stream '{stream}': ok" == present[-1]


def test_another_type_of_key_is_a_problem(
    shop: Shop, client: redis.Redis, stream: str
) -> None:
    """All messages would be refused; the plugin's hook reports it, too."""
    client.hset(stream, "a", "b")

    problem = shop.check()[-1]

    assert (
        f"Paid: stream '{stream}': the key is a hash. Delete it, or choose another"
        " stream."
    ) == problem
    assert [problem] == shop.problems()


def test_streams_of_single_signals_are_not_looked_at(
    new_shop: NewShop, redis_url: str
) -> None:
    """A function of the signal may return anything."""
    shop = new_shop(redis_url, signalbus_stream=lambda signal: "orders")

    assert "Paid: a stream for each signal: not checked" == shop.check()[-1]


def test_an_absent_server_is_the_only_problem(new_shop: NewShop) -> None:
    """It is said once, however many models there are."""
    shop = new_shop(f"redis://127.0.0.1:{free_port()}", signalbus_stream="orders")

    (line,) = shop.check()

    assert "cannot be reached: Connection refused" in line
    assert [line] == shop.problems()


def test_what_may_not_be_asked_is_not_a_problem(
    server: RedisServer, new_shop: NewShop, caplog: pytest.LogCaptureFixture
) -> None:
    """A user that may only add entries can be used; managed servers are like that."""
    with server.client as client:
        client.acl_setuser(
            "adder", enabled=True, passwords=["+x"], keys=["*"], commands=["+xadd"]
        )
    shop = new_shop(
        server.url.replace("//", "//adder:x@"), signalbus_stream="permitted"
    )
    shop.record(b"1")

    lines = shop.check()

    assert 1 == shop.flush()
    assert [] == shop.problems()
    assert [] == warnings(caplog)
    assert "Persistence: unknown, since it does not permit CONFIG GET." == lines[1]
    assert "not checked, since the server says" in lines[2]


@pytest.mark.parametrize(
    ("save", "appendonly", "said"),
    [
        ("", "yes", "it keeps an append-only file."),
        ("3600 1", "yes", "it keeps an append-only file."),
        (
            "3600 1",
            "no",
            "it keeps snapshots, and loses what is newer when it crashes.",
        ),
        ("", "no", NOTHING),
    ],
)
def test_what_is_kept_on_disk_is_a_remark(
    server: RedisServer, new_shop: NewShop, save: str, appendonly: str, said: str
) -> None:
    """A cache that is used knowingly fails no deployment."""
    keep(server, save, appendonly)
    shop = new_shop(server.url, signalbus_stream="kept")

    assert f"Persistence: {said}" == shop.check()[1]
    assert [] == shop.problems()


def test_a_check_says_it_once(
    server: RedisServer, new_shop: NewShop, caplog: pytest.LogCaptureFixture
) -> None:
    """The line is enough; who sends is warned all the same."""
    keep(server, "", "no")
    shop = new_shop(server.url, signalbus_stream="kept")
    shop.check()
    logged_by_check = warnings(caplog)
    shop.record(b"1")
    shop.flush()

    assert [] == logged_by_check
    assert 1 == len(warnings(caplog))


def test_a_server_that_keeps_nothing_is_warned_about_once(
    server: RedisServer, new_shop: NewShop, caplog: pytest.LogCaptureFixture
) -> None:
    """On the first connection of a process, and on no later one."""
    keep(server, "", "no")
    shop = new_shop(server.url, signalbus_stream="kept")
    for _ in range(3):
        shop.record(b"1")
        shop.flush()
        server.drop_connections()

    assert [f"Redis at 127.0.0.1:{server.port}: {NOTHING}"] == warnings(caplog)


@pytest.mark.parametrize(("save", "appendonly"), [("3600 1", "no"), ("", "yes")])
def test_a_server_that_keeps_something_is_not_warned_about(
    server: RedisServer,
    new_shop: NewShop,
    caplog: pytest.LogCaptureFixture,
    save: str,
    appendonly: str,
) -> None:
    """Snapshots are enough for no warning; the manual says what they lose."""
    keep(server, save, appendonly)
    shop = new_shop(server.url, signalbus_stream="kept")
    shop.record(b"1")
    shop.flush()

    assert [] == warnings(caplog)
