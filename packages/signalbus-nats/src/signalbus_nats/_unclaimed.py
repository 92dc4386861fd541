"""Find out why a message got no reply: no stream, or no JetStream."""

from __future__ import annotations

import shlex
import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError

from signalbus_nats import _api

if t.TYPE_CHECKING:
    from signalbus_nats._packets import Packet


def explain(
    ask: _api.Ask, packets: t.Sequence[Packet]
) -> t.Iterator[tuple[int, Exception]]:
    """Yield the position and the error of each of *packets*, which no stream took."""
    subjects = list(dict.fromkeys(packet.subject for packet in packets))
    answers = _api.put(ask, *map(_api.streams_of, subjects))
    reasons = dict(zip(subjects, map(_reason, subjects, answers), strict=True))
    for packet in packets:
        yield packet.position, reasons[packet.subject]


def add_stream(subject: str) -> str:
    """Return how to add a stream for *subject*."""
    name = subject.partition(".")[0].upper()
    command = f"nats stream add {shlex.quote(name)} --subjects {shlex.quote(subject)}"
    return f"Add one: `{command} --defaults`."


def _reason(subject: str, answer: _api.Answer) -> Exception:
    if answer.is_absent:
        return BrokerUnavailableError(
            "JetStream is not enabled for this account, or not ready:"
            f" {answer.problem}."
        )
    streams = answer.content.get("streams")
    if streams:
        return BrokerUnavailableError(
            f"The stream {streams[0]!r} takes no messages at the moment: it has no"
            " leader."
        )
    return MessageRefusedError(
        f"No stream takes the subject {subject!r}. {add_stream(subject)}"
    )
