"""After a commit: tell the plugins, then send what may be autoflushed."""

from __future__ import annotations

import typing as t

from signalbus import plugins
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import SignalModelError
from signalbus.exceptions import describe_error
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus._discover import Declarations
    from signalbus.typing import Bus
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel

logger = get_logger("signalbus")


class Committed:
    """Call the hooks that follow a commit.

    :param context: enters the context of an app of the bus.
    """

    def __init__(
        self,
        bus: Bus,
        declarations: Declarations,
        context: t.Callable[[], t.ContextManager[object]],
    ) -> None:
        self._bus = bus
        self._declarations = declarations
        self._context = context
        self._refused: dict[SignalModel, str] = {}

    def is_recorded(self, model: type[t.Any]) -> bool:
        """Return whether the hooks may need to know of instances of *model*.

        Whether the bus autoflushes is asked when the transaction has committed.
        """
        if not self._declarations.is_sendable(model):
            return False
        if plugins.is_implemented(self._bus.plugin_manager.hook.signalbus_committed):
            return True
        return self._may_autoflush(model)

    def handle(self, recorded: Recorded) -> None:
        """Call the hooks for the signals that a transaction *recorded*.

        The commit is done, so nothing is raised into it.
        """
        try:
            with self._context():
                self._call_hooks(recorded)
        except Exception:
            names = ", ".join(model.__name__ for model in recorded)
            logger.exception("Signals stay pending after a commit (%s)", names)

    def _call_hooks(self, recorded: Recorded) -> None:
        plugins.notify(self._bus, "signalbus_committed", recorded=recorded)
        if not self._bus.autoflush:
            return
        flushed = {
            model: keys for model, keys in recorded.items() if self._flushes(model)
        }
        if flushed:
            hook = self._bus.plugin_manager.hook.signalbus_autoflush
            answer = hook(bus=self._bus, recorded=flushed)
            if answer is not True:
                raise SignalBusError(
                    f"A plugin returned {answer!r} from signalbus_autoflush, and the"
                    " signals stay pending. It must return True or None."
                )

    def _may_autoflush(self, model: SignalModel) -> bool:
        """Return whether *model* may be autoflushed; ``True`` if it is misdeclared."""
        try:
            return self._declarations.of(model).autoflush
        except SignalModelError:
            return True

    def _flushes(self, model: SignalModel) -> bool:
        """Return whether *model* is autoflushed.

        If it is misdeclared, log why, but not at every commit.
        """
        try:
            return self._declarations.of(model).autoflush
        except SignalModelError as error:
            text = describe_error(error)
            if self._refused.get(model) != text:
                self._refused[model] = text
                logger.error("Signals stay pending: %s", text)  # noqa: TRY400 no fault of the code
            return False
