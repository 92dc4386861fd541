"""Run: burst after burst, model after model, until all selected rows are passed."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
import typing as t

from signalbus import retry
from signalbus import stopping
from signalbus._burst import BurstRunner
from signalbus._held_back import held_back
from signalbus._keyed_selection import KeyedSelection
from signalbus._results import RunResults
from signalbus._select import PlainSelection
from signalbus._selected_keys import SelectedKeys
from signalbus._send import Sender
from signalbus._sql import connections
from signalbus._waits import unlimited

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._burst_result import BurstResult
    from signalbus._declaration import Declaration
    from signalbus._keyset_scan import KeysetScan
    from signalbus._select import Selection
    from signalbus._table import SignalTable
    from signalbus._table import SignalTables
    from signalbus._waits import Waiting
    from signalbus.breakers import CircuitBreakers
    from signalbus.typing import Bus
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

R = t.TypeVar("R")


@dataclasses.dataclass(frozen=True)
class Job:
    """The rows of one model that a run goes through.

    :param again: whether they were passed over before, since others had locked them.
    """

    declaration: Declaration
    rows: KeysetScan | SelectedKeys
    ordered: bool = False
    again: bool = False


class Run:
    """One call of a flush method.

    :param tries: how often a transaction is tried while its database fails in passing.
    :param waiting: makes the context in which senders are waited for.
    """

    def __init__(
        self,
        bus: Bus,
        tables: SignalTables,
        breakers: CircuitBreakers,
        tries: int,
        waiting: Waiting = unlimited,
    ) -> None:
        self.results = RunResults(bus, breakers)
        self._bus = bus
        self._tables = tables
        self._breakers = breakers
        self._tries = tries
        self._waiting = waiting
        self._is_transient = functools.partial(retry.is_transient, bus)
        #: What was tried and kept of models with an ordering key.
        self._kept: dict[SignalModel, set[PrimaryKey]] = {}

    def read(
        self,
        declaration: Declaration,
        reader: t.Callable[[SignalTable, sa.Connection], t.Sequence[R]],
    ) -> t.Sequence[R]:
        """Read something of a model; nothing, if that fails: other models go on."""

        def attempt() -> t.Sequence[R]:
            with connections.connect(self._bus.db, declaration) as connection:
                table = self._tables.get(declaration, connection.dialect)
                return reader(table, connection)

        if self.results.has_no_database(declaration):
            return []
        try:
            return self._repeat(attempt)
        except Exception as error:  # noqa: BLE001 other models still go out
            self.results.give_up(declaration, error)
            return []

    def do(self, jobs: t.Iterable[Job]) -> None:
        """Do *jobs*, one after the other, whatever happens to each of them."""
        for job in jobs:
            if stopping.is_stopping():
                break
            if job.rows.done or self.results.is_blocked(job.declaration):
                continue
            started = time.perf_counter()
            try:
                self._do(job)
            except Exception as error:  # noqa: BLE001 other models still go out
                seconds = time.perf_counter() - started
                self.results.give_up(job.declaration, error, seconds)

    def _do(self, job: Job) -> None:
        """Run burst after burst, until all rows are passed or there is no point."""
        with contextlib.ExitStack() as stack:
            connection = self._repeat(
                lambda: stack.enter_context(self._connect(job.declaration))
            )
            table = self._tables.get(job.declaration, connection.dialect)
            held = self._repeat(
                lambda: held_back(self._bus, job.declaration.model, connection)
            )
            runner = BurstRunner(
                self._bus, table, connection, self._sender(job), self._tries
            )
            if table.burst_size.is_unknown:
                runner.measure()
            selection = self._selection(job, table, held)
            self._run_bursts(job, runner, selection, lambda: self._next_count(table))

    def _selection(
        self, job: Job, table: SignalTable, held: HeldBack | None
    ) -> Selection:
        if table.queues is None:
            # What others have locked may be held back, and is not waited for then.
            return PlainSelection(job.rows, held, reads_ahead=job.again)
        kept = self._kept.setdefault(job.declaration.model, set())
        burst_count = job.declaration.burst_count
        return KeyedSelection(job.rows, table.queues, held, kept, burst_count)

    def _sender(self, job: Job) -> Sender:
        return Sender(
            self._bus, job.declaration, ordered=job.ordered, waiting=self._waiting
        )

    def _repeat(self, function: t.Callable[[], R]) -> R:
        """Call *function*, and again while its database fails in passing."""
        return retry.call_repeatedly(function, self._tries, self._is_transient)

    def _connect(
        self, declaration: Declaration
    ) -> contextlib.AbstractContextManager[sa.Connection]:
        return connections.connect(
            self._bus.db, declaration, wait_for_disk=self._bus.synchronous_commit
        )

    def _next_count(self, table: SignalTable) -> int:
        """Return how many signals the next burst has: one, if it probes a broker.

        A broker that is down may have got what it has not confirmed.
        """
        is_closed = self._breakers.is_closed(table.declaration.sender)
        return table.burst_size.next if is_closed else 1

    def _run_bursts(
        self,
        job: Job,
        runner: BurstRunner,
        selection: Selection,
        next_count: t.Callable[[], int],
    ) -> bool:
        """Run burst after burst, and return whether the model goes on."""
        while not selection.done and not stopping.is_stopping():
            if selection.must_read_ahead:
                runner.read_ahead(selection)
                continue
            # No name keeps the result: the next burst needs the memory of this one.
            if not self._goes_on(
                job, runner, selection, runner.run(selection, next_count())
            ):
                return False
            selection.wait()
        return True

    def _goes_on(
        self,
        job: Job,
        runner: BurstRunner,
        selection: Selection,
        result: BurstResult,
    ) -> bool:
        """Add a result, and return whether the model goes on.

        If it is not known which signals failed, run them again one by one.
        """
        error = self.results.add(job.declaration, result)
        unavailable = result.outcome is not None and result.outcome.unavailable
        if result.is_last or unavailable or (job.ordered and error):
            return False
        doubtful = result.doubtful()
        if not doubtful:
            return True
        alone = selection.of(SelectedKeys(doubtful, ordered=job.ordered, is_exact=True))
        return self._run_bursts(job, runner, alone, lambda: 1) and not alone.ended
