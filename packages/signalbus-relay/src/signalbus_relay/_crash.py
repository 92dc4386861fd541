"""Send signals one at a time after a relay has crashed.

One of them may have caused the crash. So each attempt is recorded before it is made,
and the next relay knows which signal it was.
"""

from __future__ import annotations

import contextlib
import threading
import typing as t

import sqlalchemy.exc as sa_exc
from signalbus.retry import is_outage
from signalbus.rows import SignalRows

from signalbus_relay._attempts import attempts_of
from signalbus_relay._attempts import held_by
from signalbus_relay._status import status_on

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus import Declaration
    from signalbus import SignalBus
    from signalbus.stopping import StopToken
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_relay._attempts import MaybeAttempts

#: How many keys are read at a time.
_WINDOW: t.Final = 1000

#: From how many times as many signals as it has a burst is chosen where signals have
#: ordering keys.
BURSTS_AHEAD: t.Final = 4

#: The longest time between two looks at whether to stop, in seconds.
_LONGEST_NAP: t.Final = 0.1

#: Takes an error that a flush has raised.
Report: t.TypeAlias = t.Callable[[Exception], object]


class Caution:
    """Sends signals that may end the process one at a time, before a relay flushes.

    Its methods need an app context.

    :param must_be_careful: returns whether a relay may have ended while it sent signals
        of a model.
    """

    def __init__(
        self,
        bus: SignalBus,
        token: StopToken,
        must_be_careful: t.Callable[[SignalModel], bool],
    ) -> None:
        self._bus = bus
        self._token = token
        self._must_be_careful = must_be_careful
        self._turn = Turn(token)
        self._attempts: dict[SignalModel, MaybeAttempts] = {}

    def prepare(self, model: SignalModel, bursts: int, report: Report) -> bool:
        """Send the first signals of *model* one at a time, as many as were at risk.

        Call it before the first flush, while nothing else in this process sends signals
        of *model*. It skips signals that wait or are parked, and those that others are
        sending. A signal that fails is reported as usual, and does not stop the others,
        unless its model is ordered.

        :param bursts: how many bursts of the model the relay may send at once.
        :param report: called with the errors of signals that could not be sent.
        :returns: whether it is done. If not, the broker is unavailable, or the token
            was stopped: call it again before the next flush.
        :raises sqlalchemy.exc.SQLAlchemyError: if the database is down.
        """
        if not self._must_be_careful(model):
            return True
        if self._token.is_stopping:
            return False
        declaration = self._bus.declaration(model)
        careful = self._sender(model, report)
        keys = careful.first(_at_risk(declaration) * bursts)
        # Only now: who is admitted to a broker that is down must probe it.
        return not keys or (
            self._bus.breakers.admits(declaration.sender) and careful.send(keys)
        )

    def send_suspects(self, model: SignalModel, report: Report) -> None:
        """Send one at a time the signals whose process ended during the last attempt.

        Call it before each flush of *model*: after the first call, flushes skip such
        signals when they are due, so that they do not end the process again, together
        with the rest of their burst. The next call sends those that flushes have
        skipped. It costs nothing if there are none.
        """
        attempts = self._attempts_of(model)
        suspects = attempts.suspects() if attempts else []
        if suspects:
            self._sender(model, report).send(suspects)

    def _sender(self, model: SignalModel, report: Report) -> CarefulSender:
        attempts = self._attempts_of(model)
        return CarefulSender(self._bus, model, self._turn, attempts, report)

    def _attempts_of(self, model: SignalModel) -> MaybeAttempts:
        """Return the attempts of *model*. They are made once, and only when needed."""
        if model not in self._attempts:
            status = status_on(self._bus)
            by = status.relay_id if status else ""
            self._attempts[model] = attempts_of(self._bus, model, by)
        return self._attempts[model]


class Turn:
    """Lets one thread at a time send a signal that may end the process.

    Otherwise, the attempts of several lanes would be on record when one of them ends
    the process, and innocent signals would be parked with the culprit.
    """

    def __init__(self, token: StopToken) -> None:
        self.token = token
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self) -> t.Iterator[bool]:
        """Wait for the turn; yield whether it came before the token was stopped."""
        while not self.token.is_stopping:
            if self._lock.acquire(timeout=_LONGEST_NAP):
                try:
                    yield True
                finally:
                    self._lock.release()
                return
        yield False


class CarefulSender:
    """Sends signals of one model one at a time.

    :param turn: shared with the other senders of the process.
    :param attempts: records each attempt before it is made, if it is given.
    :param report: called with the errors of signals that could not be sent.
    """

    def __init__(
        self,
        bus: SignalBus,
        model: SignalModel,
        turn: Turn,
        attempts: MaybeAttempts,
        report: Report,
    ) -> None:
        self._bus = bus
        self._model = model
        self._turn = turn
        self._token = turn.token
        self._attempts = attempts
        self._report = report
        self._declaration = bus.declaration(model)
        self._status = status_on(bus)

    def first(self, count: int) -> list[PrimaryKey]:
        """Return the first *count* keys that are not held back.

        With an ordering key, these are the keys that the first waves would send. Other
        signals were not at risk, since they wait behind these.
        """
        rows = SignalRows(self._bus, self._model)
        held = held_by(self._attempts)
        is_keyed = bool(self._declaration.ordering_key)
        found: list[PrimaryKey] = []
        last: PrimaryKey | None = None
        while len(found) < count and not self._token.is_stopping:
            with rows.transaction() as connection:
                keys = self._read(rows, connection, last)
                if is_keyed:
                    found += rows.in_waves(connection, keys, held)
                    found = list(dict.fromkeys(found))  # of queues in many windows
                else:
                    found += self._free(connection, keys)
            if len(keys) < _WINDOW or self._declaration.is_ordered:
                break
            last = keys[-1]
        return found[:count]

    def send(self, keys: t.Iterable[PrimaryKey]) -> bool:
        """Send the signals with *keys*; return whether there is nothing left to do."""
        with self._token.active():
            for key in keys:
                with self._turn.taken() as is_taken:
                    if not is_taken:
                        return False
                    sent = self._send(key)
                if sent is None and self._is_down():
                    return False
                if not sent and self._declaration.is_ordered:
                    break  # nothing behind it may be sent
        return True

    def _read(
        self, rows: SignalRows, connection: sa.Connection, last: PrimaryKey | None
    ) -> list[PrimaryKey]:
        if self._declaration.is_ordered:
            return rows.first_in_order(connection, _WINDOW)
        return rows.first(connection, _WINDOW, after=last)

    def _free(
        self, connection: sa.Connection, keys: list[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Leave out the keys that are held back, by themselves or by earlier ones."""
        if not keys or self._attempts is None:
            return keys
        held = self._attempts.held_back(connection, keys)
        if self._declaration.is_ordered:
            blocking = (n for n, key in enumerate(keys) if held.get(key))
            keys = keys[: next(blocking, len(keys))]
        return [key for key in keys if key not in held]

    def _send(self, key: PrimaryKey) -> int | None:
        """Send a signal; return how many were sent, ``None`` if there was an error."""
        attempt = self._attempts.begin(key) if self._attempts else None
        if self._attempts and attempt is None:
            return 0
        try:
            if attempt is not None:
                return attempt.make()
            with self._noted(key):
                return self._bus.flushkeys(self._model, [key])
        except sa_exc.TimeoutError:
            raise  # the pool has no connection, for the others either
        except Exception as error:
            if is_outage(error):
                raise
            self._report(error)  # the others are sent
        return None

    def _noted(self, key: PrimaryKey) -> contextlib.AbstractContextManager[None]:
        if self._status is None:
            return contextlib.nullcontext()
        return self._status.sending(self._model, key)

    def _is_down(self) -> bool:
        return not self._bus.breakers.is_closed(self._declaration.sender)


def _at_risk(declaration: Declaration) -> int:
    """Return how many of the first signals a burst may have been taken from."""
    if declaration.ordering_key:
        return declaration.burst_count * BURSTS_AHEAD
    return declaration.burst_count
