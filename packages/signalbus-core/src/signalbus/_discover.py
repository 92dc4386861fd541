"""Step 2, discover: find the signal models, and read what they declare."""

from __future__ import annotations

import dataclasses
import threading
import typing as t
from collections import abc

from signalbus._declare import ATTRIBUTES
from signalbus._declare import checked_burst_count
from signalbus._declare import is_sendable
from signalbus._declare import read_declaration
from signalbus._markers import hookimpl
from signalbus.exceptions import SignalModelError
from signalbus.exceptions import describe_error
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm

    from signalbus._declaration import Declaration
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel


logger = get_logger("signalbus")


class Declarations:
    """What the models of one bus declare, each read once."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._known: dict[SignalModel, Declaration] = {}
        # Those that plugins are just completing, by thread.
        self._incomplete: dict[tuple[int, SignalModel], Declaration] = {}
        self._sendable: dict[type[t.Any], bool] = {}

    def of(self, model: SignalModel) -> Declaration:
        """Return what *model* declares.

        :raises SignalModelError: if it is not a signal model, or is misdeclared.
        """
        known = self._known.get(model)
        return known or self._read(model, threading.get_ident())

    def is_sendable(self, model: type[t.Any]) -> bool:
        """Return whether *model* declares how it is sent, rightly or not."""
        sendable = self._sendable.get(model)
        if sendable is None:
            sendable = self._sendable[model] = is_sendable(model)
        return sendable

    def _read(self, model: SignalModel, thread: int) -> Declaration:
        incomplete = self._incomplete.get((thread, model))
        if incomplete is not None:
            return incomplete
        declaration = read_declaration(model)
        if not hasattr(model, "signalbus_burst_count"):
            # The plugins that complete it may ask for it. Other threads must not see
            # it: what they make of a declaration is kept.
            self._incomplete[thread, model] = declaration
            try:
                count = self._ask_burst_count(model)
            finally:
                del self._incomplete[thread, model]
            declaration = dataclasses.replace(declaration, burst_count=count)
        self._known[model] = declaration
        return declaration

    def _ask_burst_count(self, model: SignalModel) -> int:
        """Ask the plugins how many signals a burst has.

        A plugin that fails must not fail the transaction of the application, which may
        be what asks.
        """
        hook = self._bus.plugin_manager.hook.signalbus_burst_count
        try:
            count = hook(bus=self._bus, model=model)
        except Exception as error:
            raise SignalModelError(
                f"A plugin failed in signalbus_burst_count for {model.__name__}:"
                f" {describe_error(error).rstrip('.')}. Repair it, or set"
                " signalbus_burst_count on the model."
            ) from error
        return 1 if count is None else checked_burst_count(model, count)


@hookimpl(trylast=True)
def signalbus_signal_models(bus: Bus) -> list[SignalModel]:
    """Return the mapped models that declare anything about signals, sorted by name."""
    models = [model for model in mapped_models(bus.db.Model) if is_meant(model)]
    return sorted(models, key=lambda model: (model.__qualname__, model.__module__))


def registry_of(base: type[t.Any]) -> sa_orm.registry:
    """Return the registry of all models that inherit from *base*."""
    return t.cast("sa_orm.registry", base.registry)


def mapped_models(base: type[t.Any]) -> list[type[t.Any]]:
    """Return all classes of *base*'s registry whose mappers are configured.

    To look into a mapper that is not would configure it, perhaps too early: a module
    with models that it refers to may just be being imported.
    """
    return [mapper.class_ for mapper in registry_of(base).mappers if mapper.configured]


def is_meant(model: type[t.Any]) -> bool:
    """Return whether *model* is meant to be a signal model, rightly declared or not."""
    return (
        is_sendable(model)
        or getattr(model, "send_signalbus_messages", None) is not None
        or not vars(model).keys().isdisjoint(ATTRIBUTES)
    )


def find_signal_models(bus: Bus) -> list[SignalModel]:
    """Return all signal models that any plugin knows, each once, all checked."""
    answers = bus.plugin_manager.hook.signalbus_signal_models(bus=bus)
    models = list(dict.fromkeys(model for answer in answers for model in answer))
    for model in models:
        bus.declaration(model)
    return models


def refusals(bus: Bus, models: t.Iterable[type[t.Any]]) -> t.Iterator[SignalModelError]:
    """Yield what is wrong with those of *models* that are misdeclared signal models."""
    for model in filter(is_meant, models):
        try:
            bus.declaration(model)
        except SignalModelError as error:
            yield error


def choose(bus: Bus, models: t.Iterable[SignalModel] | None) -> list[SignalModel]:
    """Return *models*, each once, or all; refuse what is not a signal model of *bus*.

    :raises TypeError: if *models* is not a list of models.
    :raises SignalModelError: if one of them is not a signal model.
    """
    _check_models(models)
    known = bus.get_signal_models()
    if models is None:
        return known
    chosen = list(dict.fromkeys(models))
    for model in chosen:
        if model not in known:
            raise SignalModelError(
                f"{getattr(model, '__name__', repr(model))} is not a signal model of"
                " this database, so it cannot be flushed. Pass mapped classes that"
                " define send_signalbus_message or signalbus_broker."
            )
    return chosen


def _check_models(models: object) -> None:
    """Refuse what is not a list of models; above all a model, or a name, alone."""
    if isinstance(models, type):
        given, example = f"the class {models.__name__}", models.__name__
    elif models is not None and (
        isinstance(models, (str, bytes)) or not isinstance(models, abc.Iterable)
    ):
        given, example = repr(models), "OrderPaid, OrderPlaced"
    else:
        return
    raise TypeError(
        f"models is {given}. Pass a list of signal models, such as [{example}]."
    )


def get_models_to_flush(bus: Bus, names: t.Iterable[str]) -> list[SignalModel]:
    """Return the signal models of *bus* that have one of *names*.

    Meant for commands. Unknown names are ignored, with a warning in the log.

    :raises TypeError: if *names* is a single name.
    """
    if isinstance(names, str):
        raise TypeError(
            f"names is {names!r}. Pass a list of names, such as [{names!r}]."
        )
    wanted = set(names)
    models = [model for model in bus.get_signal_models() if model.__name__ in wanted]
    for name in sorted(wanted - {model.__name__ for model in models}):
        logger.warning("No signal model is named %r. The name is ignored.", name)
    return models
