"""What every broker plugin needs to make messages of signals."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

__all__ = ["message_headers"]

Headers: t.TypeAlias = dict[str, str]


def message_headers(
    bus: Bus, model: SignalModel, signals: t.Sequence[Signal]
) -> list[Headers]:
    """Return the headers that plugins add to the messages of *signals*.

    One ``dict`` for each signal, in the same order; an empty list if no plugin adds
    any. Where two plugins use a name, the one that is called first wins.

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
