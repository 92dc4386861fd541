"""Compare the messages that the orders require with those that arrived."""

from __future__ import annotations

import dataclasses
import typing as t

#: The fields of a message that are compared: signal name, order and customer.
Message: t.TypeAlias = "tuple[str, int, str]"


@dataclasses.dataclass(frozen=True)
class Books:
    """The messages that must arrive, and those that did.

    :param rolled_back: how many orders were rolled back.
    :param recorded: the message of every signal whose transaction was committed.
    :param delivered: the messages that arrived, duplicates included.
    """

    rolled_back: int
    recorded: list[Message]
    delivered: list[Message]

    @property
    def lost(self) -> int:
        """Return how many messages never arrived."""
        return len(set(self.recorded) - set(self.delivered))

    @property
    def invented(self) -> int:
        """Return how many messages arrived without a recorded signal."""
        return len(set(self.delivered) - set(self.recorded))

    @property
    def duplicates(self) -> int:
        """Return how many messages arrived again."""
        return len(self.delivered) - len(set(self.delivered))

    @property
    def balance(self) -> bool:
        """Return whether exactly the recorded signals were delivered."""
        return not (self.lost or self.invented)

    def lines(self) -> list[str]:
        """Return the lines of the table that the demo prints."""
        placed = sum(signal == "OrderPlaced" for signal, *_ in self.recorded)
        paid = len(self.recorded) - placed
        rows = [
            ("orders committed", placed, ""),
            ("orders rolled back", self.rolled_back, ""),
            ("signals recorded", len(self.recorded), f"{placed} placed, {paid} paid"),
            ("signals delivered", len(set(self.delivered)), ""),
            ("duplicates", self.duplicates, "sent just before the flusher was killed"),
            ("sent by mistake", self.invented, "of orders that were rolled back"),
            ("lost", self.lost, ""),
        ]
        return [
            f"{name:<22}{count:>7,}   {note}".rstrip() for name, count, note in rows
        ]
