"""End the wait of a lane when models are woken, or when it must stop."""

from __future__ import annotations

import threading
import typing as t

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel


class Wakeup:
    """Collects which models were woken. Its methods may be called by any thread."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._models: dict[SignalModel, None] = {}
        self._is_new = False
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether the lane has to stop."""
        return self._is_stopped

    def wake(self, models: t.Iterable[SignalModel] = ()) -> None:
        """Add *models*, and end the wait; without any, only that."""
        with self._condition:
            self._models.update(dict.fromkeys(models))
            self._is_new = True
            self._condition.notify_all()

    def keep(self, models: t.Iterable[SignalModel]) -> None:
        """Put back *models* that were taken, without ending a wait."""
        with self._condition:
            self._models.update(dict.fromkeys(models))

    def stop(self) -> None:
        """End all waits, present and future."""
        self._is_stopped = True
        self.wake()

    def wait(self, seconds: float) -> None:
        """Wait for *seconds*, or until something was added since the last wait."""
        with self._condition:
            self._condition.wait_for(
                lambda: self._is_new or self._is_stopped, max(seconds, 0)
            )
            self._is_new = False

    def take(self) -> list[SignalModel]:
        """Return the models that were added, and forget them."""
        with self._condition:
            models, self._models = list(self._models), {}
            return models
