"""What a run counts, reports, and notifies plugins of; and what it found to be down."""

from __future__ import annotations

import typing as t

from signalbus import _notify
from signalbus import _report
from signalbus._next_attempts import AttemptAnswers
from signalbus._sql import errors
from signalbus._sql import missing_tables

if t.TYPE_CHECKING:
    from signalbus._burst_result import BurstResult
    from signalbus._declaration import Declaration
    from signalbus.breakers import CircuitBreakers
    from signalbus.typing import Bus


class RunResults:
    """The results of one call of a flush method.

    Used as a context manager, which logs at its end what could not be sent.
    """

    def __init__(self, bus: Bus, breakers: CircuitBreakers) -> None:
        self._bus = bus
        self._breakers = breakers
        self._report = _report.Report()
        self._answers = AttemptAnswers()
        self._unavailable: dict[object, Exception] = {}
        self._lost: dict[str | None, Exception] = {}

    def __enter__(self) -> RunResults:  # noqa: PYI034 Self is not in Python 3.10
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Log what could not be sent, even if the run was interrupted."""
        self._report.close()

    def finish(self) -> int:
        """Return the number of signals sent, or raise the first error."""
        return self._report.finish()

    def has_no_database(self, declaration: Declaration) -> bool:
        """Return whether the model's database was found down, and report the model."""
        error = self._lost.get(declaration.bind_key)
        if error is not None:
            self._report.no_database(declaration, error)
        return error is not None

    def is_lost(self, declaration: Declaration) -> bool:
        """Return whether the model's broker, or its database, was found down."""
        return (
            declaration.sender in self._unavailable
            or declaration.bind_key in self._lost
        )

    def is_blocked(self, declaration: Declaration) -> bool:
        """Return whether the model cannot be sent in this run, and report it if so."""
        error = self._unavailable.get(declaration.sender)
        if error is not None:
            self._report.unavailable(declaration, (), error)
            return True
        return self.has_no_database(declaration)

    def add(self, declaration: Declaration, result: BurstResult) -> Exception | None:
        """Count and report a burst, and return the first error in it.

        Plugins are notified last, since they may end the run.
        """
        sent = len(result.confirmed) - len(result.undeleted)
        self._report.sent += sent
        error = self._add_errors(declaration, result)
        if result.confirmed and not (result.outcome and result.outcome.unavailable):
            self._note_available(declaration.sender)
        if sent:
            _notify.burst_sent(self._bus, declaration, sent, result.seconds)
        if error is not None:
            failed = {**result.failed(), **result.undeleted}
            _notify.burst_failed(self._bus, declaration, error, failed, result.seconds)
        return error

    def give_up(
        self, declaration: Declaration, error: Exception, seconds: float = 0.0
    ) -> None:
        """Leave a model; if its database is down, the others of that database, too."""
        error = self._explained(declaration, error)
        if errors.is_outage(error):
            self._lost[declaration.bind_key] = error
            self._report.no_database(declaration, error)
        else:
            self._report.stopped(declaration, error)
        _notify.burst_failed(self._bus, declaration, error, {}, seconds)

    def _add_errors(
        self, declaration: Declaration, result: BurstResult
    ) -> Exception | None:
        failed = result.failed()
        attempts = self._answers.merge(result.answers, failed)
        for key, error in failed.items():
            explained = self._explained(declaration, error)
            self._report.kept(declaration, key, explained, attempts)
        for key, error in result.undeleted.items():
            self._report.undeleted(declaration, key, error)
        unavailable = result.outcome.unavailable if result.outcome else None
        if unavailable is not None:
            self._note_unavailable(declaration, result, unavailable)
            return unavailable
        return next(iter([*failed.values(), *result.undeleted.values()]), None)

    def _note_unavailable(
        self, declaration: Declaration, result: BurstResult, error: Exception
    ) -> None:
        """Leave a broker alone that could not be reached."""
        sender, left = declaration.sender, result.left()
        self._unavailable[sender] = error
        self._report.unavailable(declaration, left, error)
        if self._breakers.record_failure(sender, result.seconds):
            signals = _report.first_names(declaration, left)
            _notify.broker_down(self._bus, sender, error, signals)

    def _note_available(self, sender: object) -> None:
        """Trust a broker again that confirmed something."""
        seconds = self._breakers.record_success(sender)
        if seconds is not None:
            _notify.broker_up(self._bus, sender, seconds)

    def _explained(self, declaration: Declaration, error: Exception) -> Exception:
        """Return *error*, or a better one if a table of the model is missing."""
        return missing_tables.explained(self._bus.db, declaration, error)
