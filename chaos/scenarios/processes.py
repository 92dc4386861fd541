"""What happens to the processes that record and send."""

from __future__ import annotations

import typing as t

from chaos import points
from chaos.scenario import EVERYBODY
from chaos.scenario import scenario

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from chaos.stage import Stage


@scenario("postgresql", broker="ledger", hold=(0.5, 1.0))
def calm(stage: Stage) -> Generator[None]:
    """Nothing happens at all, so nothing may come twice."""
    yield


@scenario(
    "postgresql",
    broker="ledger",
    hold=(0.5, 1.0),
    cast=("writer", "background writer"),
    profile="session",
)
def autoflush_alone(stage: Stage) -> Generator[None]:
    """Nobody flushes but autoflush, which must find all that a session recorded."""
    yield


@scenario(
    "postgresql",
    hold=(0.0, 0.5),
    cast=(*EVERYBODY, "relay", "silent writer"),
)
def anybody_killed(stage: Stage) -> Generator[None]:
    """Any process is killed at any moment: a writer, a relay or a flusher."""
    stage.random.choice(stage.cast.members).kill()
    yield
    stage.wait_for_programs()


@scenario("postgresql", is_mortal=True, hold=(2.0, 5.0))
def killed_at_points(stage: Stage) -> Generator[None]:
    """Each process kills itself at a named point of a burst, again and again."""
    yield from stage.armed()


@scenario("mariadb", is_mortal=True, hold=(2.0, 5.0))
def killed_at_points_on_mariadb(stage: Stage) -> Generator[None]:
    """The same on MariaDB."""
    yield from stage.armed()


@scenario(
    "postgresql",
    broker="ledger",
    is_mortal=True,
    points=points.POINTS[-2:],
    hold=(2.0, 5.0),
    profile="unripe",
    cast=("silent writer", "silent writer", "relay", "relay", "flusher"),
    settings={"CHAOS_ATTEMPTS": "100", "CHAOS_WITHOUT": "sweeping"},
)
def killed_when_settled(stage: Stage) -> Generator[None]:
    """Signals fail at first, and processes die as they commit what became of them."""
    yield from stage.armed()


@scenario("sqlite", broker="ledger", is_mortal=True, hold=(2.0, 5.0), rate=5.0)
def killed_at_points_on_sqlite(stage: Stage) -> Generator[None]:
    """The same on SQLite."""
    yield from stage.armed()


@scenario(
    "postgresql",
    is_mortal=True,
    hold=(2.0, 5.0),
    profile="keyed",
    cast=("silent writer", "writer", "relay", "relay", "flusher"),
)
def keys_survive_kills(stage: Stage) -> Generator[None]:
    """Signals of few keys, and many senders, which kill themselves all the time."""
    yield from stage.armed()


@scenario(
    "postgresql",
    hold=(10.0, 10.0),
    flows_on=True,
    cast=(*EVERYBODY, "relay"),
)
def relay_frozen(stage: Stage) -> Generator[None]:
    """A relay gets SIGSTOP, and goes on later; the others go on meanwhile."""
    relay = stage.random.choice(stage.cast.of("relay"))
    relay.freeze()
    yield
    relay.thaw()


@scenario("mariadb", hold=(10.0, 10.0), flows_on=True)
def anybody_frozen(stage: Stage) -> Generator[None]:
    """Any process gets SIGSTOP, and goes on later; the others go on meanwhile."""
    member = stage.random.choice(stage.cast.members)
    member.freeze()
    yield
    member.thaw()
