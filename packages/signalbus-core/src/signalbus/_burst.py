"""One burst: lock, send, settle, delete and commit, in one transaction."""

from __future__ import annotations

import contextlib
import functools
import time
import typing as t

import sqlalchemy.exc as sa_exc

from signalbus import retry
from signalbus._burst_result import BurstResult
from signalbus._burst_size import SAMPLE
from signalbus._delete import Deletion
from signalbus._held_back import HoldingError
from signalbus._late_deletion import LateDeletion
from signalbus._locked import NOTHING
from signalbus._locked import Burst
from signalbus._outcome import Outcome
from signalbus._settle import Settlement
from signalbus._sql import connections
from signalbus._sql import executors

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._lock import LockingStatements
    from signalbus._select import Selection
    from signalbus._send import Sender
    from signalbus._sql.executors import Executor
    from signalbus._table import SignalTable
    from signalbus.typing import Bus


class BurstRunner:
    """Run bursts of one model, on one connection.

    :param sender: what the bursts are given to.
    :param tries: how often a burst is tried while the database fails in passing.
    """

    def __init__(
        self,
        bus: Bus,
        table: SignalTable,
        connection: sa.Connection,
        sender: Sender,
        tries: int,
    ) -> None:
        self._bus = bus
        self._table = table
        self._connection = connection
        self._tries = tries
        self._sender = sender
        self._settlement = Settlement(bus, table.declaration.model, connection)
        self._deletion = Deletion(table, connection)

    def run(self, selection: Selection, count: int) -> BurstResult:
        """Run a burst of the next *count* signals of *selection*.

        It is tried again if the database fails and nothing was confirmed. What was
        confirmed is never sent again: only the rest is repeated.
        """
        result = BurstResult()
        started = time.perf_counter()
        try:
            retry.call_repeatedly(
                functools.partial(self._attempt, result, selection, count),
                self._tries,
                lambda error: self._may_repeat(result) and self._is_transient(error),
            )
        except Exception as error:
            if result.outcome is not None:
                self._finish_late(result, error)
            elif result.burst.keys or self._is_about_no_row(error):
                raise
            else:
                self._find_unreadable(result, selection, count, error)
        result.seconds = time.perf_counter() - started
        selection.passed(result, count)
        return result

    def read_ahead(self, selection: Selection) -> None:
        """Let *selection* find out what is held back, between two bursts."""
        retry.call_repeatedly(
            lambda: selection.read_ahead(self._table.statements, self._connection),
            self._tries,
            self._is_transient,
        )

    def measure(self) -> None:
        """Find out how large the next rows are, without locking them.

        Rows that cannot be read are reported when they are to be sent.
        """
        table = self._table
        with contextlib.suppress(Exception), connections.transaction(self._connection):
            names = table.burst_size.names
            rows = table.statements.sample(self._connection, names, SAMPLE)
            table.burst_size.measure(rows)

    def _attempt(self, result: BurstResult, selection: Selection, count: int) -> None:
        """Take a burst through steps 4 to 7."""
        result.locked = result.burst = NOTHING
        result.outcome = None
        with connections.transaction(self._connection) as transaction:
            if self._table.declaration.as_rows:
                is_kept = self._take_steps(result, selection, count, self._connection)
            else:
                with executors.session_on(self._connection) as session:
                    is_kept = self._take_steps(result, selection, count, session)
            if not is_kept:
                transaction.rollback()

    def _take_steps(
        self,
        result: BurstResult,
        selection: Selection,
        count: int,
        executor: Executor,
    ) -> bool:
        """Take the steps, and return whether the transaction has done anything."""
        statements = self._lock(result, selection, executor, count)
        burst = result.burst
        if not burst.keys:
            return True
        result.values = self._table.sent_values.of(burst.signals)
        outcome = result.outcome = self._sender.send(burst.signals, burst.queues)
        confirmed = result.confirmed = outcome.confirmed(burst.keys)
        failed = outcome.failed(burst.keys)
        if not confirmed and not (failed and self._settlement.is_wanted):
            return False
        result.answers = self._settlement.write(confirmed, failed)
        if confirmed and not statements.deletes:
            self._deletion.of_burst(executor, burst, confirmed)
        return True

    def _lock(
        self,
        result: BurstResult,
        selection: Selection,
        executor: Executor,
        count: int,
    ) -> LockingStatements:
        """Lock the next rows, and leave out those that are held back."""
        statements = self._statements_for(selection, count)
        burst = selection.take(statements, executor, count)
        if not burst.keys and statements.deletes:
            # No row was deleted: there is none, or the database kept it.
            statements = self._table.statements
            burst = selection.take(statements, executor, count)
        result.locked = result.burst = burst
        if statements.deletes:
            if len(burst.keys) > 1:
                raise self._table.unusable_keys()
        elif burst.keys:
            self._prove_keys(burst)
            self._table.burst_size.learn(burst.signals)
            result.burst = selection.without_held(self._connection, burst)
        return statements

    def _statements_for(self, selection: Selection, count: int) -> LockingStatements:
        """Return the statements that lock *count* rows.

        A row may be deleted at once unless plugins are to find it there: those that
        settle it, or hold it back.
        """
        if count > 1 or selection.is_filtered or self._settlement.is_wanted:
            return self._table.statements
        return self._table.one_row

    def _prove_keys(self, burst: Burst) -> None:
        """Raise unless the rows of *burst* will be found for their deletion."""
        present = functools.partial(self._table.statements.present, self._connection)
        try:
            holds = self._table.key_proof.holds(burst.keys, present)
        except sa_exc.DBAPIError as error:
            if self._is_transient(error):
                raise
            raise self._table.unusable_keys() from error
        if not holds:
            raise self._table.unusable_keys()

    def _find_unreadable(
        self, result: BurstResult, selection: Selection, count: int, error: Exception
    ) -> None:
        """Name the signals of a burst that could not be read: one of them is at fault.

        A value that its column type refuses must not hide all others behind it.
        """
        with connections.transaction(self._connection):
            keys = selection.next_keys(self._table.statements, self._connection, count)
            if not keys:
                raise error
            result.locked = Burst([None] * len(keys), keys)
            result.burst = selection.without_held(self._connection, result.locked)
        if len(keys) > 1:
            doubtful = range(len(result.burst.keys))
            result.outcome = Outcome(unknown=error, doubtful=doubtful)
        elif result.burst.keys:
            result.outcome = Outcome({0: error})
            self._finish_late(result, error)

    def _may_repeat(self, result: BurstResult) -> bool:
        """Return whether nothing has to be kept of an attempt."""
        counted = self._settlement.is_wanted and bool(result.failed())
        return not result.confirmed and not counted

    def _finish_late(self, result: BurstResult, error: Exception) -> None:
        """Finish a burst whose transaction failed after its sender had answered."""
        late = LateDeletion(self._bus, self._table, self._connection, self._tries - 1)
        late.finish(result, error)

    def _is_about_no_row(self, error: Exception) -> bool:
        return isinstance(error, HoldingError) or retry.is_about_no_row(
            self._bus, error
        )

    def _is_transient(self, error: Exception) -> bool:
        return retry.is_transient(self._bus, error)
