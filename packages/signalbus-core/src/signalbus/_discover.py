"""Step 2, discover: tell signal models from others, and read what they declare."""

from __future__ import annotations

import dataclasses
import inspect
import typing as t
import warnings

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
import sqlalchemy.orm as sa_orm

from signalbus._markers import hookimpl
from signalbus.exceptions import SignalModelError

if t.TYPE_CHECKING:
    from signalbus.extension import SignalBus
    from signalbus.typing import SignalModel

# SQLAlchemy takes a tuple of one column for a mistyped column. It is none here.
warnings.filterwarnings(
    "ignore",
    "Ignoring declarative-like tuple value of attribute 'signalbus_order_by'",
    sa_exc.SAWarning,
)

#: The attributes of a signal model: a class that has one means to be one.
MARKS = (
    "send_signalbus_message",
    "send_signalbus_messages",
    "signalbus_broker",
    "signalbus_burst_count",
    "signalbus_autoflush",
    "signalbus_order_by",
)


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What a signal model declares, checked.

    :param as_rows: whether its senders get rows, and not instances.
    :param send_one: its own method that sends one signal, or ``None``.
    :param send_burst: its own method that sends many, or ``None``.
    :param broker: the name of the broker that sends it, if it has no method of its own.
    """

    model: SignalModel
    mapper: sa_orm.Mapper[t.Any]
    as_rows: bool
    send_one: t.Callable[[t.Any], object] | None
    send_burst: t.Callable[[t.Any], object] | None
    broker: str | None
    burst_count: int
    autoflush: bool
    order_by: tuple[t.Any, ...]

    @property
    def carrier(self) -> object:
        """What carries its signals, so that models of the same are down together."""
        return self.broker or self.model

    @property
    def table(self) -> sa.Table:
        """The table of its own columns."""
        return t.cast("sa.Table", self.mapper.local_table)

    @property
    def key_columns(self) -> tuple[sa.ColumnElement[t.Any], ...]:
        """The columns of its primary key."""
        return self.mapper.primary_key

    @property
    def is_keyed(self) -> bool:
        """Whether its primary key is the table's own: unique, and with an index."""
        return set(self.table.primary_key) == set(self.key_columns)

    def describe(self, key: t.Sequence[t.Any]) -> str:
        """Name the signal with this primary *key*, for people."""
        values = ", ".join(
            f"{column.key}={value!r}"
            for column, value in zip(self.key_columns, key, strict=True)
        )
        return f"{self.model.__name__}({values})"


@hookimpl(trylast=True)
def signalbus_signal_models(bus: SignalBus) -> list[SignalModel]:
    """Answer the mapped models that declare anything about signals, sorted by name."""
    models = [model for model in mapped_models(bus.db.Model) if is_marked(model)]
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


def is_marked(model: type[t.Any]) -> bool:
    """Tell whether *model* has a way to send, or itself says anything of signals."""
    return (
        is_sendable(model)
        or getattr(model, "send_signalbus_messages", None) is not None
        or any(mark in vars(model) for mark in MARKS)
    )


def is_sendable(model: type[t.Any]) -> bool:
    """Tell whether *model* says who sends it."""
    return (
        getattr(model, "send_signalbus_message", None) is not None
        or getattr(model, "signalbus_broker", None) is not None
    )


def find_signal_models(bus: SignalBus) -> list[SignalModel]:
    """Return all signal models that any plugin knows, each once, all checked."""
    answers = bus.plugin_manager.hook.signalbus_signal_models(bus=bus)
    models = list(dict.fromkeys(model for answer in answers for model in answer))
    for model in models:
        declaration_of(model)
    return models


def refusals(models: t.Iterable[type[t.Any]]) -> t.Iterator[SignalModelError]:
    """Yield what is wrong with those of *models* that are misdeclared signal models."""
    for model in filter(is_marked, models):
        try:
            declaration_of(model)
        except SignalModelError as error:
            yield error


def marks_of(model: SignalModel) -> tuple[t.Any, ...]:
    """Return all that *model* says of signals, as it stands."""
    return tuple(getattr(model, mark, None) for mark in MARKS)


def declaration_of(model: SignalModel) -> Declaration:
    """Return what *model* declares; refuse it, by name, if that cannot work."""
    mapper = sa.inspect(model, raiseerr=False)
    if not isinstance(mapper, sa_orm.Mapper):
        raise _refusal(model, "is no mapped class", "Pass a class of db.Model")
    _check_table(model, mapper)
    as_rows, send_one, send_burst = _senders(model)
    return Declaration(
        model=model,
        mapper=mapper,
        as_rows=as_rows,
        send_one=send_one,
        send_burst=send_burst,
        broker=None if send_one else _broker(model),
        burst_count=_burst_count(model),
        autoflush=_autoflush(model),
        order_by=_order_by(model),
    )


def _check_table(model: SignalModel, mapper: sa_orm.Mapper[t.Any]) -> None:
    if not isinstance(mapper.local_table, sa.Table):
        raise _refusal(
            model,
            "has no table of its own, so its rows cannot be locked and deleted",
            "Map it to a table",
        )
    joined = any(not each.single and not each.concrete for each in _heirs(mapper))
    if joined and mapper.polymorphic_on is None:
        raise _refusal(
            model,
            "is inherited by models with tables of their own, and nothing tells whose"
            " a row is",
            "Set 'polymorphic_on' in its __mapper_args__",
        )


def _heirs(mapper: sa_orm.Mapper[t.Any]) -> list[sa_orm.Mapper[t.Any]]:
    return [each for each in mapper.self_and_descendants if each is not mapper]


def _senders(
    model: SignalModel,
) -> tuple[
    bool, t.Callable[[t.Any], object] | None, t.Callable[[t.Any], object] | None
]:
    """Return whether *model* is sent as rows, and its methods for one and for many."""
    send_one = getattr(model, "send_signalbus_message", None)
    send_burst = getattr(model, "send_signalbus_messages", None)
    if send_one is None:
        _check_broker_sends(model, has_burst_form=send_burst is not None)
        return True, None, None
    if not callable(send_one):
        raise _refusal(
            model, "has a send_signalbus_message that is no method", "Define it"
        )
    if send_burst is not None and not inspect.ismethod(send_burst):
        raise _refusal(
            model,
            "has a send_signalbus_messages that is no class method",
            "Decorate it with @classmethod",
        )
    return _is_bound(model, "send_signalbus_message"), send_one, send_burst


def _check_broker_sends(model: SignalModel, *, has_burst_form: bool) -> None:
    """Refuse a model without a single form, unless it is plainly a broker's."""
    has_broker = getattr(model, "signalbus_broker", None) is not None
    if has_burst_form and has_broker:
        raise _refusal(
            model,
            "has both send_signalbus_messages and signalbus_broker",
            "Define send_signalbus_message, or remove send_signalbus_messages",
        )
    if has_burst_form:
        raise _refusal(
            model,
            "has send_signalbus_messages, but also needs send_signalbus_message, or"
            " signalbus_broker",
            "Define send_signalbus_message, or name a plugin in signalbus_broker"
            " instead",
        )
    if not has_broker:
        raise _refusal(
            model,
            "declares neither a send_signalbus_message method nor a broker",
            "Define send_signalbus_message, or name a plugin in signalbus_broker",
        )


def _is_bound(model: SignalModel, name: str) -> bool:
    """Tell whether a method is called with a signal only: a class or static method."""
    attribute = inspect.getattr_static(model, name)
    return isinstance(attribute, (classmethod, staticmethod))


def _broker(model: SignalModel) -> str:
    broker = model.signalbus_broker
    if not isinstance(broker, str) or not broker:
        raise _refusal(
            model,
            f"has a signalbus_broker that names none: {broker!r}",
            "Set it to the name of a broker plugin, such as 'rabbitmq'",
        )
    return broker


def _burst_count(model: SignalModel) -> int:
    count = getattr(model, "signalbus_burst_count", 1)
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise _refusal(
            model,
            f"has a signalbus_burst_count of {count!r}",
            "Set it to a positive integer: how many signals go into one transaction",
        )
    return count


def _autoflush(model: SignalModel) -> bool:
    autoflush = getattr(model, "signalbus_autoflush", True)
    if not isinstance(autoflush, bool):
        raise _refusal(
            model,
            f"has a signalbus_autoflush of {autoflush!r}",
            "Set it to True or False",
        )
    return autoflush


def _order_by(model: SignalModel) -> tuple[t.Any, ...]:
    order_by = getattr(model, "signalbus_order_by", ())
    if not isinstance(order_by, tuple) or not all(map(_is_expression, order_by)):
        raise _refusal(
            model,
            f"has a signalbus_order_by of {order_by!r}",
            "Set it to a tuple of columns or expressions, such as (id.asc(),)",
        )
    return order_by


def _is_expression(thing: object) -> bool:
    return isinstance(
        thing, (sa.ColumnElement, sa_orm.InstrumentedAttribute, sa_orm.MappedColumn)
    )


def _refusal(model: object, fact: str, remedy: str) -> SignalModelError:
    name = getattr(model, "__name__", None) or repr(model)
    return SignalModelError(f"The signal model {name} {fact}. {remedy}.")
