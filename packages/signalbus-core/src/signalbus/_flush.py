"""Flush: burst after burst, model after model, until all chosen rows are passed.

The methods of :class:`Flusher` differ in which rows they choose, and in nothing else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import time
import typing as t

from signalbus import _connect
from signalbus import retry
from signalbus import stopping
from signalbus._burst import Courier
from signalbus._burst import Delivery
from signalbus._burst import Prepared
from signalbus._burst import is_transient
from signalbus._discover import Declaration
from signalbus._discover import declaration_of
from signalbus._discover import marks_of
from signalbus._pause import Pauses
from signalbus._report import Report
from signalbus._select import Chosen
from signalbus._select import Selection
from signalbus._select import Walk
from signalbus._select import looks
from signalbus.exceptions import SignalModelError

if t.TYPE_CHECKING:
    import pluggy
    import sqlalchemy as sa

    from signalbus._record import Recorded
    from signalbus.extension import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

logger = logging.getLogger("signalbus")

#: How often a burst is tried while the database fails in passing; autoflush tries less
#: often, because somebody is waiting for it.
TRIES = 7
AUTOFLUSH_TRIES = 3


@dataclasses.dataclass(frozen=True)
class Job:
    """The rows of one model that a run goes through."""

    declaration: Declaration
    selection: Selection
    ordered: bool = False


class Flusher:
    """Flush the signals of one bus.

    Its methods must be called within an app context. They use connections, sessions and
    transactions of their own.
    """

    def __init__(self, bus: SignalBus) -> None:
        self._bus = bus
        self._pauses = Pauses()
        self._prepared: dict[tuple[SignalModel, str], Prepared] = {}
        self._declarations: dict[SignalModel, tuple[object, Declaration]] = {}

    def flush(self, models: t.Sequence[SignalModel], wait: float) -> int:
        """Send what is pending now; wait for what others are sending."""
        deadline = time.monotonic() + wait
        run = self._run()
        jobs = [
            Job(declaration, Chosen(run.pending_keys(declaration)))
            for declaration in map(declaration_of, models)
        ]
        run.work(jobs)
        for pause in _looks_until(deadline):
            jobs = _still_locked(run, jobs)
            if not jobs or stopping.wait(pause):
                break
            run.work(jobs)
        return run.report.finish()

    def flushmany(self, models: t.Sequence[SignalModel]) -> int:
        """Send all that is pending, in the order of the primary key."""
        run = self._run()
        run.work(Job(declaration_of(model), Walk()) for model in models)
        return run.report.finish()

    def flushordered(self, models: t.Sequence[SignalModel]) -> int:
        """Send what is pending now, in the order that the models declare."""
        run = self._run()
        run.work(run.ordered_job(declaration_of(model)) for model in models)
        return run.report.finish()

    def autoflush(self, recorded: Recorded) -> None:
        """Send what a transaction recorded, and log what cannot be sent.

        A broker that was found to be down is left alone for a while; then one signal
        finds out whether it is back.
        """
        run = self._run(AUTOFLUSH_TRIES)
        for model, keys in recorded.items():
            try:
                declaration = self._declaration(model)
            except SignalModelError as error:
                logger.error("Signals stay pending: %s", error)  # noqa: TRY400 no fault of the code
                continue
            run.work(self._autoflush_jobs(declaration, _sorted(keys)))

    def count_pending(self, model: SignalModel) -> int:
        """Return the number of rows of *model*."""
        declaration = declaration_of(model)
        with _connect.connect(self._bus.db, declaration) as connection:
            statements = self.prepare(declaration, connection).statements
            return connection.scalar(statements.pending_count) or 0

    def prepare(self, declaration: Declaration, connection: sa.Connection) -> Prepared:
        """Return the statements of a model, made on first use."""
        key = (declaration.model, connection.dialect.name)
        prepared = self._prepared.get(key)
        if prepared is None or not prepared.fits(declaration):
            prepared = Prepared.of(declaration, connection.dialect)
            self._prepared[key] = prepared
        return prepared

    def _declaration(self, model: SignalModel) -> Declaration:
        """Return what *model* declares, looked at closely only when that changes."""
        marks = marks_of(model)
        known = self._declarations.get(model)
        if known is None or known[0] != marks:
            known = self._declarations[model] = (marks, declaration_of(model))
        return known[1]

    def _run(self, tries: int = TRIES) -> Run:
        return Run(self._bus, self.prepare, self._pauses, tries)

    def _autoflush_jobs(
        self, declaration: Declaration, keys: t.Sequence[PrimaryKey]
    ) -> list[Job]:
        carrier = declaration.carrier
        if self._pauses.admits(carrier):
            return [Job(declaration, Chosen(keys))]
        if self._pauses.admits_probe(carrier):
            return [Job(declaration, Chosen(part)) for part in (keys[:1], keys[1:])]
        return []


class Run:
    """One call of a flush method: what it sent, and the brokers that it found down."""

    def __init__(
        self,
        bus: SignalBus,
        prepare: t.Callable[[Declaration, sa.Connection], Prepared],
        pauses: Pauses,
        tries: int,
    ) -> None:
        self.report = Report()
        self._bus = bus
        self._prepare = prepare
        self._pauses = pauses
        self._tries = tries
        self._down: dict[object, Exception] = {}

    def pending_keys(
        self, declaration: Declaration, order_by: t.Sequence[t.Any] = ()
    ) -> list[PrimaryKey]:
        """Read which signals of a model are pending now."""

        def read(connection: sa.Connection) -> list[PrimaryKey]:
            statements = self._prepare(declaration, connection).statements
            select = statements.pending_keys_by(order_by)
            return [tuple(row) for row in connection.execute(select)]

        return self._read(declaration, read)

    def ordered_job(self, declaration: Declaration) -> Job:
        """Return the work of sending what is pending now in the declared order."""
        keys = self.pending_keys(declaration, declaration.order_by)
        return Job(declaration, Chosen(keys, ordered=True), ordered=True)

    def present_keys(
        self, declaration: Declaration, keys: t.Sequence[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Read which of *keys* are still pending."""

        def read(connection: sa.Connection) -> list[PrimaryKey]:
            statements = self._prepare(declaration, connection).statements
            return statements.present(connection, keys)

        return self._read(declaration, read)

    def _read(
        self,
        declaration: Declaration,
        read: t.Callable[[sa.Connection], list[PrimaryKey]],
    ) -> list[PrimaryKey]:
        """Read keys of a model; none, if that fails: other models still go out."""

        def attempt() -> list[PrimaryKey]:
            with _connect.connect(self._bus.db, declaration) as connection:
                return read(connection)

        try:
            may_repeat = functools.partial(is_transient, self._bus)
            return retry.patiently(attempt, self._tries, may_repeat)
        except Exception as error:  # noqa: BLE001 other models still go out
            self._give_up(declaration, error)
            return []

    def work(self, jobs: t.Iterable[Job]) -> None:
        """Do *jobs*, one after the other, whatever happens to each."""
        for job in jobs:
            if stopping.is_stopping():
                break
            error = self._down.get(job.declaration.carrier)
            if job.selection.done:
                continue
            if error is not None:
                self.report.stopped(job.declaration, error)
                continue
            try:
                self._do(job)
            except Exception as its_error:  # noqa: BLE001 other models still go out
                self._give_up(job.declaration, its_error)

    def _do(self, job: Job) -> None:
        """Send burst after burst, until all rows are passed or there is no point."""
        count = job.declaration.burst_count
        with self._connect(job.declaration) as connection:
            courier = Courier(
                self._bus,
                self._prepare(job.declaration, connection),
                connection,
                ordered=job.ordered,
                tries=self._tries,
            )
            self._go_through(job, courier, count)

    @contextlib.contextmanager
    def _connect(self, declaration: Declaration) -> t.Iterator[sa.Connection]:
        """Lend a connection, which may have to be waited for, too."""
        lend = functools.partial(
            _connect.connect,
            self._bus.db,
            declaration,
            wait_for_disk=self._bus.synchronous_commit,
        )
        may_repeat = functools.partial(is_transient, self._bus)
        with contextlib.ExitStack() as stack:
            yield retry.patiently(
                lambda: stack.enter_context(lend()), self._tries, may_repeat
            )

    def _go_through(self, job: Job, courier: Courier, count: int) -> bool:
        """Deliver burst after burst, and tell whether the model goes on."""
        while not job.selection.done and not stopping.is_stopping():
            if not self._goes_on(job, courier, count):
                return False
            job.selection.wait()
        return True

    def _goes_on(self, job: Job, courier: Courier, count: int) -> bool:
        """Deliver a burst, account for it, and tell whether its model goes on."""
        delivery = courier.deliver(job.selection, count)
        job.selection.passed(delivery.burst, count)
        if not delivery.outcome.unknown or len(delivery.burst.keys) == 1:
            return self._account(job, delivery)
        self._notify_failed(job.declaration, delivery.outcome.unknown)
        one_by_one = Chosen(delivery.burst.keys, ordered=job.ordered)
        return self._go_through(Job(job.declaration, one_by_one, job.ordered), courier, 1)

    def _account(self, job: Job, delivery: Delivery) -> bool:
        """Report a delivery, and tell whether its model goes on."""
        declaration = job.declaration
        sent = len(delivery.confirmed) - len(delivery.undeleted)
        if sent:
            self.report.sent += sent
            self._pauses.worked(declaration.carrier)
            self._notify_sent(declaration, sent)
        error = self._report(declaration, delivery)
        if error is not None:
            self._notify_failed(declaration, error)
        return not (delivery.outcome.unavailable or (job.ordered and error))

    def _report(self, declaration: Declaration, delivery: Delivery) -> Exception | None:
        """Report what a delivery left, and return the first error."""
        outcome, keys = delivery.outcome, delivery.burst.keys
        for position, error in outcome.failures.items():
            if error is not outcome.unavailable:
                self.report.kept(declaration, keys[position], error)
        for key, error in delivery.undeleted.items():
            self.report.undeleted(declaration, key, error)
        if outcome.unavailable:
            self._down[declaration.carrier] = outcome.unavailable
            self._pauses.failed(declaration.carrier)
            self.report.unavailable(declaration, _left(delivery), outcome.unavailable)
        errors = [*outcome.failures.values(), *delivery.undeleted.values()]
        return outcome.unavailable or next(iter(errors), None)

    def _give_up(self, declaration: Declaration, error: Exception) -> None:
        self.report.stopped(declaration, error)
        self._notify_failed(declaration, error)

    def _notify_sent(self, declaration: Declaration, count: int) -> None:
        _notify(
            self._bus.plugin_manager,
            "signalbus_burst_sent",
            {"bus": self._bus, "model": declaration.model, "count": count},
        )

    def _notify_failed(self, declaration: Declaration, error: Exception) -> None:
        _notify(
            self._bus.plugin_manager,
            "signalbus_burst_failed",
            {"bus": self._bus, "model": declaration.model, "error": error},
        )


def _still_locked(run: Run, jobs: t.Iterable[Job]) -> list[Job]:
    """Return jobs for the rows that were passed over and still exist."""
    left = [
        Job(job.declaration, Chosen(run.present_keys(job.declaration, missed)))
        for job in jobs
        if (missed := t.cast("Chosen", job.selection).missed)
    ]
    return [job for job in left if not job.selection.done]


def _left(delivery: Delivery) -> list[PrimaryKey]:
    """Return the keys of the signals that a delivery left pending."""
    gone = set(delivery.confirmed)
    return [key for key in delivery.burst.keys if key not in gone]


def _notify(
    manager: pluggy.PluginManager, name: str, facts: t.Mapping[str, t.Any]
) -> None:
    """Tell every plugin of something that has happened, whatever the others make of it.

    Within one call, a plugin that fails would silence those behind it.
    """
    implementations = getattr(manager.hook, name).get_hookimpls()
    plugins = [each.plugin for each in implementations]
    for plugin in plugins:
        others = [other for other in plugins if other is not plugin]
        try:
            manager.subset_hook_caller(name, others)(**facts)
        except Exception:
            logger.exception("A plugin failed in %s", name)


def _sorted(keys: t.Iterable[PrimaryKey]) -> list[PrimaryKey]:
    """Return *keys* in ascending order, for those that have one."""
    try:
        return sorted(keys)
    except TypeError:
        return list(keys)


def _looks_until(deadline: float) -> t.Iterator[float]:
    """Yield growing pauses, in seconds, that end at *deadline* or when told to stop."""
    for pause in looks():
        left = deadline - time.monotonic()
        if left <= 0 or stopping.is_stopping():
            break
        yield min(pause, left)
