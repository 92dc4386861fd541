"""Take a safeguard out of signalbus, to see whether the suite finds out.

``CHAOS_WITHOUT`` names it, for all programs of a scenario; there may be several names.
What is replaced are the functions that do the work of a safeguard, and no others. When
signalbus has them no longer, that is an error, or the proof would be none.
"""

from __future__ import annotations

import threading
import typing as t

from signalbus import _keyed_selection
from signalbus import _record
from signalbus import hookimpl
from signalbus._burst import BurstRunner
from signalbus._lock import LockingStatements
from signalbus._locked import Burst
from signalbus._sql import key_conditions
from signalbus_rabbitmq._channel import ConfirmChannel
from signalbus_rabbitmq._confirms import Confirms
from signalbus_retry import plugin as retry_plugin
from signalbus_retry._sweep import Sweeper

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    import sqlalchemy.orm as sa_orm
    from signalbus import SignalBus
    from signalbus._queues import Queue
    from signalbus._sql.executors import Executor
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

Failed: t.TypeAlias = "t.Mapping[PrimaryKey, Exception]"

#: What became of a burst: the arguments of the function that writes it down.
Settled: t.TypeAlias = "tuple[SignalBus, SignalModel, t.Sequence[PrimaryKey], Failed]"


def remove(names: t.Iterable[str], bus: SignalBus) -> None:
    """Take out the safeguards that have these *names*.

    :raises LookupError: if there is no such safeguard.
    :raises AttributeError: if signalbus has no longer what is to be taken out.
    """
    known = {**SAFEGUARDS, "sweeping": sweeping}
    for name in names:
        if name not in known:
            raise LookupError(
                f"There is no safeguard {name!r}. Choose from {', '.join(known)}."
            )
        known[name](bus)


def row_lock(_: SignalBus) -> None:
    """Read the rows of a burst without ``FOR UPDATE SKIP LOCKED``.

    Those who flush at the same time send the same rows: messages arrive twice, though
    nothing has happened.
    """
    _replace(LockingStatements, "_locking", staticmethod(lambda select: select))


def confirm(_: SignalBus) -> None:
    """Count a message as confirmed when the socket has taken it.

    A row is deleted though RabbitMQ refuses its message, or never sees it: the message
    is lost.
    """

    def publish(channel: ConfirmChannel, *arguments: t.Any) -> None:
        old_publish(channel, *arguments)
        while channel.connection.unwritten:
            channel.connection.process_events()

    def record(confirms: Confirms, count: int) -> None:
        old_record(confirms, count)
        confirms.ack(0, multiple=True)

    old_publish = _replace(ConfirmChannel, "publish", publish)
    old_record = _replace(Confirms, "publish", record)


def rollback(_: SignalBus) -> None:
    """Commit the transaction of a burst of which nothing was sent.

    A burst of one row may have deleted it when it locked it: the signal is lost.
    """

    def take_steps(*arguments: t.Any) -> bool:
        old_take_steps(*arguments)
        return True

    old_take_steps = _replace(BurstRunner, "_take_steps", take_steps)


def savepoints(_: SignalBus) -> None:
    """Forget what a savepoint has recorded when it is released.

    Those signals are not autoflushed: where nothing else flushes, they stay pending.
    """

    def itself(savepoint: sa_orm.SessionTransaction) -> sa_orm.SessionTransaction:
        return savepoint

    _replace(_record, "_around", itself)


def key_lock(_: SignalBus) -> None:
    """Take a queue from its first row that is free, though others have its head.

    Signals of one ordering key are sent by several at once: they arrive out of order.
    """

    def lock_heads(
        statements: LockingStatements,
        executor: Executor,
        queues: t.Sequence[Queue],
        at_most: int,
    ) -> Burst:
        keys = [key for queue in queues for key in queue]
        burst = _lock_any(statements, executor, keys)
        free = set(burst.keys)
        for queue in queues:
            taken = [position for position, key in enumerate(queue) if key in free]
            del queue[: min(taken, default=0)]
        heads = {queue[0] for queue in queues}
        places = [place for place, key in enumerate(burst.keys) if key in heads]
        return burst.at(places[:at_most])

    _replace(_keyed_selection, "lock_heads", lock_heads)


def settlement(bus: SignalBus) -> None:
    """Write down what was sent and what failed when the burst has been committed.

    A crash in between leaves the entry of a failure for a signal that was sent.
    """
    notes = _Notes()

    def note(
        bus: SignalBus,
        model: SignalModel,
        connection: sa.Connection,  # noqa: ARG001 its transaction is not used
        sent: t.Sequence[PrimaryKey],
        failed: Failed,
    ) -> None:
        notes.bursts.append((bus, model, sent, failed))

    bus.plugin_manager.register(
        _SettlesLate(notes, _replace(retry_plugin, "settle", note))
    )


def sweeping(_: SignalBus) -> None:
    """Leave the entries of signals that are gone.

    Each process deletes those that it finds when it begins. So a scenario that counts
    them must do without. Nothing else depends on it: it is none of the safeguards.
    """
    _replace(Sweeper, "sweep_if_due", lambda *_: None)


#: By name, what takes it out.
SAFEGUARDS: t.Final[t.Mapping[str, t.Callable[[SignalBus], None]]] = {
    "row-lock": row_lock,
    "confirm": confirm,
    "rollback": rollback,
    "savepoints": savepoints,
    "key-lock": key_lock,
    "settlement": settlement,
}


class _Notes(threading.local):
    """What is still to be written down of the bursts of a thread."""

    def __init__(self) -> None:
        self.bursts: list[Settled] = []


class _SettlesLate:
    """Writes down what became of a burst, in a transaction that follows it."""

    def __init__(self, notes: _Notes, settle: t.Callable[..., object]) -> None:
        self._notes = notes
        self._settle = settle

    @hookimpl(trylast=True)
    def signalbus_burst_sent(self) -> None:
        """Write, when something was sent."""
        self._write()

    @hookimpl(trylast=True)
    def signalbus_burst_failed(self) -> None:
        """Write, when something failed."""
        self._write()

    def _write(self) -> None:
        bursts, self._notes.bursts = self._notes.bursts, []
        for bus, model, sent, failed in bursts:
            with bus.db.engine.begin() as connection:
                self._settle(bus, model, connection, sent, failed)


def _lock_any(
    statements: LockingStatements, executor: Executor, keys: t.Sequence[PrimaryKey]
) -> Burst:
    """Lock those of the rows with *keys* that no one else has locked."""
    found = [
        statements.take(
            executor, statements.free_rows, key_conditions.among_params(some)
        )
        for some in key_conditions.slices(keys, statements.max_keys)
    ]
    return Burst(
        [signal for burst in found for signal in burst.signals],
        [key for burst in found for key in burst.keys],
    )


def _replace(owner: t.Any, name: str, new: t.Any) -> t.Any:
    """Put *new* in the place of what *owner* has, and return that.

    :raises AttributeError: if it has nothing of that name.
    """
    if name not in vars(owner):
        raise AttributeError(
            f"{owner.__name__} has no {name} any more. Find what does its work now,"
            " and let chaos.without take that out."
        )
    old = getattr(owner, name)
    setattr(owner, name, new)
    return old
