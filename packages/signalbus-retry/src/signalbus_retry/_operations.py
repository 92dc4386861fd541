"""The operations on failed signals: list, replay, park and discard them."""

from __future__ import annotations

import functools
import typing as t

from signalbus import clock

from signalbus_retry import _queries
from signalbus_retry._outbox import Keys
from signalbus_retry._outbox import Models
from signalbus_retry._outbox import outboxes
from signalbus_retry.exceptions import Park
from signalbus_retry.failure import recorded

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry._outbox import Outbox
    from signalbus_retry.failure import Failure

#: Failed signals of one model, and what is known of them.
Failures: t.TypeAlias = "dict[PrimaryKey, Failure]"

#: What is done to them, in the transaction that has locked them; it returns how many.
Act: t.TypeAlias = "t.Callable[[Outbox, sa.Connection, Failures], int]"


def failures(
    bus: Bus,
    models: Models = None,
    *,
    keys: Keys = None,
    error: str | None = None,
    parked: bool | None = None,
) -> t.Iterator[Failure]:
    """Yield the failed signals, by model and key.

    :param models: the signal models; by default, all.
    :param keys: the primary keys of the signals, as tuples; by default, all.
    :param error: a text that the class or the message of the last error must contain,
        in upper or lower case.
    :param parked: whether to select the parked or the waiting signals; by default,
        both.
    :raises SignalModelError: if one of *models* is not a signal model.
    :raises MissingTableError: if the table ``signalbus_failure`` is missing.
    """
    for outbox in outboxes(bus, models):
        outbox.sweep()
        yield from outbox.ask(_queries.find, outbox.choice(keys, error, parked))


def replay(
    bus: Bus,
    models: Models = None,
    *,
    keys: Keys = None,
    error: str | None = None,
    parked: bool | None = None,
) -> int:
    """Let failed signals be sent by the next flush, and return how many.

    Their failures are forgotten, so they are pending as if they had never been tried:
    if they fail again, they get all attempts of their policy. The arguments and errors
    are those of :func:`failures`.
    """
    return _change(bus, models, _forget, keys=keys, error=error, parked=parked)


def park(
    bus: Bus, model: SignalModel, keys: t.Collection[PrimaryKey], reason: str = ""
) -> int:
    """Park signals of *model*, failed or not, and return how many.

    No flush sends them until they are replayed. If a signal is being sent at the
    moment, the function waits, and parks it if it was not sent. Keys without a signal
    are skipped.

    :param reason: a text that is shown as the error.
    """
    (outbox,) = outboxes(bus, [model])
    with outbox.transaction() as connection:
        present = outbox.rows.lock(connection, outbox.checked(keys))
        now = clock.read(connection)
        before = outbox.entries.read(connection, present)
        parked = [
            recorded(
                outbox.model,
                key,
                _reason(reason, before.get(key)),
                now,
                before.get(key),
            )
            for key in present
        ]
        outbox.entries.write(connection, parked)
    return len(present)


def discard(  # noqa: PLR0913 by name
    bus: Bus,
    models: Models = None,
    *,
    keys: Keys = None,
    error: str | None = None,
    parked: bool | None = None,
    before: t.Callable[[Failure, dict[str, t.Any]], object] = lambda *_: None,
) -> int:
    """Delete failed signals without sending them, and return how many.

    Their rows are deleted permanently. Signals that have not failed are never deleted.
    The other arguments and the errors are those of :func:`failures`.

    :param before: called for each signal, with its failure and the values of its
        columns, before it is deleted. If it raises, the signals of its transaction
        stay; those of earlier ones are gone.
    """
    delete = functools.partial(_delete, before)
    return _change(bus, models, delete, keys=keys, error=error, parked=parked)


def count_states(
    bus: Bus, models: t.Iterable[SignalModel]
) -> dict[str, dict[SignalModel, int]]:
    """Return how many signals of each model are waiting, and how many are parked."""
    counts: dict[str, dict[SignalModel, int]] = {"waiting": {}, "parked": {}}
    for outbox in outboxes(bus, models):
        outbox.sweep()
        with outbox.transaction() as connection:
            waiting, parked = _queries.count(outbox.entries, connection)
        counts["waiting"][outbox.model] = waiting
        counts["parked"][outbox.model] = parked
    return counts


def _change(bus: Bus, models: Models, act: Act, *, keys: Keys, **rest: t.Any) -> int:
    """Call *act* for the chosen signals, one page per transaction; return the sum.

    Signals that were sent, or failed differently, before they were locked are skipped.
    """
    count = 0
    for outbox in outboxes(bus, models):
        if keys is None:
            outbox.sweep()
        choice = outbox.choice(keys, **rest)
        for page in outbox.pages(choice):
            with outbox.transaction() as connection:
                locked = outbox.rows.lock(connection, page)
                chosen = _queries.still(outbox.entries, connection, choice, locked)
                count += act(outbox, connection, chosen)
    return count


def _forget(outbox: Outbox, connection: sa.Connection, chosen: Failures) -> int:
    """Forget the failures of signals, which are locked."""
    return outbox.entries.clear(connection, chosen)


def _delete(
    before: t.Callable[[Failure, dict[str, t.Any]], object],
    outbox: Outbox,
    connection: sa.Connection,
    chosen: Failures,
) -> int:
    """Delete signals, which are locked, after *before* was called for each."""
    values = outbox.rows.read(connection, list(chosen))
    for key in values:
        before(chosen[key], values[key])
    outbox.entries.clear(connection, values)
    outbox.rows.delete(connection, list(values))
    return len(values)


def _reason(reason: str, before: Failure | None) -> Park:
    """Return why a person parks a signal, with its last error, if there is one."""
    error = Park(reason or "Parked by a person.")
    return error if before is None else Park(f"{error}\nlast error: {before.error}")
