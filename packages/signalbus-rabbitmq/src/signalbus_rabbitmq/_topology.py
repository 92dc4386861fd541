"""Ask the broker whether what models send to is there."""

from __future__ import annotations

import typing as t

import pika.exceptions

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._connection import Connection


class Target(t.NamedTuple):
    """An exchange that a model sends to; or, by the default exchange, a queue."""

    kind: t.Literal["exchange", "queue"]
    name: str

    @classmethod
    def of(cls, model: type[t.Any]) -> Target:
        """Return what *model* sends to, as far as that is the same for all signals."""
        exchange, routing_key = model.signalbus_exchange, model.signalbus_routing_key
        if exchange == "" and isinstance(routing_key, str):
            return cls("queue", routing_key)
        return cls("exchange", exchange)

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


def why_missing(connection: Connection, target: Target, deadline: float) -> str | None:
    """Return what the broker says against *target*, or ``None`` if it is there."""
    if target == Target("exchange", ""):
        return None
    answers: list[str | None] = []

    def on_open(channel: t.Any) -> None:
        declare = getattr(channel, f"{target.kind}_declare")
        declare(target.name, passive=True, callback=lambda _: answers.append(None))

    def on_close(_: t.Any, reason: t.Any) -> None:
        if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            answers.append(f"({reason.reply_code}) {reason.reply_text}")

    connection.channel(on_open_callback=on_open).add_on_close_callback(on_close)
    connection.wait(lambda: bool(answers), deadline)
    return answers[0]
