"""Which failed signals a command is about: what the user typed, and what matches."""

from __future__ import annotations

import dataclasses
import typing as t

import click
from signalbus.exceptions import escape_controls
from signalbus_cli.arguments import select_models

from signalbus_retry import _keys
from signalbus_retry._groups import failure_groups
from signalbus_retry._operations import failures

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
    missing: list[PrimaryKey]

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
            if len(set(names)) > 1:
                raise click.UsageError("With --key, name one signal model.")
            filters["keys"] = parse_keys(bus, select_model(bus, names[0]), keys)
        counted = dict.fromkeys(models, 0)
        for group in failure_groups(bus, models, **filters):
            counted[group.model] += group.count
        missing = []
        if sum(counted.values()) < len(filters.get("keys", ())):
            found = {failure.key for failure in failures(bus, models, **filters)}
            missing = [key for key in filters["keys"] if key not in found]
        return cls(bus, filters, counted, missing)

    def each(self, act: t.Callable[..., int]) -> Counts:
        """Call *act* for each model, and return of how many signals it was done."""
        return {model: act(self.bus, [model], **self.filters) for model in self.counted}

    def refuse_missing(self) -> None:
        """Exit with an error that names the signals that did not match."""
        if not self.missing:
            return
        (model,) = self.counted
        is_narrowed = self.filters["error"] or self.filters["parked"]
        chosen = " that were chosen" if is_narrowed else ""
        signals = _describe(self.bus, model, self.missing)
        raise click.ClickException(f"Not among the failed signals{chosen}: {signals}.")


def select_model(bus: SignalBus, name: str) -> SignalModel:
    """Return the signal model called *name*, or exit with an error that names those."""
    models = select_models(bus, [name], strict=True)
    if len(models) > 1:
        modules = ", ".join(sorted(model.__module__ for model in models))
        raise click.UsageError(
            f"{len(models)} signal models are called {name}, in the modules {modules}."
            " Use the functions of signalbus_retry in `flask shell`: they take classes."
        )
    return models[0]


def parse_keys(
    bus: SignalBus, model: SignalModel, texts: t.Iterable[str]
) -> list[PrimaryKey]:
    """Return the primary keys that the user has typed, each once."""
    declaration = bus.declaration(model)
    return list(dict.fromkeys(_keys.parse(declaration, text) for text in texts))


def refuse_gone(
    bus: SignalBus,
    model: SignalModel,
    keys: t.Iterable[PrimaryKey],
    present: t.Collection[PrimaryKey],
) -> None:
    """Exit with an error that names the *keys* which no signal has."""
    gone = [key for key in keys if key not in present]
    if gone:
        raise click.ClickException(
            f"Not pending: {_describe(bus, model, gone)}. A signal that is not pending"
            " was sent or deleted, or never recorded."
        )


def _describe(bus: SignalBus, model: SignalModel, keys: t.Iterable[PrimaryKey]) -> str:
    describe = bus.declaration(model).describe
    return ", ".join(escape_controls(describe(key)) for key in keys)
