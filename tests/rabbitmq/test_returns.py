"""A returned message, which has no number, is found by what is in it."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq import Message
from signalbus_rabbitmq import MessageProperties
from signalbus_rabbitmq._returns import Returns


def message(body: bytes, mandatory: bool = True, **properties: t.Any) -> t.Any:
    """Make a message; those with the same arguments are the same."""
    return Message("x", "key", body, MessageProperties(**properties), mandatory)


def test_a_return_is_found_by_its_body() -> None:
    """Messages that differ in their bodies are told apart."""
    returns = Returns([message(b"1"), message(b"2"), message(b"3")])

    assert [1] == returns.match(message(b"2"))


def test_a_return_is_found_by_its_properties() -> None:
    """Messages that differ in a header alone are told apart."""
    returns = Returns([message(b"", headers={"to": name}) for name in "abc"])

    assert [2] == returns.match(message(b"", headers={"to": "c"}))


def test_the_same_message_twice_is_returned_twice() -> None:
    """Each of two equal returns means another one of two equal messages."""
    returns = Returns([message(b"1"), message(b"1")])

    assert [[0], [1]] == [returns.match(message(b"1")) for _ in range(2)]


def test_a_message_that_is_not_mandatory_never_comes_back() -> None:
    """Only mandatory messages are looked at."""
    returns = Returns([message(b"1", mandatory=False), message(b"1")])

    assert [1] == returns.match(message(b"1"))


def test_an_unknown_return_may_be_any_message() -> None:
    """Where nothing matches, all mandatory messages are suspects: none gets lost."""
    returns = Returns([message(b"1"), message(b"2", mandatory=False), message(b"3")])

    assert [0, 2] == returns.match(message(b"unknown"))
