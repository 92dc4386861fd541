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

import sqlalchemy.exc as sa_exc

from signalbus import _connect
from signalbus import _keys
from signalbus import _missing
from signalbus import _report
from signalbus import _tell
from signalbus import retry
from signalbus import stopping
from signalbus._breaker import CircuitBreakers
from signalbus._burst import Courier
from signalbus._burst import Delivery
from signalbus._burst import is_transient
from signalbus._discover import Declaration
from signalbus._discover import declaration_of
from signalbus._discover import marks_of
from signalbus._key_list import KeyList
from signalbus._prepared import Prepared
from signalbus._select import Chosen
from signalbus._select import Selection
from signalbus._select import Walk
from signalbus._select import looks
from signalbus._send import is_unavailable
from signalbus.exceptions import SignalModelError
from signalbus.exceptions import describe_error

if t.TYPE_CHECKING:
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

#: How many keys are fetched at a time. All at once, a driver's copies of them would
#: take many times the memory of the keys.
KEYS_AT_A_TIME = 10_000

#: How many of them are looked up, where it is not certain that they find their rows.
SOME_KEYS = 16


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
        self._breakers = CircuitBreakers()
        self._prepared: dict[tuple[SignalModel, str], Prepared] = {}
        self._declarations: dict[SignalModel, tuple[object, Declaration]] = {}
        self._refused: dict[SignalModel, str] = {}

    def flush(self, models: t.Sequence[SignalModel], wait: float) -> int:
        """Send what is pending now; wait for what others are sending."""
        deadline = time.monotonic() + wait
        with self._run() as run:
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
        with self._run() as run:
            run.work(Job(declaration_of(model), Walk()) for model in models)
        return run.report.finish()

    def flushordered(self, models: t.Sequence[SignalModel]) -> int:
        """Send what is pending now, in the order that the models declare."""
        with self._run() as run:
            run.work(run.ordered_job(declaration_of(model)) for model in models)
        return run.report.finish()

    def autoflush(self, recorded: Recorded) -> None:
        """Send what a transaction recorded, and log what cannot be sent.

        A broker that was found to be down is left alone for a while; then one signal
        finds out whether it is back.
        """
        with self._run(AUTOFLUSH_TRIES) as run:
            for model, keys in recorded.items():
                try:
                    declaration = self._declaration(model)
                except SignalModelError as error:
                    self._refuse(model, error)
                    continue
                if self._breakers.admits(declaration.carrier):
                    run.work([Job(declaration, Chosen(keys))])

    def _refuse(self, model: SignalModel, error: SignalModelError) -> None:
        """Log once, and not at every commit, why a model cannot be sent."""
        text = describe_error(error)
        if self._refused.get(model) != text:
            self._refused[model] = text
            logger.error("Signals stay pending: %s", text)

    def count_pending(self, model: SignalModel) -> int:
        """Return the number of rows of *model*."""
        declaration = declaration_of(model)
        try:
            with _connect.connect(self._bus.db, declaration) as connection:
                statements = self.prepare(declaration, connection).statements
                return connection.scalar(statements.pending_count) or 0
        except sa_exc.DBAPIError as error:
            explained = _explained(self._bus, declaration, error)
            if explained is error:
                raise
            raise explained from error

    def reset_breakers(self) -> None:
        """Close the circuit breakers of all brokers."""
        for carrier, seconds in self._breakers.reset().items():
            _tell.broker_up(self._bus, carrier, seconds, reset=True)

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
        return Run(self._bus, self.prepare, self._breakers, tries)


class Run:
    """One call of a flush method: what it sent, and what it found down.

    Used as a context manager, which tells at its end what could not be sent.
    """

    def __init__(
        self,
        bus: SignalBus,
        prepare: t.Callable[[Declaration, sa.Connection], Prepared],
        breakers: CircuitBreakers,
        tries: int,
    ) -> None:
        self.report = _report.Report()
        self._bus = bus
        self._prepare = prepare
        self._breakers = breakers
        self._tries = tries
        self._down: dict[object, Exception] = {}
        self._lost: dict[str | None, Exception] = {}

    def __enter__(self) -> Run:  # noqa: PYI034 Self is not in Python 3.10
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Tell what could not be sent, be it that the run was interrupted."""
        self.report.close()

    def pending_keys(
        self, declaration: Declaration, order_by: t.Sequence[t.Any] = ()
    ) -> t.Sequence[PrimaryKey]:
        """Read which signals of a model are pending now."""

        def read(connection: sa.Connection) -> KeyList:
            prepared = self._prepare(declaration, connection)
            select = prepared.statements.pending_keys_by(order_by)
            keys = _read_keys(connection, select)
            _check_keys(connection, prepared, select, keys[:SOME_KEYS])
            return keys

        return self._read(declaration, read)

    def ordered_job(self, declaration: Declaration) -> Job:
        """Return the work of sending what is pending now in the declared order."""
        keys = self.pending_keys(declaration, declaration.order_by)
        return Job(declaration, Chosen(keys, ordered=True), ordered=True)

    def present_keys(
        self, declaration: Declaration, keys: t.Sequence[PrimaryKey]
    ) -> t.Sequence[PrimaryKey]:
        """Read which of *keys* are still pending."""

        def read(connection: sa.Connection) -> KeyList:
            statements = self._prepare(declaration, connection).statements
            present = KeyList()
            for some in _keys.slices(keys, KEYS_AT_A_TIME):
                present.extend(statements.present(connection, some))
            return present

        return self._read(declaration, read)

    def _read(
        self,
        declaration: Declaration,
        read: t.Callable[[sa.Connection], t.Sequence[PrimaryKey]],
    ) -> t.Sequence[PrimaryKey]:
        """Read keys of a model; none, if that fails: other models still go out."""

        def attempt() -> t.Sequence[PrimaryKey]:
            with _connect.connect(self._bus.db, declaration) as connection:
                return read(connection)

        if self._has_no_database(declaration):
            return []
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
            if job.selection.done or self._is_stopped(job.declaration):
                continue
            try:
                self._do(job)
            except Exception as error:  # noqa: BLE001 other models still go out
                self._give_up(job.declaration, error)

    def _is_stopped(self, declaration: Declaration) -> bool:
        """Tell whether there is no point, and note that the model was left."""
        error = self._down.get(declaration.carrier)
        if error is None:
            return self._has_no_database(declaration)
        self.report.unavailable(declaration, (), error)
        return True

    def _has_no_database(self, declaration: Declaration) -> bool:
        """Tell whether its database was found down; note that the model was left."""
        database = _database_of(declaration)
        error = self._lost.get(database)
        if error is None:
            return False
        self.report.no_database(declaration, database, error)
        return True

    def _do(self, job: Job) -> None:
        """Send burst after burst, until all rows are passed or there is no point."""
        with self._connect(job.declaration) as connection:
            prepared = self._prepare(job.declaration, connection)
            courier = Courier(
                self._bus,
                prepared,
                connection,
                ordered=job.ordered,
                tries=self._tries,
            )
            if prepared.burst_size.is_unknown:
                courier.measure()
            self._go_through(job, courier, lambda: self._count(prepared))

    def _count(self, prepared: Prepared) -> int:
        """Return how many signals the next burst has: one, if it is a probe.

        What a broker that is down has not confirmed, it may have got all the same.
        """
        is_closed = self._breakers.is_closed(prepared.declaration.carrier)
        return prepared.burst_size.next if is_closed else 1

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

    def _go_through(
        self, job: Job, courier: Courier, count: t.Callable[[], int]
    ) -> bool:
        """Deliver burst after burst, and tell whether the model goes on."""
        while not job.selection.done and not stopping.is_stopping():
            if not self._goes_on(job, courier, count()):
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
        single = Job(job.declaration, one_by_one, job.ordered)
        return self._go_through(single, courier, lambda: 1)

    def _account(self, job: Job, delivery: Delivery) -> bool:
        """Report a delivery, and tell whether its model goes on.

        Plugins are told last, since they may end the run.
        """
        declaration = job.declaration
        sent = len(delivery.confirmed) - len(delivery.undeleted)
        self.report.sent += sent
        error = self._report(declaration, delivery)
        if delivery.confirmed and not delivery.outcome.unavailable:
            self._note_up(declaration.carrier)
        if sent:
            self._notify_sent(declaration, sent)
        if error is not None:
            self._notify_failed(declaration, error)
        return not (
            delivery.is_last or delivery.outcome.unavailable or (job.ordered and error)
        )

    def _report(self, declaration: Declaration, delivery: Delivery) -> Exception | None:
        """Report what a delivery left, and return the first error."""
        outcome, keys = delivery.outcome, delivery.burst.keys
        for position, error in outcome.failures.items():
            if not outcome.unavailable or not is_unavailable(self._bus, error):
                explained = _explained(self._bus, declaration, error)
                self.report.kept(declaration, keys[position], explained)
        for key, error in delivery.undeleted.items():
            self.report.undeleted(declaration, key, error)
        if outcome.unavailable:
            self._note_down(declaration, _left(delivery), outcome.unavailable)
        errors = [*outcome.failures.values(), *delivery.undeleted.values()]
        return outcome.unavailable or next(iter(errors), None)

    def _note_down(
        self, declaration: Declaration, left: t.Sequence[PrimaryKey], error: Exception
    ) -> None:
        """Leave a broker alone that could not be reached."""
        carrier = declaration.carrier
        self._down[carrier] = error
        self.report.unavailable(declaration, left, error)
        if self._breakers.failed(carrier):
            signals = _report.named(declaration, left)
            _tell.broker_down(self._bus, carrier, error, signals)

    def _note_up(self, carrier: object) -> None:
        """Trust a broker again that confirmed something."""
        seconds = self._breakers.worked(carrier)
        if seconds is not None:
            _tell.broker_up(self._bus, carrier, seconds)

    def _give_up(self, declaration: Declaration, error: Exception) -> None:
        """Leave a model; if it has no database, the others of that database, too."""
        database = _database_of(declaration)
        error = _explained(self._bus, declaration, error)
        if retry.is_outage(error):
            self._lost[database] = error
            self.report.no_database(declaration, database, error)
        else:
            self.report.stopped(declaration, error)
        self._notify_failed(declaration, error)

    def _notify_sent(self, declaration: Declaration, count: int) -> None:
        facts = {"model": declaration.model, "count": count}
        _tell.notify(self._bus, "signalbus_burst_sent", facts)

    def _notify_failed(self, declaration: Declaration, error: Exception) -> None:
        facts = {"model": declaration.model, "error": error}
        _tell.notify(self._bus, "signalbus_burst_failed", facts)


def _read_keys(connection: sa.Connection, select: sa.Select[t.Any]) -> KeyList:
    """Read keys: a few at once, many through a server's cursor."""
    few = connection.execute(select.limit(KEYS_AT_A_TIME)).all()
    if len(few) < KEYS_AT_A_TIME:
        return KeyList(few)
    keys = KeyList()
    options = {"yield_per": KEYS_AT_A_TIME}
    for some in connection.execute(select, execution_options=options).partitions():
        keys.extend(some)
    return keys


def _check_keys(
    connection: sa.Connection,
    prepared: Prepared,
    select: sa.Select[t.Any],
    keys: t.Sequence[PrimaryKey],
) -> None:
    """Raise if rows are not found by the *keys* that were read with *select*.

    They would be taken for signals that others have sent. Those that are still there
    when they are read again were not.
    """
    if not keys or prepared.key_proof.is_certain(keys):
        return
    absent = set(keys) - set(prepared.statements.present(connection, keys))
    if absent:
        again = connection.execute(select.limit(len(keys)))
        if absent.intersection(map(tuple, again)):
            raise prepared.unusable_keys()


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


def _explained(bus: SignalBus, declaration: Declaration, error: Exception) -> Exception:
    """Return *error*, or a better one if a table of the model is missing."""
    if not isinstance(error, sa_exc.DBAPIError):
        return error
    engine = bus.db.engines.get(_database_of(declaration))
    return _missing.explained(declaration, error, engine)


def _database_of(declaration: Declaration) -> str | None:
    """Return the bind key of a model's database."""
    return t.cast("str | None", declaration.table.metadata.info.get("bind_key"))


def _looks_until(deadline: float) -> t.Iterator[float]:
    """Yield growing pauses, in seconds, that end at *deadline* or when told to stop."""
    for pause in looks():
        left = deadline - time.monotonic()
        if left <= 0 or stopping.is_stopping():
            break
        yield min(pause, left)
