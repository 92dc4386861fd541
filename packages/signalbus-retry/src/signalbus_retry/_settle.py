"""Record which signals failed, in the transaction that deletes those sent."""

from __future__ import annotations

import typing as t

import sqlalchemy.exc as sa_exc
from signalbus import clock

from signalbus_retry._begun import without_attempt
from signalbus_retry._errors import is_passing
from signalbus_retry._memory import memory_of
from signalbus_retry._models import policy_of
from signalbus_retry.failure import attempted
from signalbus_retry.failure import recorded

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus.typing import Bus
    from signalbus.typing import NextAttempts
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry._entries import Entries
    from signalbus_retry._memory import Memory
    from signalbus_retry.failure import Failure


def settle(
    bus: Bus,
    model: SignalModel,
    connection: sa.Connection,
    sent: t.Sequence[PrimaryKey],
    failed: t.Mapping[PrimaryKey, Exception],
) -> NextAttempts | None:
    """Clear the entries of signals that were *sent*, and write those that *failed*.

    Without entries and failures, nothing is executed. If the entries cannot be written,
    that is logged once in ten minutes, and the burst continues: the next flush tries
    the signals again, as if they had not been tried.
    """
    memory = memory_of(bus)
    entries = memory.usable_entries(bus, model, connection)
    if entries is None:
        return None
    states = _states(memory, entries, connection, [*sent, *failed])
    cleared = [key for key in sent if key in states] if states else []
    if not (cleared or failed):
        return None
    try:
        with connection.begin_nested():
            entries.clear(connection, cleared)
            failures = _record(memory, entries, connection, states, failed)
    except sa_exc.SQLAlchemyError as error:
        if is_passing(error):
            raise
        memory.report_unusable(entries, connection, error)
        return None
    return {failure.key: _seconds(failure) for failure in failures}


def _states(
    memory: Memory,
    entries: Entries,
    connection: sa.Connection,
    keys: t.Sequence[PrimaryKey],
) -> t.Mapping[PrimaryKey, object]:
    """Return the states that this transaction read under its locks, or read them."""
    transaction = connection.get_transaction()
    if transaction is not None and transaction in memory.states:
        return memory.states.pop(transaction)
    return entries.states(connection, keys)


def _record(
    memory: Memory,
    entries: Entries,
    connection: sa.Connection,
    states: t.Container[PrimaryKey],
    failed: t.Mapping[PrimaryKey, Exception],
) -> list[Failure]:
    """Write the failures of signals that have *failed*.

    If the connection was lost during the commit, they are written once more. If the
    first commit succeeded, its entries stay as they are, since the attempt is the same.
    """
    if not failed:
        return []
    now = clock.read(connection)
    known = entries.read(connection, [key for key in failed if key in states])
    before = {key: without_attempt(failure) for key, failure in known.items()}
    model = entries.declaration.model
    policy = policy_of(model)
    written = memory.written.get(connection)
    done = {
        key: failure
        for key, failure in before.items()
        if failure.last_failed_at == written
    }
    new = [
        attempted(recorded(model, key, error, now, before.get(key)), error, policy)
        for key, error in failed.items()
        if key not in done
    ]
    entries.write(connection, new)
    memory.written[connection] = now
    return [*done.values(), *new]


def _seconds(failure: Failure) -> float | None:
    """Return how long a signal waits; ``None`` if it is parked."""
    if failure.next_attempt_at is None:
        return None
    wait = failure.next_attempt_at - failure.last_failed_at
    return wait.total_seconds()
