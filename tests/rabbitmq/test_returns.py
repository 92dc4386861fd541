"""A returned message, which has no number, is found by what is in it."""

from __future__ import annotations

import typing as t

from signalbus_rabbitmq import Message
from signalbus_rabbitmq import MessageProperties
from signalbus_rabbitmq._returns import Returns


def message(body: bytes, mandatory: bool = True, **properties: t.Any) -> t.Any:
    """Make a message; those with the same arguments are the same."""
    return Message("x", "key", body, MessageProperties(**properties), mandatory)


def published(*messages: t.Any) -> Returns:
    """Publish *messages*, so that they may come back."""
    returns = Returns()
    for each in messages:
        returns.add(each)
    return returns


def test_a_return_is_found_by_its_message_id() -> None:
    """Whatever else the broker changed, the id is that of one message."""
    returns = published(*(message(b"", message_id=name) for name in "abc"))

    assert [1] == returns.match(message(b"changed", message_id="b", type="changed"))


def test_a_message_id_that_several_have_does_not_tell() -> None:
    """Then the rest of the message counts."""
    returns = published(*(message(body, message_id="7") for body in (b"1", b"2")))

    assert [1] == returns.match(message(b"2", message_id="7"))


def test_a_return_is_found_by_its_body() -> None:
    """Messages that differ in their bodies are told apart."""
    returns = published(message(b"1"), message(b"2"), message(b"3"))

    assert [1] == returns.match(message(b"2"))


def test_a_return_is_found_by_its_properties() -> None:
    """Messages that differ in a header alone are told apart."""
    returns = published(*(message(b"", headers={"to": name}) for name in "abc"))

    assert [2] == returns.match(message(b"", headers={"to": "c"}))


def test_no_headers_are_the_same_as_empty_headers() -> None:
    """They look the same on the wire."""
    returns = published(message(b"", headers={}), message(b"", headers={"to": "a"}))

    assert [0] == returns.match(message(b""))


def test_a_blind_copy_is_not_expected_back() -> None:
    """RabbitMQ strips the header BCC, which may have more in it than others may see."""
    headers = [{"n": 1, "BCC": ["a"]}, {"n": 2, "BCC": ["a"]}]
    returns = published(*(message(b"", headers=each) for each in headers))

    assert [1] == returns.match(message(b"", headers={"n": 2}))


def test_the_same_message_twice_is_returned_twice() -> None:
    """Each of two equal returns means another one of two equal messages."""
    returns = published(message(b"1"), message(b"1"))

    found = []
    for _ in range(2):
        found.append(list(returns.match(message(b"1"))))
        returns.forget(found[-1])

    assert [[0], [1]] == found


def test_a_message_that_is_not_mandatory_never_comes_back() -> None:
    """Only mandatory messages are looked at."""
    returns = published(message(b"1", mandatory=False), message(b"1"))

    assert [1] == returns.match(message(b"1"))


def test_what_was_confirmed_does_not_come_back() -> None:
    """What is forgotten is no candidate, whichever way the others are looked at."""
    returns = published(message(b"1"), message(b"1"), message(b"2"))
    returns.match(message(b"2"))

    returns.forget([0])

    assert [1] == returns.match(message(b"1"))


def test_a_return_that_was_changed_may_be_any_message_of_its_body() -> None:
    """As few as possible are suspects: not those that go elsewhere or say else."""
    returns = published(
        message(b"1", type="a"), message(b"2", type="a"), message(b"1", type="b")
    )

    assert [0, 2] == returns.match(message(b"1", type="changed"))


def test_an_unknown_return_may_be_any_message() -> None:
    """Where nothing matches, all mandatory messages are suspects: none gets lost."""
    returns = published(
        message(b"1"), message(b"2", mandatory=False), message(b"3", message_id="7")
    )

    returned = Message("elsewhere", "key", b"unknown", None, mandatory=True)
    assert [0, 2] == returns.match(returned)
