"""The sender of one app: makes the messages of a burst for it."""

from __future__ import annotations

import typing as t
import weakref

from signalbus._broker_limit import WaitLimit
from signalbus.messages import MessageBatch
from signalbus.messages import message_headers

if t.TYPE_CHECKING:
    from signalbus._sender import CheckLine
    from signalbus._sender import Sender
    from signalbus.messages import MessageFactory
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: How long a check may take, in seconds.
CHECK_TIMEOUT = 15.0


class AppSender:
    """The sender of one app, with what makes its messages.

    :param timeout: how long the broker may answer nothing, in seconds.
    :param make_factory: makes what makes the messages of a model, or refuses it.
    """

    def __init__(
        self,
        sender: Sender,
        timeout: float,
        make_factory: t.Callable[[Bus, SignalModel], MessageFactory],
    ) -> None:
        self.sender = sender
        self._timeout = timeout
        self._make_factory = make_factory
        self._factories: dict[SignalModel, MessageFactory] = {}
        weakref.finalize(self, sender.close)

    def send(
        self,
        bus: Bus,
        model: SignalModel,
        signals: t.Sequence[Signal],
        timeout: float | None,
    ) -> None:
        """Send *signals*, or raise what the core needs to know."""
        batch = MessageBatch(
            self._factory(bus, model),
            bus.declaration(model),
            signals,
            message_headers(bus, model, signals),
        )
        try:
            self.sender.send(batch, WaitLimit(self._timeout, timeout))
        except Exception as error:
            if not (batch.failures or batch.has_confirmed):
                raise  # the core knows best what to do about the whole burst
            batch.fail_rest(error)
        batch.raise_failures()

    def check(self, models: t.Sequence[SignalModel]) -> list[CheckLine]:
        """Look whether the broker has what *models* need."""
        timeout = min(CHECK_TIMEOUT, self._timeout)
        return list(self.sender.check(models, WaitLimit(self._timeout, timeout)))

    def _factory(self, bus: Bus, model: SignalModel) -> MessageFactory:
        """Return what makes the messages of *model*.

        :raises SignalModelError: if it is misdeclared.
        """
        factory = self._factories.get(model)
        if factory is None:
            factory = self._factories[model] = self._make_factory(bus, model)
        return factory
