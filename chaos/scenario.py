"""A scenario: a fault, who is there when it happens, and where signals go."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from chaos.cast import Role

#: A function that takes the stage, begins the fault, yields, and ends it.
Fault: t.TypeAlias = "t.Callable[..., Generator[None]]"
Database: t.TypeAlias = t.Literal["postgresql", "mariadb", "sqlite"]
Broker: t.TypeAlias = t.Literal["rabbitmq", "ledger"]

#: How databases are called in a title.
LABELS: t.Final[dict[Database, str]] = {
    "postgresql": "PostgreSQL",
    "mariadb": "MariaDB",
    "sqlite": "SQLite",
}

#: All ways to record and to send, beside each other.
EVERYBODY: t.Final[tuple[Role, ...]] = (
    "writer",
    "background writer",
    "silent writer",
    "relay",
    "flusher",
)

#: All scenarios, by name.
SCENARIOS: dict[str, Scenario] = {}


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A fault that happens again and again while signals are recorded and sent.

    :ivar name: how it is called on the command line.
    :ivar title: what happens, in one line.
    :ivar fault: begins the fault, yields while it lasts, and ends it.
    :ivar database: where signals are recorded.
    :ivar broker: where they are sent. The ledger is a file, and is never down.
    :ivar hold: how long the fault lasts: at least and at most, in seconds.
    :ivar cast: who is there.
    :ivar profile: the kinds of transactions that writers make.
    :ivar rate: how many each thread of a writer makes, a second.
    :ivar burst: how many signals a burst has, of every model.
    :ivar is_mortal: whether each process kills itself at a named point of a burst.
    :ivar points: the points at which they do; all, if none are given.
    :ivar flows_on: whether signals flow while the fault lasts.
    :ivar settings: environment variables of all programs.
    :ivar queue: the arguments of the queue.
    """

    name: str
    title: str
    fault: Fault
    database: Database
    broker: Broker
    hold: tuple[float, float] = (0.5, 1.5)
    cast: tuple[Role, ...] = EVERYBODY
    profile: str = "usual"
    rate: float = 15.0
    burst: int = 20
    is_mortal: bool = False
    points: tuple[str, ...] = ()
    flows_on: bool = False
    settings: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    queue: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    def without(self, safeguard: str) -> Scenario:
        """Return the same with a safeguard taken out of all programs."""
        names = f"{self.settings.get('CHAOS_WITHOUT', '')} {safeguard}"
        settings = {**self.settings, "CHAOS_WITHOUT": names}
        return dataclasses.replace(self, settings=settings)


def scenario(
    *databases: Database, broker: Broker = "rabbitmq", **options: t.Any
) -> t.Callable[[Fault], Fault]:
    """Return a decorator that makes a scenario of a fault, one for each database.

    The fault is a generator function: what is before its ``yield`` begins the fault,
    what is behind it ends it. Its name and the first line of its docstring are the
    scenario's. If there are several databases, the name of each scenario begins with
    its database, and ``{database}`` in the title is replaced.
    """

    def register(fault: Fault) -> Fault:
        title = (fault.__doc__ or "").partition("\n")[0].rstrip(".")
        for database in databases:
            prefix = f"{database}-" if len(databases) > 1 else ""
            name = prefix + fault.__name__.replace("_", "-")
            text = title.format(database=LABELS[database])
            SCENARIOS[name] = Scenario(name, text, fault, database, broker, **options)
        return fault

    return register
