"""Step 6, settle: let plugins write down what became of a burst, in its transaction."""

from __future__ import annotations

import typing as t

from signalbus import plugins
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    import pluggy
    import sqlalchemy as sa

    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel


logger = get_logger("signalbus")


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
        self.is_wanted = plugins.is_implemented(self._hook)

    def write(
        self,
        sent: t.Sequence[PrimaryKey],
        failed: t.Mapping[PrimaryKey, Exception],
    ) -> list[object]:
        """Let the plugins write, in the transaction at hand; return their answers.

        :raises SettlementError: if one of them fails, with its error as the cause.
        """
        if not self.is_wanted or not (sent or failed):
            return []
        try:
            return self._call(self._hook, sent, failed)
        except Exception as error:
            raise SettlementError from error

    def write_each(
        self,
        sent: t.Sequence[PrimaryKey],
        failed: t.Mapping[PrimaryKey, Exception],
        is_transient: t.Callable[[Exception], bool],
    ) -> list[object]:
        """Let each plugin write in a savepoint of its own; return their answers.

        Those that fail are logged.

        :raises SettlementError: if one fails in a way that *is_transient*.
        """
        answers: list[object] = []
        for name, hook in self._hooks() if sent or failed else ():
            try:
                with self._connection.begin_nested():
                    answer = self._call(hook, sent, failed)
                answers += answer
            except Exception as error:
                if is_transient(error):
                    raise SettlementError from error
                logger.exception(
                    "The plugin %r failed in signalbus_burst_settled.", name
                )
        return answers

    def _hooks(self) -> list[tuple[str, pluggy.HookCaller]]:
        """Return the hook for each plugin alone, by name, with the wrappers around.

        They are in the order in which pluggy calls them.
        """
        plain = plugins.plain_implementations(self._hook)
        manager = self._bus.plugin_manager
        return [
            (
                plugins.plugin_name(manager, each),
                manager.subset_hook_caller(
                    self._hook.name,
                    [other.plugin for other in plain if other is not each],
                ),
            )
            for each in reversed(plain)
        ]

    def _call(
        self,
        hook: pluggy.HookCaller,
        sent: t.Sequence[PrimaryKey],
        failed: t.Mapping[PrimaryKey, Exception],
    ) -> list[object]:
        answers = hook(
            bus=self._bus,
            model=self._model,
            connection=self._connection,
            sent=sent,
            failed=failed,
        )
        return answers if isinstance(answers, list) else []  # a wrapper's may be none
