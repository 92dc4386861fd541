"""Announce new models to the plugins, and log those that look wrong."""

from __future__ import annotations

import typing as t
import weakref

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus import _declare
from signalbus import _discover
from signalbus import _spelling
from signalbus.exceptions import escape_controls
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus.typing import Bus

logger = get_logger("signalbus")


class ModelAnnouncer:
    """Call the hooks about the models of one bus, when there are new ones."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._announced: frozenset[type[t.Any]] = frozenset()
        self._accepted: frozenset[type[t.Any]] = frozenset()

    def listen(self) -> None:
        """Announce new models whenever mappers have been configured, while this lives.

        Those may be the mappers of another database. So what a plugin refuses is logged
        here, once, and raised whenever the bus is asked for its models.
        """
        weak_self = weakref.ref(self)

        def announce() -> None:
            this = weak_self()
            if this is None or not this._has_new_models():  # noqa: SLF001 its own
                return
            try:
                this.announce()
            except Exception as error:  # noqa: BLE001 raised again by get_signal_models
                text = escape_controls(str(error))
                logger.error("A plugin rejected the models: %s", text)  # noqa: TRY400 no fault of the code

        sa.event.listen(sa_orm.Mapper, "after_configured", announce)

    def announce(self) -> None:
        """Call the hooks, unless they have accepted all models."""
        models = _discover.mapped_models(self._bus.db.Model)
        if self._accepted.issuperset(models):
            return
        new_models = [model for model in models if model not in self._announced]
        self._announced = frozenset(models)
        self._log_typos(new_models)
        hook = self._bus.plugin_manager.hook.signalbus_models_configured
        try:
            hook(bus=self._bus, models=models)
        finally:  # only now: plugins may have completed what models declare
            self._log_misdeclared(new_models)
        self._accepted = frozenset(models)

    def _has_new_models(self) -> bool:
        models = _discover.mapped_models(self._bus.db.Model)
        return not self._announced.issuperset(models)

    def _log_typos(self, models: t.Iterable[type[t.Any]]) -> None:
        """Log the attributes of *models* that are probably mistyped.

        They are not warnings of Python's: those would end the configuration of mappers
        where warnings are errors, and be hidden where they are filtered.
        """
        answers = self._bus.plugin_manager.hook.signalbus_model_attributes(
            bus=self._bus
        )
        known = set(_declare.ATTRIBUTES).union(*answers)
        for model in models:
            for attribute in _spelling.find_unknown_attributes(model, known):
                logger.warning("%s", attribute)

    def _log_misdeclared(self, models: t.Iterable[type[t.Any]]) -> None:
        """Log which of *models* cannot be sent as they are declared.

        A commit that records their signals does not fail. A flush raises the first of
        these errors.
        """
        for error in _discover.refusals(self._bus, models):
            text = escape_controls(str(error))
            logger.error("%s Until then, its signals stay pending.", text)
