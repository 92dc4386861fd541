"""Let plugins add tables of their own to the databases that have signal models."""

from __future__ import annotations

import typing as t
import weakref

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus._declare import is_sendable
from signalbus._discover import registry_of
from signalbus._sql import missing_tables

if t.TYPE_CHECKING:
    import pluggy

    from signalbus.typing import Bus

Mapper: t.TypeAlias = sa_orm.Mapper[t.Any]


class PluginTables:
    """Call ``signalbus_tables`` once for each metadata with signal models of a bus.

    Neither ``create_all()`` nor Alembic configures mappers. So models are looked at as
    soon as they are mapped.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._extended: dict[sa.MetaData, None] = {}  # a set that keeps its order

    def listen(self) -> None:
        """Look at each model that is mapped from now on, while this lives."""
        weak_self = weakref.ref(self)

        def look_at(mapper: Mapper, _: type[t.Any]) -> None:
            this = weak_self()
            if this is not None:
                this._look_at(mapper)  # noqa: SLF001 its own

        sa.event.listen(sa_orm.Mapper, "after_mapper_constructed", look_at)

    def look(self) -> None:
        """Look at all models so far: they may have been mapped before the bus was made.

        They may also have got their send methods after they were mapped.
        """
        for mapper in registry_of(self._bus.db.Model).mappers:
            self._look_at(mapper)

    def introduce(self, hooks: pluggy.HookRelay) -> None:
        """Let a plugin that comes late, whose *hooks* these are, add its tables."""
        for metadata in list(self._extended):
            self._call(hooks, metadata)

    def _look_at(self, mapper: Mapper) -> None:
        """Have the metadata of a model extended, if it is the first signal model there.

        The bus keeps what it finds out about a class. This may be too early for that.
        """
        table = mapper.local_table
        if (
            isinstance(table, sa.Table)
            and table.metadata not in self._extended
            and mapper.registry is registry_of(self._bus.db.Model)
            and is_sendable(mapper.class_)
        ):
            self._extend(table.metadata)

    def _extend(self, metadata: sa.MetaData) -> None:
        """Call the hook; again for the next signal model, if it raises now."""
        self._extended[metadata] = None  # first: plugins may map classes
        try:
            self._call(self._bus.plugin_manager.hook, metadata)
        except BaseException:
            self._extended.pop(metadata, None)
            raise

    def _call(self, hooks: pluggy.HookRelay, metadata: sa.MetaData) -> None:
        """Call the hook, and mark the tables that it adds, even if it raises then."""
        known = set(metadata.tables)
        try:
            hooks.signalbus_tables(bus=self._bus, metadata=metadata)
        finally:
            for name in metadata.tables.keys() - known:
                missing_tables.mark(metadata.tables[name])
