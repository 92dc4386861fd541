"""What is measured: a case is a row of the table, done by several subjects in turn."""

from __future__ import annotations

import dataclasses

#: More rounds than anybody asks for.
ANY_NUMBER = 1_000_000


@dataclasses.dataclass(frozen=True)
class Subject:
    """Something that is measured.

    :param name: how the table calls it.
    :param work: ``module:function`` of :mod:`benchmarks.subjects`.
    :param library: the package whose ``SignalBus`` it uses, if any.
    :param form: what senders get: ``rows`` or ``instances``.
    :param empties_table: whether no signal is pending when it is done.
    """

    name: str
    work: str
    library: str = ""
    form: str = "rows"
    empties_table: bool = True


OURS = "signalbus"
THEIRS = "Flask-SignalBus"
LIMIT = "limit: "


def ours(work: str, form: str = "rows") -> Subject:
    """Return our library, doing *work*."""
    return Subject(OURS, work, "signalbus", form)


def theirs(work: str) -> Subject:
    """Return the predecessor, doing the same in the same program, with instances."""
    return Subject(THEIRS, work, "flask_signalbus", "instances")


def limit(what: str, work: str, *, empties_table: bool = True) -> Subject:
    """Return the least that can be done at all, and say *what* that is."""
    return Subject(LIMIT + what, work, empties_table=empties_table)


TAKE = limit("DELETE … RETURNING, COMMIT", "database:take")
DELETE = limit("DELETE, COMMIT", "database:delete")
DELETE_AFTER = limit("DELETE, COMMIT", "database:delete_after_commit")
SOCKET = limit("bare socket", "broker:publish", empties_table=False)

DRIVER = Subject("the same statements, driver alone", "statements:driver")
DRIVER_AFTER = Subject(DRIVER.name, "statements:driver_after_commit")
SQLALCHEMY = Subject("the same statements, SQLAlchemy", "statements:sqlalchemy")
SQLALCHEMY_AFTER = Subject(SQLALCHEMY.name, "statements:sqlalchemy_after_commit")


@dataclasses.dataclass(frozen=True)
class Goal:
    """How fast ours shall be.

    :param times: at least so many times as fast ...
    :param than: ... as the subject whose name begins so, or as ours in that case.
    :param title: what the manual calls that.
    """

    times: float
    than: str
    title: str


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table.

    :param name: by which it is chosen; before a slash, the group that it is part of.
    :param title: what the table says.
    :param subjects: who is measured, in turn.
    :param in_time: whether the time of a signal is told, and not signals a second.
    :param size: the number of signals.
    :param fixed_size: whether the size is the point, and ``--size`` leaves it.
    :param pending: whether the signals are there before, or the subject makes them.
    :param burst: signals in a transaction.
    :param payload: the length of their text, in bytes.
    :param database: the kind of server: ``postgresql``, ``mariadb`` or ``sqlite``.
    :param broker: whether RabbitMQ is needed.
    :param processes: how many processes share the work.
    :param old_snapshot: whether somebody's transaction keeps the dead rows alive.
    :param waits_for_disk: whether PostgreSQL commits before it answers.
    :param rounds: how often it is measured at most.
    """

    name: str
    title: str
    subjects: tuple[Subject, ...]
    goal: Goal | None = None
    in_time: bool = False
    size: int = 100_000
    fixed_size: bool = False
    pending: bool = True
    burst: int = 1000
    payload: int = 100
    database: str = "postgresql"
    broker: bool = False
    processes: int = 1
    old_snapshot: bool = False
    waits_for_disk: bool = True
    rounds: int = ANY_NUMBER

    @property
    def group(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    def resized(self, size: int | None, *, quick: bool = False) -> Case:
        """Return the case with another size: the one given, or a small one."""
        if quick:
            return dataclasses.replace(self, size=max(self.size // 50, 50), rounds=1)
        if size is None or self.fixed_size:
            return self
        return dataclasses.replace(self, size=size)
