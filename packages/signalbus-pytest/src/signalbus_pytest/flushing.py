"""Send the signals that a test has recorded, even inside the test's transaction."""

from __future__ import annotations

import contextlib
import typing as t

import sqlalchemy as sa
from signalbus import SignalBusError
from signalbus import hookimpl
from signalbus.testing import SentSignal
from signalbus.testing import joining

from signalbus_pytest._report import describe
from signalbus_pytest._snapshot import column_names
from signalbus_pytest._transactions import outer_connection

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.testing import MemoryBroker
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

    from signalbus_pytest._journal import Journal
    from signalbus_pytest._snapshot import Entry


class FlushSignals:
    """Sends the recorded signals, as ``bus.flush()`` does.

    If the test keeps a transaction open around the app's commits, the flush works in
    that transaction, and uses savepoints as its own transactions. Everything else is
    real: hooks, bursts, order, failures and deletions. What other connections would see
    or lock is then not tested.
    """

    def __init__(
        self,
        bus: SignalBus,
        broker: MemoryBroker,
        journal: Journal,
        context: t.Callable[[], t.ContextManager[object]],
    ) -> None:
        self._bus = bus
        self._broker = broker
        self._journal = journal
        self._context = context

    def __call__(
        self, models: t.Iterable[SignalModel] | None = None
    ) -> list[SentSignal]:
        """Send the recorded signals, and return those that were sent, in that order.

        Signals that a session has not committed are not sent.

        :param models: the signal models to flush; all, if not given.
        :raises Exception: the first error that kept a signal from being sent, with the
            others attached as notes; all other signals were sent.
        :raises SignalBusError: if the flush would wait for a session of the test.
        """
        sent = SentBursts(self._broker)
        with self.joined(), _registered(self._bus, sent):
            for entry in self._journal.uncommitted():
                self._refuse_to_wait_for(entry)
            self._bus.flush(models)
        return sent.signals

    @contextlib.contextmanager
    def joined(self) -> t.Iterator[None]:
        """Let the bus see what the app has committed in the test's transaction.

        A context manager. Everything that the bus does in it works in that transaction,
        such as ``bus.flushordered()``, ``bus.count_pending()`` or functions of
        ``signalbus-retry``. If commits are real, nothing changes.
        """
        uncommitted = UncommittedHeld(self._journal)
        with (
            self._context(),
            _registered(self._bus, uncommitted),
            joining(lambda declaration: outer_connection(self._bus, declaration)),
        ):
            yield

    def _refuse_to_wait_for(self, entry: Entry) -> None:
        """Raise an error on SQLite, which has one writer, if a session is writing."""
        bind = self._bus.db.session.get_bind(entry.model)
        is_inserted = entry.key is not None
        if is_inserted and isinstance(bind, sa.Engine) and bind.name == "sqlite":
            raise SignalBusError(
                f"A session has inserted {describe(entry)} and not committed it. SQLite"
                " has one writer, so the flush would wait for that session. Commit or"
                " roll back before you flush."
            )


class UncommittedHeld:
    """A plugin that holds back signals that sessions have not committed.

    A flush that works in the same transaction would see them.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @hookimpl
    def signalbus_held_back(self, model: SignalModel) -> _Held | None:
        """Hold back the signals of *model* that were inserted and not committed."""
        uncommitted = self._journal.uncommitted()
        keys = {entry.key for entry in uncommitted if entry.model is model}
        return _Held(keys) if keys else None


class _Held:
    """Holds back some keys, but not those behind them: they are not visible yet."""

    def __init__(self, held: t.Collection[PrimaryKey | None]) -> None:
        self._held = held

    def among(
        self, _: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, bool]:
        """Return those of *keys* that are held back."""
        return {key: False for key in keys if key in self._held}


class SentBursts:
    """A plugin that records which signals any sender has confirmed.

    Nothing is recorded for bursts that fail, since the flush raises an error.
    """

    def __init__(self, broker: MemoryBroker) -> None:
        #: The signals that were sent, in that order.
        self.signals: list[SentSignal] = []
        self._broker = broker

    @hookimpl(wrapper=True)
    def signalbus_send_burst(
        self, model: SignalModel, signals: t.Sequence[Signal]
    ) -> t.Generator[None, object, object]:
        """Record which signals of a burst were sent, by any sender."""
        before = len(self._broker.sent)
        answer = yield
        self.signals += self._broker.sent[before:] or [
            SentSignal(model, _values(model, signal)) for signal in signals
        ]
        return answer


@contextlib.contextmanager
def _registered(bus: SignalBus, plugin: object) -> t.Iterator[None]:
    bus.plugin_manager.register(plugin)
    try:
        yield
    finally:
        bus.plugin_manager.unregister(plugin)


def _values(model: SignalModel, signal: Signal) -> dict[str, t.Any]:
    return {name: getattr(signal, name) for name in column_names(model)}
