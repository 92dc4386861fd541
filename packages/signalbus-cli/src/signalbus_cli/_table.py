"""The rows of `flask signalbus signals`."""

from __future__ import annotations

import re
import typing as t

import sqlalchemy.orm as sa_orm
from signalbus.plugins import is_missing_broker

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

#: The name of a table or class, before the name of a column.
_OWNER = re.compile(r"\b[^\W\d]\w*\.(?=\w)")


def describe_model(bus: SignalBus, model: SignalModel) -> tuple[str, ...]:
    """Return the row of *model*: name, sender, burst count, autoflush and order."""
    declaration = bus.declaration(model)
    return (
        model.__name__,
        _sender(bus, declaration),
        str(declaration.burst_count),
        _autoflush(bus, declaration),
        _order(declaration) or "-",
    )


def _sender(bus: SignalBus, declaration: Declaration) -> str:
    """Return the broker, or the model's own method, that sends its signals.

    A broker that no plugin implements is marked.
    """
    if declaration.send_burst is not None:
        return "its send_signalbus_messages()"
    if declaration.broker is None:
        return "its send_signalbus_message()"
    missing = is_missing_broker(bus.plugin_manager, declaration.broker)
    return f"broker {declaration.broker!r}{' (not installed)' if missing else ''}"


def _autoflush(bus: SignalBus, declaration: Declaration) -> str:
    """Return whether, and how, signals are sent right after their commit."""
    if not declaration.autoflush:
        return "off"
    mode = bus.autoflush
    return mode if isinstance(mode, str) else "on" if mode else "off"


def _order(declaration: Declaration) -> str:
    """Return the order; that of the signals of an ordering key behind the key."""
    order = ", ".join(map(_expression, declaration.order_by))
    if not declaration.ordering_key:
        return order
    key = f"by {', '.join(declaration.ordering_key)}"
    return f"{key}: {order}" if order else key


def _expression(expression: t.Any) -> str:
    """Return the text of a column or an expression without the name of its table."""
    if isinstance(expression, sa_orm.MappedColumn):
        expression = expression.column
    return _OWNER.sub("", str(expression))
