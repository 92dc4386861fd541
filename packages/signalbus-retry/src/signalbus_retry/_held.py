"""Hold back the signals that wait or are parked."""

from __future__ import annotations

import typing as t

import sqlalchemy.exc as sa_exc

from signalbus_retry._entries import PARKED
from signalbus_retry._entries import SUSPECT
from signalbus_retry._entries import WAITING
from signalbus_retry._errors import is_passing

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus.typing import PrimaryKey

    from signalbus_retry._entries import Entries
    from signalbus_retry._entries import States
    from signalbus_retry._memory import Memory


class FailedSignals:
    """The signals of one model that wait for an attempt, or are parked.

    :param skips_parked: whether the signals behind a parked one may pass it.
    """

    def __init__(self, memory: Memory, entries: Entries, *, skips_parked: bool) -> None:
        self._memory = memory
        self._entries = entries
        self._skips_parked = skips_parked
        #: Whether all keys of the last call were parked. Then the next may be, too.
        self._expects_parked = False

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Return those of *keys* that must not be sent now.

        The result is kept for the end of the transaction: nobody else can change it
        while this transaction holds the locks.
        """
        try:
            if self._expects_parked and self._entries.are_parked(connection, keys):
                return dict.fromkeys(keys, not self._skips_parked)
            states = self._entries.states(connection, keys)
        except sa_exc.DBAPIError as error:
            if not is_passing(error):
                self._memory.report_unusable(self._entries, connection, error)
            raise
        self._expects_parked = self._entries.has_numbers and _are_parked(keys, states)
        transaction = connection.get_transaction()
        if transaction is not None:
            self._memory.states[transaction] = states
        return self._held(states) if states else {}

    def _held(self, states: States) -> dict[PrimaryKey, bool]:
        """Return which signals are held back, by their *states*."""
        blocks = {WAITING: True, PARKED: not self._skips_parked}
        attempts = self._memory.attempts(self._entries.declaration.model)
        if attempts.are_written_first:
            blocks[SUSPECT] = True
        held = {key: blocks[state] for key, state in states.items() if state in blocks}
        if attempts.current:
            making = [key for key in held if attempts.is_making(key)]
            for key in making:
                if states[key] != PARKED:
                    del held[key]
        if attempts.are_written_first:
            attempts.note(key for key in held if states[key] == SUSPECT)
        return held


def _are_parked(keys: t.Sequence[PrimaryKey], states: States) -> bool:
    return len(states) == len(keys) and set(states.values()) == {PARKED}
