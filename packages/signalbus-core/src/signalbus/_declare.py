"""Read what a model declares about its signals, and refuse what cannot work."""

from __future__ import annotations

import inspect
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus._declaration import Declaration
from signalbus._declare_key import OrderingKeyError
from signalbus._declare_key import read_ordering_key
from signalbus.exceptions import SignalModelError

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

#: The attributes that the core reads. A class that has one means to be a signal model.
ATTRIBUTES = (
    "send_signalbus_message",
    "send_signalbus_messages",
    "signalbus_broker",
    "signalbus_burst_count",
    "signalbus_autoflush",
    "signalbus_order_by",
    "signalbus_ordering_key",
)


def is_sendable(model: type[t.Any]) -> bool:
    """Return whether *model* declares how it is sent."""
    return (
        getattr(model, "send_signalbus_message", None) is not None
        or getattr(model, "signalbus_broker", None) is not None
    )


def read_declaration(model: SignalModel) -> Declaration:
    """Return what *model* itself declares, or raise an error that names it."""
    mapper = sa.inspect(model, raiseerr=False)
    if not isinstance(mapper, sa_orm.Mapper):
        raise _refusal(model, "is not a mapped class", "Pass a class of db.Model")
    _check_table(model, mapper)
    has_method = _check_methods(model)
    return Declaration(
        model=model,
        mapper=mapper,
        as_rows=not has_method or _is_bound(model, "send_signalbus_message"),
        broker=None if has_method else _broker(model),
        burst_count=_burst_count(model),
        autoflush=_autoflush(model),
        order_by=_order_by(model),
        ordering_key=_ordering_key(model, mapper),
    )


def _check_table(model: SignalModel, mapper: sa_orm.Mapper[t.Any]) -> None:
    if not isinstance(mapper.local_table, sa.Table):
        raise _refusal(
            model,
            "has no table of its own, so its rows cannot be locked and deleted",
            "Map it to a table",
        )
    joined = any(not each.single and not each.concrete for each in _subclasses(mapper))
    if joined and mapper.polymorphic_on is None:
        raise _refusal(
            model,
            "is inherited by models with tables of their own, and no column says to"
            " which of them a row belongs",
            "Set 'polymorphic_on' in its __mapper_args__",
        )


def _subclasses(mapper: sa_orm.Mapper[t.Any]) -> list[sa_orm.Mapper[t.Any]]:
    return [each for each in mapper.self_and_descendants if each is not mapper]


def _check_methods(model: SignalModel) -> bool:
    """Return whether *model* has send methods of its own; refuse impossible ones."""
    send_one = getattr(model, "send_signalbus_message", None)
    send_burst = getattr(model, "send_signalbus_messages", None)
    if send_one is None:
        _check_broker_sends(model, has_burst_form=send_burst is not None)
        return False
    if not callable(send_one):
        raise _refusal(
            model, "has a send_signalbus_message that is not a method", "Make it one"
        )
    if send_burst is not None and not inspect.ismethod(send_burst):
        raise _refusal(
            model,
            "has a send_signalbus_messages that is not a class method",
            "Decorate it with @classmethod",
        )
    return True


def _check_broker_sends(model: SignalModel, *, has_burst_form: bool) -> None:
    """Refuse a model without a single form, unless it clearly belongs to a broker."""
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
    """Return whether a method takes a signal only: it is a class or static method."""
    attribute = inspect.getattr_static(model, name)
    return isinstance(attribute, (classmethod, staticmethod))


def _broker(model: SignalModel) -> str:
    broker = model.signalbus_broker
    if not isinstance(broker, str) or not broker:
        raise _refusal(
            model,
            f"has a signalbus_broker of {broker!r}",
            "Set it to the name of a broker plugin, such as 'rabbitmq'",
        )
    return broker


def _burst_count(model: SignalModel) -> int:
    return checked_burst_count(model, getattr(model, "signalbus_burst_count", 1))


def checked_burst_count(model: SignalModel, count: object) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise _refusal(
            model,
            f"has a signalbus_burst_count of {count!r}",
            "Set it to the number of signals per transaction, a positive integer",
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


def _ordering_key(model: SignalModel, mapper: sa_orm.Mapper[t.Any]) -> tuple[str, ...]:
    try:
        return read_ordering_key(mapper)
    except OrderingKeyError as error:
        raise _refusal(model, error.fact, error.remedy) from None


def _is_expression(thing: object) -> bool:
    return isinstance(
        thing, (sa.ColumnElement, sa_orm.InstrumentedAttribute, sa_orm.MappedColumn)
    )


def _refusal(model: object, fact: str, remedy: str) -> SignalModelError:
    name = getattr(model, "__name__", None) or repr(model)
    return SignalModelError(f"The signal model {name} {fact}. {remedy}.")
