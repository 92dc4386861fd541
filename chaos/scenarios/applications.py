"""What applications do to themselves."""

from __future__ import annotations

import typing as t

from chaos.scenario import scenario

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from chaos.stage import Stage

SERIALIZABLE = '{"isolation_level": "SERIALIZABLE"}'
ONE_CONNECTION = '{"pool_size": 1, "max_overflow": 0}'


@scenario("postgresql", "mariadb", profile="poisoned")
def poison(stage: Stage) -> Generator[None]:
    """One signal of a hundred can never be sent, on {database}."""
    yield


@scenario("postgresql", "mariadb", broker="ledger", profile="contended", rate=40.0)
def deadlocks(stage: Stage) -> Generator[None]:
    """Transactions of the application deadlock, on {database}."""
    yield


@scenario(
    "postgresql",
    broker="ledger",
    profile="contended",
    rate=20.0,
    settings={"FLASK_SQLALCHEMY_ENGINE_OPTIONS": SERIALIZABLE},
)
def serialization_failures(stage: Stage) -> Generator[None]:
    """Transactions of the application are serializable, and fail often."""
    yield


@scenario(
    "postgresql",
    settings={"FLASK_SQLALCHEMY_ENGINE_OPTIONS": ONE_CONNECTION},
)
def pool_of_one(stage: Stage) -> Generator[None]:
    """Each process has one connection to the database, and connections are cut."""
    stage.cut_everything()
    stage.database.cut_connections(stage.database_name)
    yield
