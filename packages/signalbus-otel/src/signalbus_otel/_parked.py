"""Count the signals that signalbus-retry parks."""

from __future__ import annotations

import threading
import typing as t

from signalbus import hookimpl

from signalbus_otel import _instruments
from signalbus_otel._facts import MODEL

if t.TYPE_CHECKING:
    from collections.abc import Generator
    from collections.abc import Mapping

    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel


class ParkedCounter:
    """A plugin that counts failed signals that are parked.

    It is registered only if another plugin implements ``signalbus_burst_settled``.
    Without that hook, a burst of one signal takes fewer statements.
    """

    def __init__(self) -> None:
        self._threads = threading.local()

    @hookimpl(wrapper=True)
    def signalbus_burst_settled(
        self, model: SignalModel
    ) -> Generator[None, list[t.Any], list[t.Any]]:
        """Note which signals are parked. The transaction may be repeated."""
        answers = yield
        for answer in answers:
            keys = [key for key, seconds in answer.items() if seconds is None]
            if keys:
                self._noted(model).update(keys)
        return answers

    @hookimpl
    def signalbus_burst_failed(
        self, model: SignalModel, failed: Mapping[PrimaryKey, Exception]
    ) -> None:
        """Count the parked signals, now that the transaction has ended."""
        noted = self._noted(model)
        count = len(noted.intersection(failed))
        noted.clear()
        if count:
            _instruments.PARKED.add(count, {MODEL: model.__name__})

    def _noted(self, model: SignalModel) -> set[PrimaryKey]:
        """Return the parked keys of the burst of *model* in this thread."""
        models: dict[SignalModel, set[PrimaryKey]] = vars(self._threads).setdefault(
            "models", {}
        )
        return models.setdefault(model, set())
