"""Divide the models among lanes, so that a slow sender does not delay others."""

from __future__ import annotations

import typing as t

from signalbus.breakers import sender_name

from signalbus_relay._lane import Lane

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from signalbus import Declaration
    from signalbus.typing import SignalModel

    from signalbus_relay._flow import Setup

#: The key of a lane, which its models have in common.
Key: t.TypeAlias = tuple[object, str | None, bool]


class Lanes:
    """The lanes of a relay.

    Models share a lane if they have the same sender and the same database. An ordered
    model has a lane of its own, with one thread. On SQLite, which allows one flusher at
    a time, all lanes have one thread.

    :param concurrency: the number of threads of a lane without an order.
    """

    def __init__(self, setup: Setup, concurrency: int) -> None:
        self._setup = setup
        self._concurrency = concurrency
        self._lanes: dict[Key, Lane] = {}
        self._models: dict[SignalModel, Lane] = {}

    def __iter__(self) -> Iterator[Lane]:
        """Iterate over the lanes."""
        return iter(list(self._lanes.values()))

    def __len__(self) -> int:
        """Return the number of lanes."""
        return len(self._lanes)

    @property
    def models(self) -> list[SignalModel]:
        """The models of all lanes."""
        return list(self._models)

    def add(self, models: t.Iterable[SignalModel]) -> None:
        """Add those of *models* that have no lane, each to its lane.

        A lane that is new sends nothing until :meth:`start`.
        """
        for model in models:
            if model not in self._models:
                self._add(model)

    def start(self) -> None:
        """Start the lanes that are new."""
        for lane in self:
            if not lane.has_started:
                lane.start()

    def wake(self, bind_key: str | None, tables: t.Collection[str] | None) -> None:
        """Wake the models with these tables in a database; all if *tables* is None."""
        declaration = self._setup.bus.declaration
        for lane in self:
            if lane.bind_key == bind_key:
                lane.wake(
                    None
                    if tables is None
                    else [
                        model
                        for model in lane.models
                        if declaration(model).table.fullname in tables
                    ]
                )

    def broker_up(self, broker: str) -> None:
        """Send the signals that have piled up while *broker* was down."""
        for lane in self:
            if sender_name(lane.sender) == broker:
                lane.wake()

    def _add(self, model: SignalModel) -> None:
        """Add *model* to its lane; make the lane if necessary."""
        declaration = self._setup.bus.declaration(model)
        is_ordered = declaration.is_ordered
        owner = model if is_ordered else declaration.sender
        key = (owner, declaration.bind_key, is_ordered)
        lane = self._lanes.get(key)
        if lane is None:
            threads = 1 if is_ordered or self._is_sqlite(declaration) else None
            lane = Lane(
                self._setup,
                self._name(owner, declaration.bind_key),
                declaration,
                is_ordered=is_ordered,
                threads=threads or self._concurrency,
            )
            self._lanes[key] = lane
        lane.add(model)
        self._models[model] = lane

    def _name(self, owner: object, bind_key: str | None) -> str:
        """Return a name that no other lane has."""
        name = sender_name(owner) + (f"@{bind_key}" if bind_key else "")
        taken = {lane.name for lane in self}
        names = [name, *(f"{name} {number}" for number in range(2, len(taken) + 2))]
        return next(each for each in names if each not in taken)

    def _is_sqlite(self, declaration: Declaration) -> bool:
        with self._setup.app.app_context():
            engine = self._setup.bus.db.engines.get(declaration.bind_key)
        return engine is not None and engine.dialect.name == "sqlite"
