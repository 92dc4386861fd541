"""Publisher confirms: which messages the broker has acknowledged, and which not."""

from __future__ import annotations

PENDING = 0
CONFIRMED = 1
NACKED = 2


class Confirms:
    """The confirms of messages published in a row on one channel.

    The broker numbers what a channel publishes; *first_tag* is the number of the first
    message here. A message is known by its index, from 0. No message is settled twice,
    and acks for messages that are not among these are ignored.
    """

    def __init__(self, first_tag: int) -> None:
        self.pending = 0
        self.has_nacks = False
        self._first_tag = first_tag
        self._states = bytearray()
        # Nothing below is pending: each message is passed once, however many acks come.
        self._low = 0

    def __len__(self) -> int:
        return len(self._states)

    def publish(self, count: int) -> None:
        """Record that *count* more messages were published."""
        self._states.extend(bytes(count))
        self.pending += count

    def ack(self, tag: int, multiple: bool) -> None:
        """Record that the broker has message *tag*, or all *multiple* up to it."""
        self._settle(tag, multiple, CONFIRMED)

    def nack(self, tag: int, multiple: bool) -> None:
        """Record that the broker refused message *tag*, or all *multiple* up to it."""
        self.has_nacks = True
        self._settle(tag, multiple, NACKED)

    def first_pending(self) -> int:
        """Return the first message that is not settled, or the end."""
        found = self._states.find(PENDING, self._low)
        self._low = len(self._states) if found < 0 else found
        return self._low

    def is_nacked(self, index: int) -> bool:
        """Return whether the broker refused the message at *index*."""
        return self._states[index] == NACKED

    def pending_indexes(self) -> list[int]:
        """Return the messages that are not settled."""
        return [index for index, state in enumerate(self._states) if state == PENDING]

    def _settle(self, tag: int, multiple: bool, state: int) -> None:
        if multiple:
            self._settle_up_to(self._end(tag), state)
        elif 0 <= tag - self._first_tag < len(self._states):
            self._settle_between(
                tag - self._first_tag, tag - self._first_tag + 1, state
            )

    def _end(self, tag: int) -> int:
        """Return the index after that of *tag*. In AMQP, tag 0 stands for all."""
        count = len(self._states)
        return count if tag == 0 else min(tag - self._first_tag + 1, count)

    def _settle_up_to(self, end: int, state: int) -> None:
        if end > self._low:
            self._settle_between(self._low, end, state)
            self._low = end

    def _settle_between(self, start: int, end: int, state: int) -> None:
        states = self._states[start:end]
        self.pending -= states.count(PENDING)
        self._states[start:end] = states.replace(bytes([PENDING]), bytes([state]))
