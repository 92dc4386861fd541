"""The books of a day: what the orders say was announced, and what really was."""

from __future__ import annotations

import dataclasses
import typing as t

#: A message, as the books know it: the signal's name, the order and the customer.
Message: t.TypeAlias = "tuple[str, int, str]"


@dataclasses.dataclass(frozen=True)
class Books:
    """Compare the messages that there must be with those that arrived.

    :param rolled_back: how many orders were rolled back.
    :param recorded: the message of every signal whose transaction was committed.
    :param delivered: the messages that arrived, some of them perhaps twice.
    """

    rolled_back: int
    recorded: list[Message]
    delivered: list[Message]

    @property
    def lost(self) -> int:
        """How many messages never arrived."""
        return len(set(self.recorded) - set(self.delivered))

    @property
    def invented(self) -> int:
        """How many messages arrived of orders that were rolled back."""
        return len(set(self.delivered) - set(self.recorded))

    @property
    def duplicates(self) -> int:
        """How many messages arrived that had arrived before."""
        return len(self.delivered) - len(set(self.delivered))

    @property
    def balance(self) -> bool:
        """Whether every order that was committed was announced, and no other."""
        return not (self.lost or self.invented)

    def lines(self) -> list[str]:
        """Return the table for people to read."""
        placed = sum(signal == "OrderPlaced" for signal, *_ in self.recorded)
        paid = len(self.recorded) - placed
        rows = [
            ("orders committed", placed, ""),
            ("orders rolled back", self.rolled_back, ""),
            ("signals recorded", len(self.recorded), f"{placed} placed, {paid} paid"),
            ("signals delivered", len(set(self.delivered)), ""),
            ("duplicates", self.duplicates, "what the killed flusher had just sent"),
            ("sent by mistake", self.invented, "of orders that were rolled back"),
            ("lost", self.lost, ""),
        ]
        return [
            f"{name:<22}{count:>7,}   {note}".rstrip() for name, count, note in rows
        ]
