"""For the tests of applications and plugins: a broker that works in memory."""

from __future__ import annotations

import dataclasses
import threading
import typing as t

from signalbus._markers import hookimpl
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import PartialDeliveryError

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


@dataclasses.dataclass(frozen=True)
class SentSignal:
    """A signal that :class:`MemoryBroker` has confirmed.

    :param model: its signal model.
    :param values: the values of its columns, by the names that the model gives them.
    """

    model: SignalModel
    values: dict[str, t.Any]


class MemoryBroker:
    """A broker plugin that keeps messages in memory.

    Register it on a bus. Its name is the one that models declare. It is called before
    the plugins that were registered earlier, so it can replace a real broker::

        broker = MemoryBroker("rabbitmq")
        db.signalbus.plugin_manager.register(broker)
        ...
        assert broker.sent == [SentSignal(OrderPaid, {"id": 1, "order": 7})]

    It is safe to use from several threads.
    """

    def __init__(self, name: str = "memory") -> None:
        #: The name that models declare in ``signalbus_broker``.
        self.name = name
        #: The confirmed signals, in the order in which they came.
        self.sent: list[SentSignal] = []
        #: While this is ``False``, the broker cannot be reached.
        self.available = True
        self._refused: t.Callable[[Signal], bool] = lambda _: False
        self._lock = threading.Lock()

    def refuse(self, condition: t.Callable[[Signal], bool]) -> None:
        """Refuse, from now on, the signals for which *condition* holds."""
        self._refused = condition

    @hookimpl
    def signalbus_send_burst(
        self,
        bus: Bus,
        model: SignalModel,
        signals: t.Sequence[Signal],
    ) -> bool | None:
        """Keep *signals*, if their *model* names this broker."""
        if bus.declaration(model).broker != self.name:
            return None
        if not self.available:
            raise BrokerUnavailableError(f"The broker {self.name!r} is switched off.")
        failures: dict[int, Exception] = {
            position: ValueError(f"The broker {self.name!r} refused {signal!r}.")
            for position, signal in enumerate(signals)
            if self._refused(signal)
        }
        with self._lock:
            self.sent += [
                SentSignal(model, _values(model, signal))
                for position, signal in enumerate(signals)
                if position not in failures
            ]
        if failures:
            raise PartialDeliveryError(failures)
        return True


def _values(model: SignalModel, signal: Signal) -> dict[str, t.Any]:
    names = model.__mapper__.column_attrs.keys()
    return {name: getattr(signal, name) for name in names}
