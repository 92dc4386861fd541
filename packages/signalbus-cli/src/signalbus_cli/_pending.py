"""The counts of `flask signalbus pending`: the bus's own, and those of plugins."""

from __future__ import annotations

import collections
import json
import typing as t
from collections import abc

from signalbus.exceptions import escape_controls

from signalbus_cli.output import format_table
from signalbus_cli.output import print_warning

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

#: The key of a model's name in JSON.
_MODEL = "model"

#: The title of all signals that were not sent yet.
_PENDING = "pending"


class Counts:
    """How many signals of each of *models* there are, by title.

    Pending ones are counted by *bus*. Plugins count those of them that are special.
    """

    def __init__(self, bus: SignalBus, models: t.Sequence[SignalModel]) -> None:
        self._models = models
        self._by_title: dict[str, t.Mapping[SignalModel, int]] = {
            _PENDING: bus.count_pending(models),
            **_counts_of_plugins(bus, models),
        }

    @property
    def pending(self) -> int:
        """The number of pending signals of all models."""
        return self._total(_PENDING)

    def lines(self) -> list[str]:
        """Return a line for each model, and the total in the end."""
        rows: list[tuple[int | str, ...]] = [
            (*self._of(model), model.__name__) for model in self._models
        ]
        rows.append((*map(self._total, self._by_title), "total"))
        if len(self._by_title) == 1:
            return [
                f"{count:>9,}  {escape_controls(str(name))}" for count, name in rows
            ]
        return format_table([*map(str.upper, self._by_title), _MODEL.upper()], rows)

    def as_json(self) -> str:
        """Return an array with an object for each model."""
        return json.dumps(
            [
                {
                    _MODEL: model.__name__,
                    **dict(zip(self._by_title, self._of(model), strict=True)),
                }
                for model in self._models
            ]
        )

    def _of(self, model: SignalModel) -> list[int]:
        """Return the counts of *model*, in the order of the titles."""
        return [counts.get(model, 0) for counts in self._by_title.values()]

    def _total(self, title: str) -> int:
        return sum(self._by_title[title].get(model, 0) for model in self._models)


def _counts_of_plugins(
    bus: SignalBus, models: t.Sequence[SignalModel]
) -> dict[str, collections.Counter[SignalModel]]:
    """Return what plugins count. Counts that have the same title are added."""
    merged: dict[str, collections.Counter[SignalModel]] = {}
    hook = bus.plugin_manager.hook.signalbus_count_signals
    for answer in hook(bus=bus, models=models) if models else ():
        if not _is_valid(answer):
            print_warning(
                f"A plugin returned {answer!r} from signalbus_count_signals, so its"
                " counts are missing. It must return counts by title and model, such"
                " as {'waiting': {OrderPaid: 3}}."
            )
            continue
        for title, counts in answer.items():
            merged.setdefault(title, collections.Counter()).update(counts)
    return merged


def _is_valid(answer: object) -> bool:
    """Return whether a plugin's answer can be shown."""
    return isinstance(answer, abc.Mapping) and all(
        isinstance(title, str)
        and title not in {_MODEL, _PENDING}
        and isinstance(counts, abc.Mapping)
        and all(isinstance(count, int) for count in counts.values())
        for title, counts in answer.items()
    )
