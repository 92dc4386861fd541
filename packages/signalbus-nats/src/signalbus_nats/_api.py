"""Requests to the API of JetStream, and their answers."""

from __future__ import annotations

import json
import typing as t

from signalbus_nats._packets import Packet

if t.TYPE_CHECKING:
    from signalbus_nats._exchange import Reply

#: The prefix of the subjects of JetStream's API.
PREFIX = "$JS.API"

#: The status of a reply if nobody has subscribed to the subject.
NO_RESPONDERS = "503"

#: Publishes packets, and returns the replies to them in the order of their positions.
Ask: t.TypeAlias = "t.Callable[[t.Sequence[Packet]], list[Reply]]"


class Answer(t.NamedTuple):
    """An answer of JetStream.

    :param content: the content; empty if the answer is an error.
    :param problem: the error, if any.
    :param is_absent: whether the answer did not come from JetStream.
    """

    content: dict[str, t.Any]
    problem: str = ""
    is_absent: bool = False


def account() -> tuple[str, dict[str, t.Any]]:
    """Ask whether JetStream is there."""
    return f"{PREFIX}.INFO", {}


def streams_of(subject: str) -> tuple[str, dict[str, t.Any]]:
    """Ask which streams store messages to *subject*."""
    return f"{PREFIX}.STREAM.NAMES", {"subject": subject}


def stream(name: str) -> tuple[str, dict[str, t.Any]]:
    """Ask about a stream."""
    return f"{PREFIX}.STREAM.INFO.{name}", {}


def stored(ack: t.Mapping[str, t.Any]) -> tuple[str, dict[str, t.Any]]:
    """Ask for the message that *ack* is about."""
    prefix = f"$JS.{ack['domain']}.API" if ack.get("domain") else PREFIX
    return f"{prefix}.STREAM.MSG.GET.{ack['stream']}", {"seq": ack["seq"]}


def put(ask: Ask, *questions: tuple[str, dict[str, t.Any]]) -> list[Answer]:
    """Ask *questions*, all at once, and return the answers in their order."""
    packets = [
        Packet(number, subject, json.dumps(content).encode() if content else b"")
        for number, (subject, content) in enumerate(questions)
    ]
    return [_read(reply) for reply in ask(packets)]


def _read(reply: Reply) -> Answer:
    if reply.error is not None:
        return Answer({}, str(reply.error))
    if reply.status == NO_RESPONDERS:
        return Answer({}, "JetStream does not answer", is_absent=True)
    try:
        content: dict[str, t.Any] = json.loads(reply.data)
    except ValueError:
        return Answer({}, "something other than JetStream answers")
    error = content.get("error")
    if not error:
        return Answer(content)
    is_absent = error.get("code") == int(NO_RESPONDERS)
    return Answer({}, str(error.get("description")), is_absent)
