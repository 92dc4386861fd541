"""Look for exchanges, queues and bindings on the broker, and declare them."""

from __future__ import annotations

import typing as t

import pika.exceptions

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._connection import Connection

#: Sends a request over a channel. The callback gets the reply.
Request: t.TypeAlias = "t.Callable[[t.Any, t.Callable[[t.Any], None]], object]"

#: Exchanges with this prefix are the broker's own, and cannot be declared.
RESERVED = "amq."

#: AMQP's reply code for what does not exist.
NOT_FOUND = 404

#: AMQP's reply code for what exists with other properties.
PRECONDITION_FAILED = 406


class Target(t.NamedTuple):
    """An exchange that a model sends to, or a queue, by the default exchange."""

    kind: t.Literal["exchange", "queue"]
    name: str

    @classmethod
    def of(cls, model: type[t.Any]) -> Target:
        """Return what *model* sends to, as far as that is the same for all signals."""
        exchange, routing_key = model.signalbus_exchange, model.signalbus_routing_key
        if exchange == "" and isinstance(routing_key, str):
            return cls("queue", routing_key)
        return cls("exchange", exchange)

    @property
    def is_default_exchange(self) -> bool:
        """Whether it is the default exchange, which always exists."""
        return self == Target("exchange", "")

    @property
    def has_bindings(self) -> bool:
        """Whether messages need a binding to get from it to a queue."""
        return self.kind == "exchange" and not self.is_default_exchange

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


class Reply(t.NamedTuple):
    """What the broker replied: a method of AMQP, or why it refused."""

    method: t.Any = None
    code: int = 0
    refusal: str | None = None


class Queue(t.NamedTuple):
    """How a queue is declared; always durable.

    :param is_classic: whether it is a classic queue, rather than a quorum queue.
    :param has_dead_letters: whether what is rejected goes to a queue of its own.
    """

    name: str
    is_classic: bool = False
    has_dead_letters: bool = True

    @property
    def dead_letters(self) -> Queue:
        """The queue for what is rejected."""
        return Queue(f"{self.name}.dead", self.is_classic, has_dead_letters=False)

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of the declaration.

        The dead-letter exchange is the default one, which knows all queues by name.
        A quorum queue keeps a rejected message until that has arrived there: this is
        what "at-least-once" means, and it requires the setting for the overflow.
        """
        arguments = {"x-queue-type": "classic" if self.is_classic else "quorum"}
        if self.has_dead_letters:
            arguments["x-dead-letter-exchange"] = ""
            arguments["x-dead-letter-routing-key"] = self.dead_letters.name
        if self.has_dead_letters and not self.is_classic:
            arguments["x-dead-letter-strategy"] = "at-least-once"
            arguments["x-overflow"] = "reject-publish"
        return arguments


class TopologyClient:
    """Sends requests over *connection*, each on a channel of its own.

    Every method raises ConnectionError or TimeoutError if there is no reply until the
    *deadline*.
    """

    def __init__(self, connection: Connection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def find(self, target: Target) -> Reply:
        """Look for *target*."""
        if target.is_default_exchange:
            return Reply()
        return self._request(
            lambda channel, callback: getattr(channel, f"{target.kind}_declare")(
                target.name, passive=True, callback=callback
            )
        )

    def declare_queue(self, queue: Queue) -> Reply:
        """Create *queue* unless it exists."""
        return self._request(
            lambda channel, callback: channel.queue_declare(
                queue.name, durable=True, arguments=queue.arguments, callback=callback
            )
        )

    def declare_exchange(self, name: str, exchange_type: str) -> Reply:
        """Create a durable exchange unless it exists."""
        if name.startswith(RESERVED) or not name:
            return self.find(Target("exchange", name))
        return self._request(
            lambda channel, callback: channel.exchange_declare(
                name, exchange_type, durable=True, callback=callback
            )
        )

    def bind(self, queue: str, exchange: str, routing_key: str) -> Reply:
        """Bind *queue* to *exchange* with this routing key."""
        return self._request(
            lambda channel, callback: channel.queue_bind(
                queue, exchange, routing_key, callback=callback
            )
        )

    def _request(self, request: Request) -> Reply:
        replies: list[Reply] = []

        def on_open(channel: t.Any) -> None:
            request(channel, lambda frame: replies.append(Reply(frame.method)))

        def on_close(_: t.Any, reason: t.Any) -> None:
            if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
                refusal = f"({reason.reply_code}) {reason.reply_text}"
                replies.append(Reply(None, reason.reply_code, refusal))

        channel = self._connection.channel(on_open_callback=on_open)
        channel.add_on_close_callback(on_close)
        self._connection.wait(lambda: bool(replies), self._deadline)
        if channel.is_open:
            channel.close()
        return replies[0]
