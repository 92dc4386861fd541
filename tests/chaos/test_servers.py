"""The private servers of the chaos suite do what is done to them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sys
import tempfile
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pika
import pytest
import sqlalchemy as sa

ROOT = Path(__file__).parents[2]

sys.path.append(str(ROOT))  # the suite is installed nowhere

from chaos.servers import DatabaseServer  # noqa: E402 needs the path
from chaos.servers import MariaDB  # noqa: E402
from chaos.servers import PostgreSQL  # noqa: E402
from chaos.servers import RabbitMQ  # noqa: E402
from chaos.servers import Unavailable  # noqa: E402
from chaos.servers.programs import find_program  # noqa: E402

if t.TYPE_CHECKING:
    import subprocess

#: How long something must take, in seconds, to be taken for something that hangs.
HANGS = 0.5

STARTER = f"""
import sys
sys.path.append({str(ROOT)!r})
from pathlib import Path
from chaos.servers import PostgreSQL

server = PostgreSQL(Path(sys.argv[1]))
server.start()
getattr(server, sys.argv[2])()
print(server.url("postgres", direct=True), flush=True)
sys.stdin.read()
"""

Server = t.TypeVar("Server", DatabaseServer, RabbitMQ)


@contextlib.contextmanager
def _started(server: Server) -> t.Iterator[Server]:
    """Give *server* running, or skip the test where its programs are missing."""
    try:
        server.start()
    except Unavailable as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
    with contextlib.closing(server):
        yield server


@pytest.fixture(scope="module")
def own_postgresql() -> t.Iterator[PostgreSQL]:
    """Give a PostgreSQL server of our own."""
    # Not in a folder of pytest: those are closed to the user as whom it runs for root.
    with (
        tempfile.TemporaryDirectory(prefix="signalbus_") as folder,
        _started(PostgreSQL(Path(folder))) as server,
    ):
        server.create_database("shop")
        yield server


@pytest.fixture(scope="module")
def own_mariadb(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[MariaDB]:
    """Give a MariaDB server of our own."""
    with _started(MariaDB(tmp_path_factory.mktemp("mariadb"))) as server:
        server.create_database("shop")
        yield server


@pytest.fixture(scope="module")
def own_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[RabbitMQ]:
    """Give a RabbitMQ node of our own."""
    with _started(RabbitMQ(tmp_path_factory.mktemp("rabbitmq"))) as node:
        yield node


@pytest.fixture(params=["own_postgresql", "own_mariadb"])
def server(request: pytest.FixtureRequest) -> t.Iterator[DatabaseServer]:
    """Give a database server that runs, with the database ``shop``."""
    server: DatabaseServer = request.getfixturevalue(request.param)
    yield server
    server.thaw()
    server.start()


@pytest.fixture
def engine(server: DatabaseServer) -> sa.Engine:
    """Give an engine for ``shop``, with an empty table ``item``."""
    engine = _engine(server.url("shop"))
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS item")
        connection.exec_driver_sql("CREATE TABLE item (id INTEGER PRIMARY KEY)")
    while server.cut_connections("shop"):
        pass  # the server takes a moment to notice that connections were closed
    return engine


@pytest.fixture
def node(own_rabbitmq: RabbitMQ) -> t.Iterator[RabbitMQ]:
    """Give a RabbitMQ node that runs, with the virtual host ``shop``."""
    own_rabbitmq.create_vhost("shop")
    yield own_rabbitmq
    own_rabbitmq.thaw()
    own_rabbitmq.start()
    own_rabbitmq.delete_vhost("shop")


@pytest.fixture
def channel(node: RabbitMQ) -> t.Iterator[t.Any]:
    """Give a channel with confirms, on which the durable queue ``item`` is declared."""
    connection = pika.BlockingConnection(pika.URLParameters(node.url("shop")))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("item", durable=True)
    yield channel
    with contextlib.suppress(pika.exceptions.AMQPError):
        connection.close()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_committed_row_survives(
    server: DatabaseServer, engine: sa.Engine, end: str
) -> None:
    """What was committed is there after a kill, or a shutdown, and a start."""
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO item VALUES (1)")

    getattr(server, end)()
    server.start()

    assert [1] == _ids(engine)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_server_that_has_ended_takes_no_connections(
    server: DatabaseServer, engine: sa.Engine, end: str
) -> None:
    """The server is down when the call returns, also behind its proxy."""
    getattr(server, end)()

    with pytest.raises(sa.exc.OperationalError):
        engine.connect()

    assert 0 == server.cut_connections("shop")


def test_a_frozen_server_can_be_killed(
    server: DatabaseServer, engine: sa.Engine
) -> None:
    """A kill needs no thaw, and what starts then is not frozen."""
    server.freeze()
    server.kill()
    server.start()

    assert [] == _ids(engine)


def test_a_frozen_server_hangs_until_it_thaws(
    server: DatabaseServer, engine: sa.Engine
) -> None:
    """A frozen server answers what it was asked as soon as it thaws."""
    server.freeze()
    with ThreadPoolExecutor() as threads:
        ids = threads.submit(_ids, engine)

        with pytest.raises(TimeoutError):
            ids.result(HANGS)
        server.thaw()

        assert [] == ids.result(30)


def test_all_connections_to_a_database_are_cut(
    server: DatabaseServer, engine: sa.Engine
) -> None:
    """A cut ends the connections to one database, and says how many they were."""
    server.create_database("other")
    with (
        _connections(engine, 3) as connections,
        _engine(server.url("other")).connect() as other,
    ):
        assert 3 == server.cut_connections("shop")

        assert [True] * 3 == [_is_dead(connection) for connection in connections]
        assert not _is_dead(other)


def test_a_few_connections_are_cut_by_chance(
    server: DatabaseServer, engine: sa.Engine
) -> None:
    """A cut ends as many connections as it is told to."""
    rng = random.Random(1)  # noqa: S311 chance, no secret
    with _connections(engine, 4) as connections:
        assert 2 == server.cut_connections("shop", 2, rng)

        assert 2 == sum(_is_dead(connection) for connection in connections)


def test_a_direct_connection_goes_past_the_proxy(
    server: DatabaseServer, engine: sa.Engine
) -> None:
    """What the proxy does to connections is done to those of ``url()`` only."""
    direct = _engine(server.url("shop", direct=True))
    with direct.connect() as past, engine.connect() as through:
        server.proxy.drop()

        assert not _is_dead(past)
        assert _is_dead(through)


@pytest.mark.parametrize("state", ["thaw", "freeze"])
def test_a_server_ends_with_its_starter(
    own_postgresql: PostgreSQL,
    interpreter: t.Callable[..., subprocess.Popen[str]],
    state: str,
) -> None:
    """A server does not outlive a suite that is killed, even if it is frozen."""
    with tempfile.TemporaryDirectory(prefix="signalbus_") as folder:
        starter = interpreter(STARTER, folder, state)
        assert starter.stdout is not None
        port = sa.make_url(starter.stdout.readline()).port

        starter.send_signal(signal.SIGKILL)

        while _listens(port):
            pass


@pytest.mark.parametrize("kind", [PostgreSQL, MariaDB, RabbitMQ])
def test_a_server_that_was_never_started_can_be_closed(
    kind: type[PostgreSQL | MariaDB | RabbitMQ], tmp_path: Path
) -> None:
    """Who cleans up does not need to know how far things have come."""
    server = kind(tmp_path / "home")

    for end in (server.thaw, server.freeze, server.stop, server.kill, server.close):
        end()


def test_a_missing_program_comes_with_a_remedy() -> None:
    """Who has no server learns what to install."""
    with pytest.raises(Unavailable, match=r"postgrex is not .*\. Install PostgreSQL\."):
        find_program(["postgrex"], [], "Install PostgreSQL.")


def test_a_confirmed_message_survives_a_kill(node: RabbitMQ, channel: t.Any) -> None:
    """A persistent message that was confirmed is there after a kill and a start."""
    _publish(channel)

    node.kill()
    node.start()

    assert 1 == _count(node)


def test_a_node_that_was_stopped_is_down(node: RabbitMQ, channel: t.Any) -> None:
    """A node that was stopped is down, and has no connections."""
    node.stop()

    for use in (lambda: _publish(channel), lambda: _count(node)):
        with pytest.raises(pika.exceptions.AMQPConnectionError):
            use()
    assert 0 == node.cut_connections()


@pytest.mark.parametrize("resource", ["memory", "disk"])
def test_an_alarm_blocks_publishers(
    node: RabbitMQ, channel: t.Any, resource: str
) -> None:
    """A node with an alarm takes a message when the alarm is over."""
    getattr(node, f"raise_{resource}_alarm")()
    with ThreadPoolExecutor() as threads:
        published = threads.submit(_publish, channel)

        with pytest.raises(TimeoutError):
            published.result(HANGS)
        node.clear_alarms()
        published.result(30)

    assert 1 == _count(node)


def test_a_frozen_node_hangs_until_it_thaws(node: RabbitMQ, channel: t.Any) -> None:
    """A frozen node confirms what it was sent as soon as it thaws."""
    node.freeze()
    with ThreadPoolExecutor() as threads:
        published = threads.submit(_publish, channel)

        with pytest.raises(TimeoutError):
            published.result(HANGS)
        assert 0 == node.cut_connections()
        node.thaw()
        published.result(30)


def test_the_connections_of_a_virtual_host_are_cut(
    node: RabbitMQ, channel: t.Any
) -> None:
    """A cut ends the connections to one virtual host, or all."""
    other = pika.BlockingConnection(pika.URLParameters(node.url()))

    assert 1 == node.cut_connections("shop")

    with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
        _publish(channel)
    other.process_data_events()

    assert 1 == node.cut_connections()

    with pytest.raises(pika.exceptions.ConnectionClosedByBroker):
        other.process_data_events(time_limit=30)


def test_rabbitmqctl_talks_to_the_node(node: RabbitMQ) -> None:
    """What has no method of its own is a matter of ``rabbitmqctl``."""
    assert "shop" in node.control("list_vhosts").split()


def _engine(url: str) -> sa.Engine:
    """Give an engine that leaves no connection open."""
    return sa.create_engine(url, poolclass=sa.NullPool)


@contextlib.contextmanager
def _connections(engine: sa.Engine, count: int) -> t.Iterator[list[sa.Connection]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(engine.connect()) for _ in range(count)]


def _ids(engine: sa.Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT id FROM item").scalars())


def _is_dead(connection: sa.Connection) -> bool:
    try:
        connection.exec_driver_sql("SELECT 1")
    except sa.exc.DBAPIError as error:
        return error.connection_invalidated
    return False


def _listens(port: int | None) -> bool:
    with socket.socket() as client:
        return 0 == client.connect_ex(("127.0.0.1", port))


def _publish(channel: t.Any) -> None:
    persistent = pika.BasicProperties(delivery_mode=2)
    channel.basic_publish("", "item", b"an item", persistent)


def _count(node: RabbitMQ) -> int:
    connection = pika.BlockingConnection(pika.URLParameters(node.url("shop")))
    with contextlib.closing(connection):
        queue = connection.channel().queue_declare("item", passive=True)
        count: int = queue.method.message_count
        return count
