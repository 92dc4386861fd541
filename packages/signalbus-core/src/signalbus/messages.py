"""Make the messages of signals, for broker plugins.

A :class:`~signalbus.brokers.BrokerPlugin` gets a finished :class:`MessageBatch`, and
needs little else from this module.
"""

from __future__ import annotations

import typing as t

from signalbus._message import Message
from signalbus._message import MessageFactory
from signalbus._message_attribute import MessageAttribute
from signalbus._message_attribute import check_attributes
from signalbus._message_attribute import misdeclared
from signalbus._message_batch import MessageBatch
from signalbus._message_batch import own_failure
from signalbus._message_body import columns_reader
from signalbus._message_body import message_columns

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

__all__ = [
    "Message",
    "MessageAttribute",
    "MessageBatch",
    "MessageFactory",
    "check_attributes",
    "columns_reader",
    "message_columns",
    "message_headers",
    "misdeclared",
    "own_failure",
]

Headers: t.TypeAlias = dict[str, str]


def message_headers(
    bus: Bus, model: SignalModel, signals: t.Sequence[Signal]
) -> list[Headers]:
    """Return the headers that plugins add to the messages of *signals*.

    The list has one ``dict`` for each signal, in the same order, or is empty if no
    plugin adds any. If two plugins add the same name, the one that is called first
    wins.

    :raises ValueError: if a plugin does not return one mapping for each signal.
    """
    answers = bus.plugin_manager.hook.signalbus_message_headers(
        bus=bus, model=model, signals=signals
    )
    merged: list[Headers] = [{} for _ in signals] if answers else []
    for answer in reversed(answers):
        if len(answer) != len(signals):
            raise ValueError(
                f"A plugin returned {len(answer)} headers for {len(signals)} signals of"
                f" {model.__name__}. signalbus_message_headers must return one mapping"
                " for each signal."
            )
        for headers, added in zip(merged, answer, strict=True):
            headers.update(added)
    return merged
