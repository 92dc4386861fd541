"""Flush: join the steps. The ways of flushing differ in which rows they select.

Select, lock, send, settle, delete, commit: burst after burst, model after model.
"""

from __future__ import annotations

import functools
import time
import typing as t

from signalbus import _notify
from signalbus import stopping
from signalbus._keyset_scan import KeysetScan
from signalbus._markers import hookimpl
from signalbus._read_keys import pending_keys
from signalbus._read_keys import present_keys
from signalbus._report import first_names
from signalbus._run import Job
from signalbus._run import Run
from signalbus._selected_keys import SelectedKeys
from signalbus._selected_keys import poll_intervals
from signalbus._sql import connections
from signalbus._sql import missing_tables
from signalbus._table import SignalTables
from signalbus._waits import Patience
from signalbus._waits import Waiting
from signalbus._waits import Waits
from signalbus._waits import contained
from signalbus._waits import unlimited
from signalbus.breakers import CircuitBreakers

if t.TYPE_CHECKING:
    from flask import Flask

    from signalbus._declaration import Declaration
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel

#: How often a burst is tried while the database fails in passing. Where a commit waits
#: for it, autoflush tries less often.
TRIES = 7
AUTOFLUSH_TRIES = 3


#: How many older signals of the same ordering key an autoflush sends first, at most;
#: and how long it waits while others are sending them, in seconds.
MAX_OLDER = 10
KEY_WAIT = 0.25


class Flusher:
    """Flush the signals of one bus.

    Its methods must be called within an app context. They use connections, sessions and
    transactions of their own.

    :param at_hand: returns the app that is meant; ``None`` if that cannot be known.
    """

    def __init__(self, bus: Bus, at_hand: t.Callable[[], Flask | None]) -> None:
        self._bus = bus
        self.breakers = CircuitBreakers(at_hand)
        self._waits = Waits(self.breakers)
        self._tables = SignalTables()

    def flush(self, models: t.Sequence[SignalModel], wait: float) -> int:
        """Send what is pending now; wait for what others are sending."""
        deadline = time.monotonic() + wait
        run = self._run()
        with run.results:
            jobs = [self._pending_job(run, model) for model in models]
            run.do(jobs)
            self._go_on(run, jobs, _intervals_until(deadline))
        return run.results.finish()

    def flushmany(self, models: t.Sequence[SignalModel]) -> int:
        """Send all that is pending, in the order of the primary key."""
        run = self._run()
        with run.results:
            run.do(Job(self._bus.declaration(model), KeysetScan()) for model in models)
        return run.results.finish()

    def flushordered(self, models: t.Sequence[SignalModel]) -> int:
        """Send what is pending now, in the order that the models declare."""
        run = self._run()
        with run.results:
            jobs = []
            for model in models:
                jobs.append(self._pending_job(run, model, ordered=True))
                run.do(jobs[-1:])
            keyed = [job for job in jobs if job.declaration.ordering_key]
            self._go_on(run, keyed, poll_intervals())
        return run.results.finish()

    def flushkeys(self, recorded: Recorded) -> int:
        """Send what has the given keys, unless others are sending it."""
        run = self._run()
        with run.results:
            run.do(self._jobs(recorded))
        return run.results.finish()

    @hookimpl(trylast=True)
    def signalbus_autoflush(self, recorded: Recorded) -> bool:
        """Send what a transaction recorded, here and now, while its commit waits.

        A broker that keeps another thread waiting is left alone until that goes on.
        """
        patience = Patience(self._waits, self._bus.autoflush_timeout)
        run = self._run(AUTOFLUSH_TRIES, patience)
        self._autoflush(run, recorded, self._may_wait_for)
        return True

    def autoflush(self, recorded: Recorded) -> None:
        """Send what transactions recorded, while nobody waits."""
        self._autoflush(self._run(waiting=contained), recorded, self._may_try)

    def count_pending(self, model: SignalModel) -> int:
        """Return the number of rows of *model*."""
        declaration = self._bus.declaration(model)
        db = self._bus.db
        with (
            missing_tables.explaining(db, declaration),
            connections.connect(db, declaration) as connection,
        ):
            table = self._tables.get(declaration, connection.dialect)
            return connection.scalar(table.statements.pending_count) or 0

    def reset_breakers(self) -> None:
        """Close the circuit breakers of all brokers."""
        for sender, seconds in self.breakers.reset().items():
            _notify.broker_up(self._bus, sender, seconds, reset=True)

    def _go_on(
        self, run: Run, jobs: t.Sequence[Job], intervals: t.Iterable[float]
    ) -> None:
        """Do what *jobs* have missed, after each of some *intervals*, in seconds."""
        for interval in intervals:
            jobs = _still_pending(run, jobs)
            if not jobs or stopping.wait(interval):
                break
            run.do(jobs)

    def _run(self, tries: int = TRIES, waiting: Waiting = unlimited) -> Run:
        return Run(self._bus, self._tables, self.breakers, tries, waiting)

    def _autoflush(
        self,
        run: Run,
        recorded: Recorded,
        may_try: t.Callable[[Declaration, t.Sequence[PrimaryKey]], bool],
    ) -> None:
        """Send what was recorded; log what cannot be sent.

        A broker that was found to be down is left alone for a while; then one signal
        finds out whether it is back.
        """
        with run.results:
            for model, keys in recorded.items():
                declaration = self._bus.declaration(model)
                if not may_try(declaration, keys):
                    continue
                if not declaration.ordering_key:
                    run.do([Job(declaration, SelectedKeys(keys))])
                    continue
                jobs = [Job(declaration, SelectedKeys(keys, older=MAX_OLDER))]
                run.do(jobs)
                # Who sends an older signal of the same key does not know of this one.
                deadline = time.monotonic() + KEY_WAIT
                self._go_on(run, jobs, _intervals_until(deadline))

    def _may_try(self, declaration: Declaration, _: t.Sequence[PrimaryKey]) -> bool:
        """Return whether an autoflush may try the sender."""
        return self.breakers.admits(declaration.sender)

    def _may_wait_for(
        self, declaration: Declaration, keys: t.Sequence[PrimaryKey]
    ) -> bool:
        """Return whether a commit may wait for the sender; log once that not."""
        sender = declaration.sender
        if not self._waits.is_stalled(sender):
            return self.breakers.admits(sender)
        if self.breakers.is_closed(sender) and self._waits.note_left(sender):
            _notify.broker_stalled(sender, first_names(declaration, keys))
        return False

    def _jobs(self, recorded: Recorded) -> t.Iterator[Job]:
        """Return the jobs of sending the signals that have the given keys."""
        for model, keys in recorded.items():
            rows = SelectedKeys(keys, is_exact=True)
            yield Job(self._bus.declaration(model), rows)

    def _pending_job(
        self, run: Run, model: SignalModel, *, ordered: bool = False
    ) -> Job:
        """Return the job of sending the signals of *model* that are pending now."""
        declaration = self._bus.declaration(model)
        order_by = declaration.order_by if ordered else ()
        read = functools.partial(pending_keys, order_by)
        keys = run.read(declaration, read)
        # With an ordering key, a signal stops only those that have the same.
        ordered = ordered and not declaration.ordering_key
        return Job(declaration, SelectedKeys(keys, ordered=ordered), ordered)


def _still_pending(run: Run, jobs: t.Iterable[Job]) -> list[Job]:
    """Return jobs for the rows that were passed over and are still there."""
    left = []
    for job in jobs:
        rows = t.cast("SelectedKeys", job.rows)
        if rows.missed and not run.results.is_lost(job.declaration):
            read = functools.partial(present_keys, rows.missed)
            keys = run.read(job.declaration, read)
            left.append(Job(job.declaration, rows.rest(keys), again=True))
    return [job for job in left if not job.rows.done]


def _intervals_until(deadline: float) -> t.Iterator[float]:
    """Yield growing waits, in seconds, until *deadline*, or until told to stop."""
    for interval in poll_intervals():
        left = deadline - time.monotonic()
        if left <= 0 or stopping.is_stopping():
            break
        yield min(interval, left)
