"""Confirms are recorded rightly, whatever a broker may send."""

from __future__ import annotations

import typing as t

from hypothesis import given
from hypothesis import strategies as st
from signalbus_rabbitmq._confirms import Confirms

FIRST_TAG = 8

publish = st.tuples(st.just("publish"), st.integers(0, 6), st.just(False))
settle = st.tuples(st.sampled_from(["ack", "nack"]), st.integers(0, 30), st.booleans())
histories = st.lists(publish | settle, max_size=40)


History: t.TypeAlias = list[tuple[str, int, bool]]


class Reference:
    """The same record, kept in the plainest way."""

    def __init__(self) -> None:
        """Begin with nothing published."""
        self.said: list[str | None] = []

    def publish(self, count: int) -> None:
        """Note that messages were published."""
        self.said += [None] * count

    def settle(self, word: str, tag: int, multiple: bool) -> None:
        """Note what the broker said about messages that it had not settled."""
        for index, said in enumerate(self.said):
            meant = FIRST_TAG + index
            is_meant = tag in (0, meant) or meant < tag if multiple else tag == meant
            if is_meant and said is None:
                self.said[index] = word

    def indexes(self, word: str | None) -> list[int]:
        """Return the messages about which the broker said *word*."""
        return [index for index, said in enumerate(self.said) if said == word]

    def first(self, word: str | None) -> int:
        """Return the first message about which the broker said *word*, or the end."""
        return next(iter(self.indexes(word)), len(self.said))


def nacked(confirms: Confirms) -> list[int]:
    """Return the messages that the broker refused."""
    return [index for index in range(len(confirms)) if confirms.is_nacked(index)]


def replay(history: History) -> tuple[Confirms, Reference]:
    """Keep both records of *history*."""
    confirms, reference = Confirms(FIRST_TAG), Reference()
    for what, number, multiple in history:
        if what == "publish":
            confirms.publish(number)
            reference.publish(number)
        else:
            getattr(confirms, what)(number, multiple)
            reference.settle(what, number, multiple)
        assert reference.first(None) == confirms.first_pending()
    return confirms, reference


@given(histories)
def test_every_message_is_what_the_broker_first_said_of_it(history: History) -> None:
    """A message is settled by the first ack or nack that means it, and by no other."""
    confirms, reference = replay(history)

    assert reference.indexes(None) == confirms.pending_indexes()
    assert reference.indexes("nack") == nacked(confirms)


@given(histories)
def test_pending_counts_what_the_broker_said_nothing_about(history: History) -> None:
    """A batch is waited for exactly as long as something of it is not settled."""
    confirms, reference = replay(history)

    assert len(reference.indexes(None)) == confirms.pending
    assert len(reference.said) == len(confirms)


def test_multiple_settles_all_up_to_its_tag() -> None:
    """One ack with `multiple` stands for all messages before it."""
    confirms = Confirms(FIRST_TAG)
    confirms.publish(5)

    confirms.ack(FIRST_TAG + 3, multiple=True)

    assert [4] == confirms.pending_indexes()


def test_a_nack_does_not_take_back_an_ack() -> None:
    """What was confirmed stays confirmed."""
    confirms = Confirms(FIRST_TAG)
    confirms.publish(3)
    confirms.ack(FIRST_TAG + 1, multiple=False)

    confirms.nack(0, multiple=True)

    assert [0, 2] == nacked(confirms)
