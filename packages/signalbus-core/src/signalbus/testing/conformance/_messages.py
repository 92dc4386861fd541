"""Tests of what a consumer finds in a message."""

from __future__ import annotations

import typing as t

import pytest

from signalbus._markers import hookimpl
from signalbus.messages import MessageFactory
from signalbus.testing.conformance._case import Row
from signalbus.testing.conformance._case import rows

if t.TYPE_CHECKING:
    from signalbus.testing.conformance._case import Case

    NewCase: t.TypeAlias = t.Callable[..., Case]

#: Bodies that a broker might misinterpret.
BODIES = {
    "empty": b"",
    "a zero byte": b"\0",
    "all bytes": bytes(range(256)),
    "lines": b"a\r\nb\n\r\n.\r\n",
    "no UTF-8": b"\xff\xfe\xc3\x28",
    "JSON": b'{"a": "\\u0000", "b": [1, null]}',
}


class Tracer:
    """A plugin that adds a header to each message."""

    @hookimpl
    def signalbus_message_headers(
        self, signals: t.Sequence[Row]
    ) -> list[dict[str, str]]:
        """Return the headers: each signal has its own."""
        return [{"trace": f"trace-{signal.id}"} for signal in signals]


class Messages:
    """Bodies, ids, types and headers."""

    large: int

    @pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
    def test_bodies_arrive_as_they_are(self, case: Case, body: bytes) -> None:
        """A body is bytes, which nothing adds to, cuts off or translates."""
        case.send([Row(1, body)])

        assert [body] == case.bodies()

    def test_large_bodies_arrive(self, case: Case) -> None:
        """What does not fit into one packet, or one buffer, arrives whole."""
        body = bytes(range(256)) * (self.large // 256)

        case.send([Row(1, body), Row(2, b"small"), Row(3, body)])

        assert sorted([body, b"small", body]) == case.bodies()

    def test_message_ids_are_stable(self, case: Case) -> None:
        """A signal that is sent again has the id of before, which is its own."""
        signals = rows(3)
        message_id = MessageFactory(case.model).message_id
        case.send(signals)
        case.send(signals)

        found = {(each.body, each.id) for each in case.read()}

        assert {(each.payload, message_id(each)) for each in signals} == found
        assert 3 == len({an_id for _, an_id in found})

    def test_headers_of_plugins_arrive(self, case: Case) -> None:
        """Each message has the headers that other plugins add to it."""
        case.bus.plugin_manager.register(Tracer())
        case.send(rows(3))

        found = {each.body: each.headers.get("trace") for each in case.read()}

        assert {b"1": "trace-1", b"2": "trace-2", b"3": "trace-3"} == found

    def test_headers_of_the_model_arrive(self, new_case: NewCase) -> None:
        """Those of the model go out beside those of plugins, and win."""
        case = new_case(
            signalbus_headers=lambda signal: (
                {"shop": f"s{signal.id}"} | ({"trace": "own"} if signal.id == 2 else {})
            )
        )
        case.bus.plugin_manager.register(Tracer())
        case.send(rows(2))

        found = {each.body: each.headers for each in case.read()}

        assert ("s1", "trace-1") == (found[b"1"]["shop"], found[b"1"]["trace"])
        assert ("s2", "own") == (found[b"2"]["shop"], found[b"2"]["trace"])

    def test_type_and_content_type_arrive(self, new_case: NewCase) -> None:
        """The type is the name of the model, and the content type what it declares."""
        case = new_case(signalbus_content_type="application/x-pigeon")
        case.send(rows(1))

        (message,) = case.read()

        assert message.type in {None, case.model.__name__}
        assert message.content_type in {None, "application/x-pigeon"}
