"""Attempts that are recorded before they are made.

For programs that take over after a process has ended while it was sending signals, and
need to find out which signal ended it. All functions need an app context.
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

#: How often a transaction that loses a race is tried. On SQLite, any flush may win.
_TRIES: t.Final = 7


class Attempts:
    """Attempts to send the signals of one model, each recorded before it is made.

    Make one for each model and keep it. If the table ``signalbus_failure`` cannot be
    used, attempts are made without being recorded.

    :param by: a name for the program that makes them, such as a relay. It must be
        unique, and never be reused.
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
        ordered. Signals whose process ended during their last attempt are not included.
        """
        blocks = {WAITING: True, PARKED: not skips_parked(self.model)}
        states: States = self._used(
            connection, lambda entries: entries.states(connection, keys), otherwise={}
        )
        return {key: blocks[state] for key, state in states.items() if state in blocks}

    def suspects(self) -> list[PrimaryKey]:
        """Return the signals that are due and whose process ended during the last try.

        After the first call, flushes in this process skip such signals, and note them
        for the next call. The caller must send them. If flushes sent them, one of them
        could end the process again, together with the rest of its burst.
        """
        self._own.are_written_first = True
        return self._own.take_suspects()

    def begin(self, key: PrimaryKey) -> BegunAttempt | None:
        """Record an attempt to send the signal with this *key*, and commit it.

        Other flushes skip the signal for a minute. ``None`` if there is nothing to
        send: the signal is gone, waits or is parked, or another flush is sending it.

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
        """Replace the entry of an attempt with what was known *before*."""

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
        """Count the attempts of other programs whose processes have ended."""
        ended = call_repeatedly(lambda: self._settle(begun_by), _TRIES, is_race)
        for failure in ended:
            self._log(failure)
        return len(ended)

    def _settle(self, begun_by: t.Sequence[str]) -> list[Failure]:
        """Record the outcome of the attempts of others, once their signals are locked.

        If another process has locked a signal, it is being sent, so that process lives.
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
        """Use the entries; if that is impossible, log it and return *otherwise*."""
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
    """An attempt that was recorded, and must now be made or cancelled.

    If the process ends before that, :func:`settle_gone` counts the attempt.
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

        In the transaction of the burst, success deletes the entry, and a failure of the
        signal overwrites it. In all other cases, the attempt is cancelled: the broker
        is unavailable, or another flush has sent the signal.

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
        """Restore what was known about the signal, unless the attempt has ended."""
        if self._is_written:
            self._attempts.cancel(self._key, self._before)


def settle_gone(
    bus: SignalBus, models: t.Iterable[SignalModel], relay_ids: t.Sequence[str]
) -> int:
    """Count the attempts that were begun by relays that have ended; return how many.

    Their signals fail with a :exc:`~signalbus_retry.ProcessEndedError`: each waits as
    its policy says, or is parked, which is logged. Even if this is called twice, or by
    several processes at once, each attempt is counted once.

    :raises sqlalchemy.exc.SQLAlchemyError: if the database is down.
    """
    return sum(Attempts(bus, model, "").settle(relay_ids) for model in models)


def _is_due(entries: Entries, connection: sa.Connection, key: PrimaryKey) -> bool:
    return entries.states(connection, [key]).get(key) not in {WAITING, PARKED}
