"""Report, at the end of a run, what it sent and what it had to leave.

Similar failures make one line, however many signals they concern.
"""

from __future__ import annotations

import dataclasses
import typing as t

from signalbus import _notify
from signalbus._next_attempts import Prospects
from signalbus.exceptions import ReportLine
from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls
from signalbus.exceptions import without_values
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus.typing import NextAttempts
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

logger = get_logger("signalbus")

#: How many signals are named in one line.
MAX_NAMED = 3

#: How many reasons of one model have a line of their own; the others share one.
MAX_REASONS = 10

#: What happened to a signal, and to several; ``{}`` stands for what they can expect.
NOT_SENT = ("was not sent and {}", "were not sent{}")
NOT_DELETED = (
    "was sent, but its row could not be deleted",
    "were sent, but their rows could not be deleted",
)

#: What happened to models; ``{}`` stands for their names.
LEFT = "unavailable, the signals of {} stay pending"
STOPPED = "The signals of {} stay pending"

Fact: t.TypeAlias = tuple[str, str]


class Line(t.Protocol):
    """One line of a report."""

    #: Whether the line is logged.
    is_logged: bool

    #: What failed: a broker or a database as a whole, or signals.
    about: str

    @property
    def is_settled(self) -> bool:
        """Whether all signals of the line wait or are parked."""

    def text(self) -> str:
        """Return the line."""


@dataclasses.dataclass
class Signals:
    """Signals of one model that failed for similar reasons.

    :param also: what to add to the reason, which is that of the first.
    """

    declaration: Declaration
    fact: Fact
    error: Exception
    also: str = ""
    count: int = 0
    keys: list[PrimaryKey] = dataclasses.field(default_factory=list)
    prospects: Prospects = dataclasses.field(default_factory=Prospects)
    is_logged: bool = True
    about: str = "signals"

    @property
    def is_settled(self) -> bool:
        """Whether all of them wait or are parked."""
        return self.prospects.is_settled

    def add(self, key: PrimaryKey, attempts: NextAttempts) -> None:
        """Count a signal, of which *attempts* may know something."""
        self.count += 1
        self.prospects.add(key, attempts)
        if len(self.keys) < MAX_NAMED:
            self.keys.append(key)

    def text(self) -> str:
        """Return what happened to how many signals, why, and some of their names."""
        one, many = self.fact
        reason = describe_error(self.error)
        if self.also:
            reason = reason.rstrip(".") + self.also
        if self.count == 1:
            fact = one.replace("{}", self.prospects.of_one())
            return f"{self.declaration.describe(self.keys[0])} {fact}: {reason}"
        fact = many.replace("{}", self.prospects.of_several())
        more = ", …" if self.count > len(self.keys) else ""
        return (
            f"{self.declaration.model.__name__}: {self.count:,} signals {fact}:"
            f" {reason} (first: {first_names(self.declaration, self.keys)}{more})"
        )


@dataclasses.dataclass
class Models:
    """Models whose signals were left, all for one reason.

    :param fact: what happened, with ``{}`` in place of their names.
    """

    fact: str
    error: Exception
    first: str = ""
    names: dict[str, None] = dataclasses.field(default_factory=dict)
    is_logged: bool = True
    is_settled: bool = False
    about: str = "signals"

    def text(self) -> str:
        """Return which models were left, and why."""
        fact = self.fact.replace("{}", ", ".join(self.names))
        first = f" (first: {self.first})" if self.first else ""
        return f"{fact}: {describe_error(self.error)}{first}"


class Report:
    """The number of signals that a run sent, and the errors that it met."""

    def __init__(self) -> None:
        self.sent = 0
        self._first: Exception | None = None
        self._reasons: dict[tuple[Fact, SignalModel], dict[str, Signals]] = {}
        self._models: dict[object, Models] = {}
        self._lines: list[Line] = []

    def kept(
        self,
        declaration: Declaration,
        key: PrimaryKey,
        error: Exception,
        attempts: NextAttempts,
    ) -> None:
        """Add a signal that was not sent, and when it will be tried again, if known."""
        self._signals(NOT_SENT, declaration, error).add(key, attempts)

    def undeleted(
        self, declaration: Declaration, key: PrimaryKey, error: Exception
    ) -> None:
        """Add a signal that was sent, but whose row could not be deleted."""
        self._signals(NOT_DELETED, declaration, error).add(key, {})

    def unavailable(
        self, declaration: Declaration, keys: t.Sequence[PrimaryKey], error: Exception
    ) -> None:
        """Add a model whose broker was unavailable, for the signals with *keys* first.

        That is logged when the circuit breaker opens, and not in every run.
        """
        sender = declaration.sender
        fact = f"{_notify.broker_title(sender)} is {LEFT}"
        group = self._models_line(("broker", sender), fact, declaration, error)
        group.first = group.first or first_names(declaration, keys)
        group.is_logged = False
        group.about = "broker"

    def no_database(self, declaration: Declaration, error: Exception) -> None:
        """Add a model that was left, since its database is down or refuses access."""
        database = declaration.bind_key
        title = "The database" if database is None else f"The database {database!r}"
        fact = f"{title} is {LEFT}"
        key = ("database", database)
        self._models_line(key, fact, declaration, error).about = "database"

    def stopped(self, declaration: Declaration, error: Exception) -> None:
        """Add a model that was left, with all its remaining signals."""
        key = ("model", declaration.model, type(error))
        self._models_line(key, STOPPED, declaration, error)

    def close(self) -> None:
        """Log the failures, and attach them to the first error as notes."""
        lines, self._lines = self._lines, []
        notes = [
            ReportLine(
                escape_controls(line.text()),
                is_settled=line.is_settled,
                about=line.about,
            )
            for line in lines
        ]
        for line, note in zip(lines, notes, strict=True):
            if line.is_logged:
                logger.error("%s", note, extra={"signalbus_is_reported": True})
        if self._first is not None and notes:
            _attach(self._first, notes)

    def finish(self) -> int:
        """Return the number of signals sent, or raise the first error."""
        if self._first is None:
            return self.sent
        raise self._first

    def _signals(
        self, fact: Fact, declaration: Declaration, error: Exception
    ) -> Signals:
        """Return the line of signals that failed like this."""
        reasons = self._reasons.setdefault((fact, declaration.model), {})
        reason, also = without_values(describe_error(error)), ""
        if reason not in reasons and len(reasons) >= MAX_REASONS:
            reason, also = "", ", and other reasons"
        line = reasons.get(reason)
        if line is None:
            line = reasons[reason] = Signals(declaration, fact, error, also)
            self._add(line, error)
        return line

    def _models_line(
        self, key: object, fact: str, declaration: Declaration, error: Exception
    ) -> Models:
        """Add a model to the line of those that were left for the same reason."""
        line = self._models.get(key)
        if line is None:
            line = self._models[key] = Models(fact, error)
            self._add(line, error)
        line.names[declaration.model.__name__] = None
        return line

    def _add(self, line: Line, error: Exception) -> None:
        self._lines.append(line)
        self._first = self._first or error


def first_names(declaration: Declaration, keys: t.Sequence[PrimaryKey]) -> str:
    """Return the names of the first few signals with *keys*."""
    return ", ".join(map(declaration.describe, keys[:MAX_NAMED]))


def _attach(error: Exception, notes: t.Sequence[ReportLine]) -> None:
    """Add *notes*, as ``add_note`` does from Python 3.11 on.

    A sender may raise the same object in every run: the notes of earlier ones go.
    """
    others = [
        note
        for note in getattr(error, "__notes__", ())
        if not isinstance(note, ReportLine)
    ]
    error.__notes__ = [*others, *notes]  # type: ignore[attr-defined]
