"""What the replies of Redis make of a message: confirmed, refused, or put off."""

from __future__ import annotations

import typing as t

import pytest
from signalbus import BrokerUnavailableError
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import MessageRefusedError
from signalbus.testing.proxy import free_port

if t.TYPE_CHECKING:
    import redis
    from conftest import NewScripted
    from conftest import NewServer
    from conftest import NewShop
    from conftest import RedisServer


@pytest.fixture(scope="module")
def server(new_server: NewServer) -> RedisServer:
    """Give a server whose settings may be changed."""
    return new_server()


def test_a_key_that_is_not_a_stream_refuses_its_message_only(
    new_shop: NewShop, redis_url: str, client: redis.Redis, stream: str
) -> None:
    """The others of the burst are confirmed; the error names the key."""
    client.set(f"{stream}.hash", "no stream")
    shop = new_shop(
        redis_url,
        signalbus_stream=lambda signal: stream + (".hash" if signal.id == 2 else ""),
    )
    shop.record(b"1", b"2", b"3")

    failures = shop.failures()
    client.delete(f"{stream}.hash")

    assert [1] == list(failures)
    assert isinstance(failures[1], MessageRefusedError)
    assert f"{stream}.hash" in str(failures[1])
    assert "Delete that key" in str(failures[1])
    assert 2 == client.xlen(stream)


@pytest.mark.parametrize(
    "reply",
    [
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "NOPERM this user has no permissions to access one of the keys",
        "MOVED 866 127.0.0.1:6381",
        "ERR The stream has exhausted the last possible ID",
        "ANYTHING else",
    ],
)
def test_errors_about_a_message_refuse_it(
    scripted: NewScripted, new_shop: NewShop, reply: str
) -> None:
    """The burst goes on over the same connection."""
    server = scripted(lambda body: f"-{reply}" if body == b"2" else "+1-1")
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"2", b"3")

    failures = shop.failures()

    assert [1] == list(failures)
    assert isinstance(failures[1], MessageRefusedError)
    assert not isinstance(failures[1], BrokerUnavailableError)
    assert 1 == server.accepted


@pytest.mark.parametrize(
    "reply",
    [
        "BUSY Redis is busy running a script.",
        "CLUSTERDOWN The cluster is down",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is 'no'.",
        "MISCONF Redis is configured to save RDB snapshots, but it is unable to",
        "NOAUTH Authentication required.",
        "NOREPLICAS Not enough good replicas to write.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "READONLY You can't write against a read only replica.",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "WRONGPASS invalid username-password pair or user is disabled.",
    ],
)
def test_errors_about_the_server_refuse_nothing(
    scripted: NewScripted, new_shop: NewShop, reply: str
) -> None:
    """The broker is unavailable for the rest; what was confirmed before stays so."""
    server = scripted(lambda body: "+1-1" if body == b"1" else f"-{reply}")
    shop = new_shop(server.url, signalbus_stream="orders")
    shop.record(b"1", b"2", b"3")

    failures = shop.failures()

    assert [1, 2] == list(failures)
    for error in failures.values():
        assert type(error) is BrokerUnavailableError
        assert "takes no messages" in str(error)
    assert 1 == server.accepted


def test_a_server_that_takes_nothing_is_sent_no_more(
    scripted: NewScripted, new_shop: NewShop
) -> None:
    """The bodies that are not on their way yet are not even made."""
    server = scripted(lambda body: "-OOM command not allowed")
    made: list[int] = []

    def body(signal: t.Any) -> bytes:
        made.append(signal.id)
        return b"x" * 600_000

    shop = new_shop(server.url, signalbus_stream="orders", signalbus_body=body)
    shop.record(*[b""] * 10)

    assert 10 == len(shop.failures())
    assert [1, 2] == made


def test_a_full_memory_is_an_outage(server: RedisServer, new_shop: NewShop) -> None:
    """The signals stay pending, and go out when there is room."""
    shop = new_shop(server.url, signalbus_stream="full")
    shop.record(b"1", b"2")
    with server.client as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(BrokerUnavailableError, match="maxmemory"):
            shop.flush()
        client.config_set("maxmemory", 0)

    assert 2 == shop.flush()


def test_missing_replicas_are_an_outage(server: RedisServer, new_shop: NewShop) -> None:
    """So a server that must have a replica loses nothing."""
    shop = new_shop(server.url, signalbus_stream="replicated")
    shop.record(b"1", b"2")
    with server.client as client:
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(BrokerUnavailableError, match="Not enough good replicas"):
            shop.flush()
        client.config_set("min-replicas-to-write", 0)

    assert 2 == shop.flush()


def test_a_replica_is_an_outage(server: RedisServer, new_shop: NewShop) -> None:
    """As during a failover."""
    shop = new_shop(server.url, signalbus_stream="failover")
    shop.record(b"1", b"2")
    with server.client as client:
        client.replicaof("127.0.0.1", free_port())
        with pytest.raises(BrokerUnavailableError, match="read only replica"):
            shop.flush()
        client.replicaof("NO", "ONE")

    assert 2 == shop.flush()


@pytest.mark.parametrize("login", ["", ":wrong-secret@"])
def test_a_wrong_password_is_an_outage(
    new_server: NewServer, new_shop: NewShop, login: str
) -> None:
    """Nobody's signals are at fault; and no password is shown."""
    server = new_server()
    with server.client as client:
        client.config_set("requirepass", "right-secret")
    url = server.url.replace("//", f"//{login}")
    shop = new_shop(url, signalbus_stream="orders")
    shop.record(b"1")

    with pytest.raises(BrokerUnavailableError) as caught:
        shop.flush()

    assert not isinstance(caught.value, BrokerTimeoutError)
    assert "takes no messages" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_user_may_lack_the_permission_for_a_key(
    server: RedisServer, new_shop: NewShop
) -> None:
    """That is about the signals of this stream; the remedy is named."""
    with server.client as client:
        client.acl_setuser(
            "shop",
            enabled=True,
            passwords=["+secret"],
            keys=["mine.*"],
            commands=["+xadd"],
        )
    url = server.url.replace("//", "//shop:secret@")
    shop = new_shop(
        url,
        signalbus_stream=lambda signal: "mine.1" if signal.id == 1 else "yours.1",
    )
    shop.record(b"1", b"2")

    failures = shop.failures()

    assert [1] == list(failures)
    assert isinstance(failures[1], MessageRefusedError)
    assert "Permit its user XADD" in str(failures[1])
