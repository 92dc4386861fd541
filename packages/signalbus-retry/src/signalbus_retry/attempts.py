"""Attempts that are written down before they are made.

For programs that go on after a process has ended while it sent signals, and want to
find out which signal did it. All functions need an app context.
"""

from __future__ import annotations

import typing as t

import sqlalchemy.exc as sa_exc
from signalbus import clock
from signalbus.retry import call_repeatedly
from signalbus.retry import is_race
from signalbus.rows import SignalRows

from signalbus_retry import _begun
from signalbus_retry._entries import PARKED
from signalbus_retry._entries import WAITING
from signalbus_retry._errors import is_passing
from signalbus_retry._memory import memory_of
from signalbus_retry._models import policy_of
from signalbus_retry._models import skips_parked

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry._entries import Entries
    from signalbus_retry._entries import States
    from signalbus_retry.failure import Failure

__all__ = ["Attempts", "BegunAttempt", "settle_gone"]

Q = t.TypeVar("Q")
R = t.TypeVar("R")

#: How often a transaction is tried that loses a race: on SQLite, any flush is one.
_TRIES: t.Final = 7


class Attempts:
    """Attempts at the signals of one model, each written down before it is made.

    Make it once for a model and keep it. Where the table ``signalbus_failure`` cannot
    be used, attempts are made without being written down.

    :param by: names whoever makes them, such as a relay, as nobody else is ever named.
    """

    def __init__(self, bus: SignalBus, model: SignalModel, by: str) -> None:
        self.bus = bus
        self.model = model
        self.by = by
        self.rows = SignalRows(bus, model)
        self.memory = memory_of(bus)
        self._own = self.memory.attempts(model)

    def held_back(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Return those of *keys* that wait or are parked.

        The value says whether the signal holds back those behind it, if its model is
        ordered. Signals whose last attempt ended with its process are not among them.
        """
        blocks = {WAITING: True, PARKED: not skips_parked(self.model)}
        states: States = self._used(
            connection, lambda entries: entries.states(connection, keys), otherwise={}
        )
        return {key: blocks[state] for key, state in states.items() if state in blocks}

    def suspects(self) -> list[PrimaryKey]:
        """Return signals that are due, and whose last attempt ended with its process.

        From the first call on, flushes in this process leave such signals alone, and
        note them for the next call. Whoever calls this must send them. Without that,
        one of them would take the rest of its burst down again.
        """
        self._own.are_written_first = True
        return self._own.take_suspects()

    def begin(self, key: PrimaryKey) -> BegunAttempt | None:
        """Write down an attempt at the signal with this *key*, and commit that.

        Other flushes leave the signal alone for a minute. ``None`` if there is nothing
        to send: it is gone, it waits or is parked, or somebody else is sending it.

        :raises sqlalchemy.exc.SQLAlchemyError: if the database is down.
        """
        return call_repeatedly(lambda: self._begin(key), _TRIES, is_race)

    def _begin(self, key: PrimaryKey) -> BegunAttempt | None:
        unwritten = BegunAttempt(self, key, None, is_written=False)
        with self.rows.transaction() as connection:
            # Before the lock, which might keep those off who have begun.
            if not self._used(
                connection,
                lambda entries: _is_due(entries, connection, key),
                otherwise=True,
            ):
                return None
            if not self.rows.lock(connection, [key], wait=False):
                return None
            return self._used(
                connection,
                lambda entries: self._write(entries, connection, key),
                otherwise=unwritten,
            )

    def _write(
        self, entries: Entries, connection: sa.Connection, key: PrimaryKey
    ) -> BegunAttempt | None:
        """Write the entry of an attempt, unless the signal waits or is parked."""
        if not _is_due(entries, connection, key):
            return None
        now = clock.read(connection)
        before = entries.read(connection, [key]).get(key)
        if before is not None and _begun.is_begun(before):
            # Whoever began that has ended, without a trace elsewhere.
            before = _begun.ended(before, now, policy_of(self.model))
            if before.is_parked:
                entries.write(connection, [before])
                self._log(before)
                return None
        begun = _begun.begun(self.model, key, self.by, now, before)
        entries.write(connection, [begun])
        return BegunAttempt(self, key, before, is_written=True)

    def cancel(self, key: PrimaryKey, before: Failure | None) -> None:
        """Let what was known *before* stand in the place of an attempt."""

        def restore(entries: Entries, connection: sa.Connection) -> None:
            if entries.cancel(connection, key, self.by) and before is not None:
                entries.write(connection, [before])

        def attempt() -> None:
            with self.rows.transaction() as connection:
                self._used(
                    connection,
                    lambda entries: restore(entries, connection),
                    otherwise=None,
                )

        call_repeatedly(attempt, _TRIES, is_race)

    def settle(self, begun_by: t.Sequence[str]) -> int:
        """Count the attempts that others have begun, whose processes have ended."""
        ended = call_repeatedly(lambda: self._settle(begun_by), _TRIES, is_race)
        for failure in ended:
            self._log(failure)
        return len(ended)

    def _settle(self, begun_by: t.Sequence[str]) -> list[Failure]:
        """Write what became of the attempts of others, once their signals are locked.

        A signal that is locked is being sent: nobody has ended.
        """
        with self.rows.transaction() as connection:

            def begun(entries: Entries) -> dict[PrimaryKey, Failure]:
                return entries.begun_by(connection, begun_by)

            def write(entries: Entries) -> list[Failure]:
                known = begun(entries)
                now, policy = clock.read(connection), policy_of(self.model)
                ended = [
                    _begun.ended(known[key], now, policy)
                    for key in locked
                    if key in known
                ]
                entries.write(connection, ended)
                return ended

            keys = list(self._used(connection, begun, otherwise={}))
            locked = self.rows.lock(connection, keys, wait=False)
            return self._used(connection, write, otherwise=[]) if locked else []

    def _used(
        self,
        connection: sa.Connection,
        use: t.Callable[[Entries], R],
        *,
        otherwise: Q,
    ) -> R | Q:
        """Use the entries; if that is not possible, log it, and return *otherwise*."""
        entries = self.memory.entries(self.bus, self.model)
        if entries is None:
            return otherwise
        try:
            with connection.begin_nested():
                return use(entries)
        except sa_exc.SQLAlchemyError as error:
            if is_passing(error):
                raise
            self.memory.report_unusable(entries, connection, error)
            return otherwise

    def _log(self, failure: Failure) -> None:
        _begun.log_ended(self.bus.declaration(self.model), failure)


class BegunAttempt:
    """An attempt that is written down, and is to be made.

    If the process ends before it is made or cancelled, :func:`settle_gone` counts it.
    """

    def __init__(
        self,
        attempts: Attempts,
        key: PrimaryKey,
        before: Failure | None,
        *,
        is_written: bool,
    ) -> None:
        self._attempts = attempts
        self._key = key
        self._before = before
        self._is_written = is_written

    def make(self) -> int:
        """Send the signal, and return how many were sent: one, or none.

        Success deletes the entry, and a failure of the signal overwrites it, in the
        transaction of the burst. Otherwise the attempt is cancelled: the broker is
        unavailable, or somebody else has sent the signal.

        :raises: what ``bus.flushkeys`` raises.
        """
        attempts = self._attempts
        try:
            with attempts.memory.attempts(attempts.model).making(self._key):
                sent = attempts.bus.flushkeys(attempts.model, [self._key])
        except Exception:
            self.cancel()
            raise
        if not sent:
            self.cancel()
        return sent

    def cancel(self) -> None:
        """Restore what was known of the signal, unless the attempt has ended."""
        if self._is_written:
            self._attempts.cancel(self._key, self._before)


def settle_gone(
    bus: SignalBus, models: t.Iterable[SignalModel], relay_ids: t.Sequence[str]
) -> int:
    """Count the attempts that relays had begun which have ended; return how many.

    Such a signal has failed with a :exc:`~signalbus_retry.ProcessEndedError`: it waits
    as its policy says, or is parked, which is logged. If it is called twice, or by
    several processes at once, each attempt is counted once.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database is down.
    """
    return sum(Attempts(bus, model, "").settle(relay_ids) for model in models)


def _is_due(entries: Entries, connection: sa.Connection, key: PrimaryKey) -> bool:
    return entries.states(connection, [key]).get(key) not in {WAITING, PARKED}
