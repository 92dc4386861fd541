"""Which failed signals a command is about: what the user typed, and what matches."""

from __future__ import annotations

import dataclasses
import typing as t

import click
from signalbus_cli.arguments import select_models

from signalbus_retry import _keys
from signalbus_retry._groups import failure_groups

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

Counts: t.TypeAlias = "dict[SignalModel, int]"


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The failed signals that the user has chosen, and how many there are."""

    bus: SignalBus
    filters: dict[str, t.Any]
    counted: Counts

    @classmethod
    def of(
        cls,
        bus: SignalBus,
        names: t.Sequence[str],
        keys: t.Sequence[str],
        error: str | None,
        parked: bool,
    ) -> Chosen:
        """Return the failed signals of the models called *names*."""
        models = select_models(bus, names, strict=True)
        filters: dict[str, t.Any] = {"error": error, "parked": parked or None}
        if keys:
            if len(models) > 1:
                raise click.UsageError("With --key, name one signal model.")
            filters["keys"] = {parse_key(bus, models[0], key) for key in keys}
        counted = dict.fromkeys(models, 0)
        for group in failure_groups(bus, models, **filters):
            counted[group.model] += group.count
        return cls(bus, filters, counted)

    def each(self, act: t.Callable[..., int]) -> Counts:
        """Call *act* for each model, and return of how many signals it was done."""
        return {model: act(self.bus, [model], **self.filters) for model in self.counted}

    def refuse_missing(self) -> None:
        """Exit with an error if a key that the user named matches nothing."""
        missing = len(self.filters.get("keys", ())) - sum(self.counted.values())
        if missing > 0:
            what = "1 key matches" if missing == 1 else f"{missing:,} keys match"
            raise click.ClickException(f"{what} no signal that has failed like this.")


def parse_key(bus: SignalBus, model: SignalModel, text: str) -> PrimaryKey:
    """Return the primary key that the user has typed."""
    return _keys.parse(bus.declaration(model), text)
