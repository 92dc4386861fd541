"""An in-memory broker, which can be told to fail."""

from __future__ import annotations

import threading
import typing as t

from signalbus._broker_limit import WaitLimit
from signalbus._markers import hookimpl
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError
from signalbus.messages import Message
from signalbus.messages import MessageBatch
from signalbus.messages import MessageFactory
from signalbus.messages import message_headers
from signalbus.testing._message_factory import make_factory
from signalbus.testing._sent_signal import SentSignal

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: Returns whether a signal is affected.
Condition: t.TypeAlias = "t.Callable[[Signal], bool]"


class RefusedError(MessageRefusedError, ValueError):
    """The broker refused the message because it was told to."""


class MemoryBroker:
    """A broker plugin that keeps messages in memory.

    Register it on a bus. It takes precedence over plugins that were registered earlier,
    so it can replace a real broker::

        broker = MemoryBroker("rabbitmq")
        db.signalbus.plugin_manager.register(broker)
        ...
        assert broker.sent == [SentSignal(OrderPaid, {"id": 1, "order": 7})]

    It makes messages as real brokers do, so a signal whose message cannot be made
    fails. It can be told to fail in other ways, until :meth:`recover` is called.

    It may be used from several threads.

    :param name: the name that models declare in ``signalbus_broker``; ``None`` to
        replace all brokers, whether or not they are installed.
    """

    def __init__(self, name: str | None = "memory") -> None:
        #: The name that models declare in ``signalbus_broker``; ``None`` for any.
        self.name = name
        #: The confirmed signals, in the order in which they were sent.
        self.sent: list[SentSignal] = []
        #: While this is ``False``, the broker cannot be reached.
        self.available = True
        #: How long a flush waits for the broker when it hangs, in seconds. For an
        #: autoflush in a commit, the bus has a limit of its own.
        self.timeout = 30.0
        self._refused: Condition = _never
        self._failed: Condition = _never
        self._failure: Exception | type[Exception] = Exception
        self._hangs = self._times_out = self._stores = False
        self._factories: dict[SignalModel, MessageFactory] = {}
        self._changed = threading.Condition()
        self._callers = 0

    def refuse(self, condition: t.Callable[[Signal], bool]) -> None:
        """Refuse, from now on, the signals for which *condition* returns true.

        Each of them fails with a :exc:`~signalbus.MessageRefusedError` that is also a
        :exc:`ValueError`. The other signals of a burst are confirmed.
        """
        self._refused = condition

    def fail(
        self,
        error: Exception | type[Exception],
        condition: t.Callable[[Signal], bool] | None = None,
    ) -> None:
        """Fail, from now on, with *error* if *condition* returns true for a signal.

        The other signals of a burst are confirmed.

        :param error: the exception, or its class.
        :param condition: which signals fail; by default, all.
        """
        self._failed = condition or (lambda _: True)
        self._failure = error

    def hang(self) -> None:
        """Stop answering, from now on, until :meth:`release` is called.

        A flush waits as long as the bus or :attr:`timeout` allows, and then fails with
        a :exc:`~signalbus.BrokerTimeoutError`. A process that is told to stop waits for
        at most one second.
        """
        self._hangs = True

    def release(self) -> None:
        """Answer again. Waiting calls continue as if nothing had happened."""
        with self._changed:
            self._hangs = False
            self._changed.notify_all()

    def wait_for_caller(self, timeout: float = 5.0) -> bool:
        """Wait until a flush is waiting for this broker, which hangs.

        Returns whether that happened within *timeout*, in seconds.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._callers > 0, timeout)

    def time_out(self, *, stored: bool = False) -> None:
        """Fail at once, from now on, with a :exc:`~signalbus.BrokerTimeoutError`.

        :param stored: whether the messages are stored nevertheless, and only the
            confirms are lost. Then they are in :attr:`sent`, and are sent again.
        """
        self._times_out = True
        self._stores = stored

    def recover(self) -> None:
        """Undo all failures that the broker was told, and release waiting calls."""
        self.available = True
        self._refused = self._failed = _never
        self._times_out = self._stores = False
        self.release()

    def clear(self) -> None:
        """Forget what was sent."""
        with self._changed:
            self.sent.clear()

    @hookimpl
    def signalbus_send_burst(
        self,
        bus: Bus,
        model: SignalModel,
        signals: t.Sequence[Signal],
        timeout: float | None,
    ) -> bool | None:
        """Store *signals* if their *model* names this broker."""
        declaration = bus.declaration(model)
        name = declaration.broker
        if name is None or self.name not in {None, name}:
            return None
        self._answer(name, WaitLimit(self.timeout, timeout))
        batch = self._batch(bus, declaration, signals)
        for message in batch:
            self._take(batch, name, message)
        if self._times_out:
            raise _timed_out(name)
        batch.raise_failures()
        return True

    def _answer(self, name: str, limit: WaitLimit) -> None:
        """Wait while the broker hangs, and raise an error if it is not available."""
        with self._changed:
            self._callers += 1
            self._changed.notify_all()
            try:
                while self._hangs and self.available:
                    if limit.is_over:
                        raise _timed_out(name)
                    self._changed.wait(limit.nap())
            finally:
                self._callers -= 1
        if not self.available:
            raise BrokerUnavailableError(f"The broker {name!r} is switched off.")

    def _batch(
        self, bus: Bus, declaration: Declaration, signals: t.Sequence[Signal]
    ) -> MessageBatch:
        model = declaration.model
        factory = self._factories.get(model)
        if factory is None:
            factory = self._factories[model] = make_factory(bus, model)
        headers = message_headers(bus, model, signals)
        return MessageBatch(factory, declaration, signals, headers)

    def _take(self, batch: MessageBatch, name: str, message: Message) -> None:
        """Store *message*, or refuse it."""
        signal = message.signal
        if self._refused(signal):
            text = f"The broker {name!r} refused {signal!r}."
            batch.fail(message.position, RefusedError(text))
        elif self._failed(signal):
            batch.fail(message.position, _instance(self._failure, name, signal))
        elif not self._times_out or self._stores:
            model = batch.declaration.model
            with self._changed:
                self.sent.append(SentSignal(model, values_of(model, signal), message))
            batch.confirm(message.position)


def values_of(model: SignalModel, signal: Signal) -> dict[str, t.Any]:
    """Return the values of the columns of *signal*, by attribute name."""
    names = model.__mapper__.column_attrs.keys()
    return {name: getattr(signal, name) for name in names}


def _never(_: Signal) -> bool:
    return False


def _timed_out(name: str) -> BrokerTimeoutError:
    return BrokerTimeoutError(f"The broker {name!r} did not answer in time.")


def _instance(
    failure: Exception | type[Exception], name: str, signal: Signal
) -> Exception:
    """Return *failure*, or an instance of it that names the signal if it is a class."""
    if isinstance(failure, Exception):
        return failure
    return failure(f"The broker {name!r} failed for {signal!r}.")
