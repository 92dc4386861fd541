"""Finish a burst whose transaction failed after its sender had answered.

What was confirmed must not be sent again: it is deleted in a transaction of its own,
if need be row by row.
"""

from __future__ import annotations

import typing as t

from signalbus import retry
from signalbus import stopping
from signalbus._delete import Deletion
from signalbus._settle import Settlement
from signalbus._settle import SettlementError
from signalbus._sql import connections
from signalbus._sql import executors
from signalbus._sql import key_conditions
from signalbus.exceptions import SignalBusError
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._burst_result import BurstResult
    from signalbus._table import SignalTable
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey

logger = get_logger("signalbus")

Failed: t.TypeAlias = "t.Mapping[PrimaryKey, Exception]"


class LateDeletion:
    """Delete what was sent, and settle what failed, in new transactions.

    :param tries: how often each of them is tried while the database fails in passing.
    """

    def __init__(
        self,
        bus: Bus,
        table: SignalTable,
        connection: sa.Connection,
        tries: int,
    ) -> None:
        self._bus = bus
        self._table = table
        self._connection = connection
        self._deletion = Deletion(table, connection)
        self._settlement = Settlement(bus, table.declaration.model, connection)
        self._tries = tries
        self._is_muted = False  # whether plugins write nothing any more

    def finish(self, result: BurstResult, error: Exception) -> None:
        """Finish the burst of *result*, whose transaction raised *error*."""
        with stopping.shielded():
            if result.failed():
                result.answers = self._settle_failed(result.failed())
            if result.confirmed:
                self._delete_confirmed(result, error)

    def _settle_failed(self, failed: Failed) -> list[object]:
        """Settle those failed signals whose rows can be locked again."""

        def attempt() -> list[object]:
            with connections.transaction(self._connection):
                locked = self._table.statements.lock(self._connection, list(failed))
                return self._settle((), {key: failed[key] for key in locked})

        if not self._settlement.is_wanted:
            return []
        try:
            return retry.call_repeatedly(attempt, self._tries, self._is_transient)
        except Exception:
            logger.exception("Plugins could not record which signals failed.")
            return []

    def _settle(self, sent: t.Sequence[PrimaryKey], failed: Failed) -> list[object]:
        if self._is_muted:
            return []
        return self._settlement.write_each(sent, failed, self._is_transient)

    def _delete_confirmed(self, result: BurstResult, error: Exception) -> None:
        if isinstance(error, SettlementError):
            self._delete(result, result.confirmed)
        elif self._is_transient(error):
            logger.warning(
                "A burst was sent, but its rows were not deleted. Retrying that."
            )
            stopping.wait(next(retry.backoff(2)))
            self._delete(result, result.confirmed)
        elif self._is_about_no_row(error) or not self._may_do_better(result):
            result.undeleted = dict.fromkeys(result.confirmed, error)
            result.is_last = self._is_about_no_row(error)
        else:
            self._delete_one_by_one(result)

    def _may_do_better(self, result: BurstResult) -> bool:
        """Return whether an error of the burst may spare a single row.

        It may have been the fault of a plugin, which broke or ended the transaction.
        """
        return len(result.confirmed) > 1 or self._settlement.is_wanted

    def _delete_one_by_one(self, result: BurstResult) -> None:
        """Delete what can be deleted, until the database itself is in the way."""
        for position, key in enumerate(result.confirmed):
            try:
                self._delete(result, [key])
            except Exception as error:  # noqa: BLE001 others can be deleted
                result.undeleted[key] = error
                if self._is_about_no_row(error):
                    left = result.confirmed[position:]
                    result.undeleted.update(dict.fromkeys(left, error))
                    result.is_last = True
                    return

    def _delete(self, result: BurstResult, keys: t.Sequence[PrimaryKey]) -> None:
        """Delete rows whose signals were sent in a transaction that is over.

        Plugins cannot keep them: if one fails again and again, or breaks or ends the
        transaction, none is asked.
        """
        try:
            unknown = self._delete_rows(result, keys)
        except Exception as error:
            if not self._may_be_due_to_plugins(error):
                raise
            logger.exception("Plugins could not record which signals were sent.")
            self._is_muted = True
            try:
                unknown = self._delete_rows(result, keys)
            finally:
                self._is_muted = False
        result.undeleted.update(dict.fromkeys(unknown, _incomparable()))

    def _delete_rows(
        self, result: BurstResult, keys: t.Sequence[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Delete rows in a transaction; return the keys of those that are doubtful.

        Their locks were released, so the application may have changed a row since then,
        or used its key again. Such a row is a new signal, and stays.
        """
        sent = dict(zip(result.burst.keys, result.values, strict=True))
        max_keys = self._table.statements.max_keys

        def attempt() -> list[PrimaryKey]:
            with connections.transaction(self._connection):
                return [
                    key
                    for some in key_conditions.slices(keys, max_keys)
                    for key in self._delete_unchanged(sent, some)
                ]

        return retry.call_repeatedly(attempt, self._tries, self._is_transient)

    def _delete_unchanged(
        self, sent: t.Mapping[PrimaryKey, t.Any], keys: t.Sequence[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Delete those rows with *keys* that are as they were when they were sent.

        Return the keys of the rows for which that cannot be found out.
        """
        statements, values = self._table.statements, self._table.sent_values
        params = key_conditions.among_params(keys)
        with executors.executor_for(
            self._connection, as_rows=self._table.declaration.as_rows
        ) as executor:
            found = statements.take(executor, statements.chosen_rows, params)
            present = values.of(found.signals)
        same = {
            key: values.are_equal(now, sent[key]) if key in sent else None
            for key, now in zip(found.keys, present, strict=True)
        }
        unchanged = [key for key in same if same[key]]
        self._settle(unchanged, {})
        self._deletion.by_keys(unchanged)
        if any(answer is False for answer in same.values()):
            logger.warning(
                "Rows of %s changed while their signals were being sent. They stay"
                " pending and will be sent as new signals.",
                self._table.declaration.model.__name__,
            )
        return [key for key in same if same[key] is None]

    def _may_be_due_to_plugins(self, error: Exception) -> bool:
        if isinstance(error, SettlementError):
            return True
        return self._settlement.is_wanted and not self._is_about_no_row(error)

    def _is_transient(self, error: Exception) -> bool:
        if isinstance(error, SettlementError):
            return True  # or it would have been logged
        return retry.is_transient(self._bus, error)

    def _is_about_no_row(self, error: Exception) -> bool:
        return retry.is_about_no_row(self._bus, error)


def _incomparable() -> SignalBusError:
    return SignalBusError(
        "The row cannot be compared with what was sent, so it stays pending and"
        " will be sent again. Give the types of its values an __eq__ method."
    )
