"""Step 6, settle: let plugins write down what became of a burst, in its transaction."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel


class SettlementError(Exception):
    """A plugin failed to write down what became of a burst."""


class Settlement:
    """Calls the hook ``signalbus_burst_settled`` for the bursts of one model."""

    def __init__(self, bus: Bus, model: SignalModel, connection: sa.Connection) -> None:
        self._bus = bus
        self._model = model
        self._connection = connection
        self._hook = bus.plugin_manager.hook.signalbus_burst_settled
        #: Whether there is a plugin that writes anything down.
        self.is_wanted = bool(self._hook.get_hookimpls())

    def write(
        self,
        sent: t.Sequence[PrimaryKey],
        failed: t.Mapping[PrimaryKey, Exception],
    ) -> None:
        """Let the plugins write, in the transaction at hand.

        :raises SettlementError: if one of them fails, with its error as the cause.
        """
        if not self.is_wanted or not (sent or failed):
            return
        try:
            self._hook(
                bus=self._bus,
                model=self._model,
                connection=self._connection,
                sent=sent,
                failed=failed,
            )
        except Exception as error:
            raise SettlementError from error
