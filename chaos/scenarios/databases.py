"""What happens to database servers, and to the connections to them."""

from __future__ import annotations

import typing as t

from chaos.scenario import scenario

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from chaos.stage import Stage

#: Lets through a few packets a second, in bytes.
TRICKLE = 4000


@scenario("postgresql", "mariadb")
def killed(stage: Stage) -> Generator[None]:
    """{database} is killed, and recovers."""
    stage.cut_everything()
    stage.database.kill()
    yield
    stage.database.start()


@scenario("postgresql", "mariadb")
def stopped(stage: Stage) -> Generator[None]:
    """{database} is shut down as an operator does, and started again."""
    stage.cut_everything()
    stage.database.stop()
    yield
    stage.database.start()


@scenario("postgresql", "mariadb", hold=(10.0, 10.0))
def frozen(stage: Stage) -> Generator[None]:
    """{database} gets SIGSTOP, and goes on later."""
    stage.database.freeze()
    yield
    stage.database.thaw()


@scenario("postgresql", "mariadb", hold=(0.0, 0.3))
def connections_cut(stage: Stage) -> Generator[None]:
    """All connections to {database} are terminated at once."""
    stage.cut_everything()
    stage.database.cut_connections(stage.database_name)
    yield


@scenario("postgresql", "mariadb", hold=(0.0, 0.1))
def connection_cut(stage: Stage) -> Generator[None]:
    """One connection to {database} after the other is terminated."""
    stage.cut += stage.database.cut_connections(stage.database_name, 1, stage.random)
    yield


@scenario("postgresql", "mariadb", hold=(1.0, 3.0))
def hangs(stage: Stage) -> Generator[None]:
    """Connections to {database} hang without an answer, and then break."""
    stage.cut_everything()
    stage.database.proxy.freeze()
    yield
    stage.database.proxy.drop()
    stage.database.proxy.thaw()


@scenario("postgresql", "mariadb", hold=(2.0, 3.0))
def trickles(stage: Stage) -> Generator[None]:
    """Connections to {database} let little through."""
    stage.database.proxy.trickle(TRICKLE)
    yield
    stage.database.proxy.thaw()


@scenario(
    "sqlite",
    broker="ledger",
    rate=5.0,
    settings={"CHAOS_FULL_DISK": "{home}/disk-is-full"},
)
def sqlite_disk_full(stage: Stage) -> Generator[None]:
    """The disk is full under SQLite, until somebody makes room."""
    mark = stage.home / "disk-is-full"
    mark.touch()
    yield
    mark.unlink()
