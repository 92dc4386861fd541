"""Hold back the signals that wait or are parked."""

from __future__ import annotations

import typing as t

import sqlalchemy.exc as sa_exc

from signalbus_retry._entries import DUE
from signalbus_retry._entries import PARKED
from signalbus_retry._entries import WAITING
from signalbus_retry._errors import is_passing

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus.typing import PrimaryKey

    from signalbus_retry._entries import Entries
    from signalbus_retry._memory import Memory


class FailedSignals:
    """The signals of one model that wait for an attempt, or are parked.

    :param skips_parked: whether those behind a parked signal may pass it.
    """

    def __init__(self, memory: Memory, entries: Entries, *, skips_parked: bool) -> None:
        self._memory = memory
        self._entries = entries
        self._skips_parked = skips_parked

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Return those of *keys* that must not be sent now.

        What was read is remembered for the end of the transaction: nobody else can
        change it while this one holds the locks.
        """
        try:
            states = self._entries.states(connection, keys)
        except sa_exc.DBAPIError as error:
            if not is_passing(error):
                self._memory.report_unusable(connection.engine, error)
            raise
        transaction = connection.get_transaction()
        if transaction is not None:
            self._memory.states[transaction] = states
        blocks = {WAITING: True, PARKED: not self._skips_parked}
        return {key: blocks[state] for key, state in states.items() if state != DUE}
