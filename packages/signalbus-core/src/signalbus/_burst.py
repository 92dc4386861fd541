"""One burst: lock, send, delete, commit; and what to do when one of these fails."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import time
import typing as t

import sqlalchemy.exc as sa_exc
import sqlalchemy.orm as sa_orm

from signalbus import _connect
from signalbus import _keys
from signalbus import _lock
from signalbus import _send
from signalbus import retry
from signalbus import stopping
from signalbus._burst_size import SAMPLE
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import SignalModelError

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._prepared import Prepared
    from signalbus._select import Executor
    from signalbus._select import Selection
    from signalbus.extension import SignalBus
    from signalbus.typing import PrimaryKey

logger = logging.getLogger("signalbus")


@dataclasses.dataclass
class Delivery:
    """What became of a burst.

    :param confirmed: the keys of the signals that were confirmed.
    :param undeleted: those of them whose rows were not deleted, and why.
    :param is_last: whether the database is in no state to go on with this model.
    """

    burst: _lock.Burst = _lock.NOTHING
    outcome: _send.Outcome = _send.ALL_SENT
    confirmed: t.Sequence[PrimaryKey] = ()
    undeleted: dict[PrimaryKey, Exception] = dataclasses.field(default_factory=dict)
    is_last: bool = False
    #: What the signals were like when they were handed over.
    values: t.Sequence[t.Any] = ()


class Courier:
    """Deliver bursts of one model, over one connection of signalbus's own.

    :param ordered: whether nothing may be sent behind a signal that failed.
    :param tries: how often a burst is tried while the database fails in passing.
    """

    def __init__(
        self,
        bus: SignalBus,
        prepared: Prepared,
        connection: sa.Connection,
        *,
        ordered: bool,
        tries: int,
    ) -> None:
        self._bus = bus
        self._prepared = prepared
        self._declaration = prepared.declaration
        self._connection = connection
        self._sender = _send.Sender(bus, prepared.declaration, ordered=ordered)
        self._tries = tries

    def deliver(self, selection: Selection, count: int) -> Delivery:
        """Deliver the next *count* signals of *selection*.

        A burst is tried again when the database failed before anything was confirmed.
        What was confirmed is never sent again: then only the deletion is tried again.
        """
        delivery = Delivery()
        try:
            retry.patiently(
                functools.partial(self._attempt, delivery, selection, count),
                self._tries,
                lambda error: not delivery.confirmed and self._is_transient(error),
            )
        except Exception as error:
            if delivery.confirmed:
                self._delete_afterwards(delivery, error)
            elif delivery.burst.keys or self._is_about_no_row(error):
                raise
            else:
                return self._unreadable(selection, count, error)
        return delivery

    def measure(self) -> None:
        """Find out how large the next rows are, without locking them.

        What cannot be read is told when it is to be sent.
        """
        statements, size = self._prepared.statements, self._prepared.burst_size
        with (
            contextlib.suppress(Exception),
            _connect.transaction(self._connection),
        ):
            size.measure(statements.sample(self._connection, size.names, SAMPLE))

    def _unreadable(
        self, selection: Selection, count: int, error: Exception
    ) -> Delivery:
        """Name the signals of a burst that could not be read, for one of them at fault.

        A value that its column type refuses must not hide all others behind it.
        """
        with _connect.transaction(self._connection):
            keys = selection.peek(self._prepared.statements, self._connection, count)
        if not keys:
            raise error
        burst = _lock.Burst([None] * len(keys), keys)
        if len(keys) == 1:
            return Delivery(burst, _send.Outcome(failures={0: error}))
        return Delivery(burst, _send.Outcome(unknown=error))

    def _attempt(self, delivery: Delivery, selection: Selection, count: int) -> None:
        delivery.burst, delivery.outcome = _lock.NOTHING, _send.ALL_SENT
        with (
            _connect.transaction(self._connection) as own,
            self._executor() as executor,
        ):
            statements = self._prepared.statements_for(count)
            burst = selection.take(statements, executor, count)
            if not burst.keys and statements.deletes:
                # No row was deleted: there is none, or the database kept it.
                statements = self._prepared.statements
                burst = selection.take(statements, executor, count)
            delivery.burst = burst
            if not burst.keys:
                return
            if not statements.deletes:
                self._prove_keys(burst)
                self._prepared.burst_size.learn(burst.signals)
            elif len(burst.keys) > 1:
                raise self._prepared.unusable_keys()
            delivery.values = statements.values(burst.signals)
            outcome = delivery.outcome = self._sender.send(burst.signals)
            confirmed = delivery.confirmed = outcome.confirmed(burst.keys)
            if not confirmed:
                own.rollback()
            elif not statements.deletes:
                self._delete(executor, burst, confirmed)

    @contextlib.contextmanager
    def _executor(self) -> t.Iterator[Executor]:
        """Lend what rows are read with: a session where the model wants instances."""
        if self._declaration.as_rows:
            yield self._connection
            return
        with self._session() as session:
            yield session

    def _session(self) -> sa_orm.Session:
        return sa_orm.Session(
            self._connection, autoflush=False, join_transaction_mode="rollback_only"
        )

    def _prove_keys(self, burst: _lock.Burst) -> None:
        """Raise unless the rows of *burst* will be found for their deletion."""
        present = functools.partial(self._prepared.statements.present, self._connection)
        try:
            holds = self._prepared.key_proof.holds(burst.keys, present)
        except sa_exc.DBAPIError as error:
            if self._is_transient(error):
                raise
            raise self._prepared.unusable_keys() from error
        if not holds:
            raise self._prepared.unusable_keys()

    def _delete(
        self, executor: Executor, burst: _lock.Burst, keys: t.Sequence[PrimaryKey]
    ) -> None:
        """Delete the rows with *keys*, which are locked: exactly these, or raise."""
        if not self._prepared.needs_session:
            self._delete_rows(keys)
        elif isinstance(executor, sa_orm.Session):
            wanted = set(keys)
            signals = zip(burst.keys, burst.signals, strict=True)
            self._delete_instances(
                executor, keys, [signal for key, signal in signals if key in wanted]
            )
        else:
            self._delete_by_keys(keys)

    def _delete_rows(self, keys: t.Sequence[PrimaryKey]) -> None:
        deleted = self._prepared.deletion.rows(self._connection, keys)
        if 0 <= deleted != len(keys):  # a negative count is an unknown one
            raise self._miscounted(keys)

    def _delete_instances(
        self,
        session: sa_orm.Session,
        keys: t.Sequence[PrimaryKey],
        instances: t.Sequence[object],
    ) -> None:
        self._prepared.deletion.instances(session, instances)
        if self._prepared.statements.present(self._connection, keys):
            raise self._miscounted(keys)

    def _miscounted(self, keys: t.Sequence[PrimaryKey]) -> SignalBusError:
        """Tell why other rows were deleted than the locked ones."""
        if self._prepared.statements.present(self._connection, keys):
            return SignalBusError(
                f"The database took the DELETE of {self._declaration.table.name} and"
                " kept the row. Look for a trigger or a policy that prevents it."
            )
        return self._prepared.unusable_keys()

    def _delete_by_keys(self, keys: t.Sequence[PrimaryKey]) -> None:
        """Delete rows whose instances are not at hand."""
        if not keys:
            return
        if not self._prepared.needs_session:
            self._delete_rows(keys)
            return
        with self._session() as session:
            for some in _keys.slices(keys, self._prepared.statements.most_keys):
                instances = session.scalars(
                    self._prepared.statements.instances, _keys.among_params(some)
                )
                self._delete_instances(session, some, instances.all())

    def _delete_afterwards(self, delivery: Delivery, error: Exception) -> None:
        """Delete what was sent in a transaction that failed; if need be, one by one."""
        if self._is_transient(error):
            logger.warning("A burst was sent, but not deleted, which is tried again.")
            time.sleep(next(retry.backoff(2)))
            self._delete_alone(delivery, delivery.confirmed)
        elif len(delivery.confirmed) == 1 or self._is_about_no_row(error):
            delivery.undeleted = dict.fromkeys(delivery.confirmed, error)
            delivery.is_last = self._is_about_no_row(error)
        else:
            self._delete_one_by_one(delivery)

    def _delete_one_by_one(self, delivery: Delivery) -> None:
        """Delete what can be deleted, until the database itself is in the way."""
        for position, key in enumerate(delivery.confirmed):
            try:
                self._delete_alone(delivery, [key])
            except Exception as error:  # noqa: BLE001 others can be deleted
                delivery.undeleted[key] = error
                if self._is_about_no_row(error):
                    left = delivery.confirmed[position:]
                    delivery.undeleted.update(dict.fromkeys(left, error))
                    delivery.is_last = True
                    return

    def _delete_alone(self, delivery: Delivery, keys: t.Sequence[PrimaryKey]) -> None:
        """Delete rows whose signals were sent in a transaction that is over.

        Their locks were let go, so the application may have changed a row since then,
        or used its key again: such a row is another signal, and stays.
        """
        sent = dict(zip(delivery.burst.keys, delivery.values, strict=True))

        def attempt() -> list[PrimaryKey]:
            with _connect.transaction(self._connection):
                return [
                    key
                    for some in _keys.slices(keys, self._prepared.statements.most_keys)
                    for key in self._delete_unchanged(sent, some)
                ]

        with stopping.shielded():
            unknown = retry.patiently(attempt, self._tries - 1, self._is_transient)
        delivery.undeleted.update(dict.fromkeys(unknown, _incomparable()))

    def _delete_unchanged(
        self, sent: t.Mapping[PrimaryKey, t.Any], keys: t.Sequence[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Delete the rows with *keys* that are as they were sent.

        Return those of which nobody can tell.
        """
        statements = self._prepared.statements
        params = _keys.among_params(keys)
        with self._executor() as executor:
            found = statements.take(executor, statements.chosen_rows, params)
            values = statements.values(found.signals)
        same = {
            key: statements.are_equal(now, sent[key]) if key in sent else None
            for key, now in zip(found.keys, values, strict=True)
        }
        self._delete_by_keys([key for key in same if same[key]])
        if any(answer is False for answer in same.values()):
            logger.warning(
                "Rows of %s changed while their signals were being sent: they stay"
                " pending, as new signals.",
                self._declaration.model.__name__,
            )
        return [key for key in same if same[key] is None]

    def _is_transient(self, error: Exception) -> bool:
        return is_transient(self._bus, error)

    def _is_about_no_row(self, error: Exception) -> bool:
        """Tell whether *error* would meet any other row, too."""
        return (
            isinstance(error, SignalModelError)
            or self._is_transient(error)
            or retry.is_permanent(error)
        )


def _incomparable() -> SignalBusError:
    return SignalBusError(
        "The row cannot be compared with what was sent, so it stays, and is sent again."
        " Give the types of its values an __eq__ method."
    )


def is_transient(bus: SignalBus, error: Exception) -> bool:
    """Tell whether *error* is one of the database's that pass, as the plugins say."""
    if not isinstance(error, sa_exc.SQLAlchemyError):
        return False
    hook = bus.plugin_manager.hook.signalbus_is_transient_error
    return hook(error=error) is True
