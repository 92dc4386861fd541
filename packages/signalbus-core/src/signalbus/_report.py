"""What a run sent and what it had to leave, told at its end."""

from __future__ import annotations

import logging
import typing as t

if t.TYPE_CHECKING:
    from signalbus._discover import Declaration
    from signalbus.typing import PrimaryKey

logger = logging.getLogger("signalbus")

#: How many of the errors after the first are attached to it; all are logged.
MOST_NOTES = 100

#: How many signals are named in one message.
MOST_NAMED = 10


class Report:
    """The number of signals that a run sent, and the errors that it met."""

    def __init__(self) -> None:
        self.sent = 0
        self._first: Exception | None = None
        self._further = 0

    def kept(self, declaration: Declaration, key: PrimaryKey, error: Exception) -> None:
        """Note that a signal was not sent."""
        self._add(error, f"{declaration.describe(key)} was not sent and stays pending")

    def undeleted(
        self, declaration: Declaration, key: PrimaryKey, error: Exception
    ) -> None:
        """Note that a signal was sent, and its row could not be deleted."""
        signal = declaration.describe(key)
        self._add(error, f"{signal} was sent, but its row could not be deleted")

    def unavailable(
        self, declaration: Declaration, keys: t.Sequence[PrimaryKey], error: Exception
    ) -> None:
        """Note that the broker was not there for the signals with *keys*, nor later."""
        named = ", ".join(map(declaration.describe, keys[:MOST_NAMED]))
        more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
        name = declaration.model.__name__
        self._add(
            error,
            f"The broker was not available for {named}{more}: these, and what else is"
            f" pending of {name}, stay pending",
        )

    def stopped(self, declaration: Declaration, error: Exception) -> None:
        """Note that a model was given up, with all the signals it still has."""
        name = declaration.model.__name__
        self._add(error, f"{name} was given up, its other signals stay pending")

    def finish(self) -> int:
        """Return the number of signals sent, or raise the first error.

        The others are attached to it as notes.
        """
        if self._first is None:
            return self.sent
        if self._further > MOST_NOTES:
            _attach(
                self._first, f"… and {self._further - MOST_NOTES} more, see the log"
            )
        raise self._first

    def _add(self, error: Exception, fact: str) -> None:
        logger.error("%s: %s: %s", fact, type(error).__name__, error)
        if self._first is None:
            self._first = error
            _attach(error, f"{fact}.")
            return
        self._further += 1
        if self._further <= MOST_NOTES:
            _attach(self._first, f"{fact}: {type(error).__name__}: {error}")


def _attach(error: Exception, note: str) -> None:
    """Add a note, as ``add_note`` does from Python 3.11 on."""
    notes = getattr(error, "__notes__", None)
    if notes is None:
        notes = error.__notes__ = []  # type: ignore[attr-defined]
    notes.append(note)
