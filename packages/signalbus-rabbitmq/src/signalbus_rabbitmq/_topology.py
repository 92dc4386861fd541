"""Ask the broker for exchanges and queues, and declare those that are needed."""

from __future__ import annotations

import typing as t

import pika.exceptions

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._connection import Connection

#: Sends a question, and has its answer given to the callback.
Question: t.TypeAlias = "t.Callable[[t.Any, t.Callable[[t.Any], None]], object]"

#: The exchanges with this prefix are the broker's own: they can only be asked for.
RESERVED = "amq."

#: AMQP's reply code for what does not exist.
NOT_FOUND = 404

#: AMQP's reply code for what exists with other properties.
PRECONDITION_FAILED = 406


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

    @property
    def is_default_exchange(self) -> bool:
        """Whether it is there anyway."""
        return self == Target("exchange", "")

    @property
    def has_bindings(self) -> bool:
        """Whether messages need a binding to get on from it."""
        return self.kind == "exchange" and not self.is_default_exchange

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


class Answer(t.NamedTuple):
    """What the broker said: a method of AMQP, or why not."""

    method: t.Any = None
    code: int = 0
    refusal: str | None = None


class Line(t.NamedTuple):
    """What is told about one thing: its name, and what is wrong with it, or is good."""

    what: str
    complaint: str | None = None
    good: str = "ok"

    def __str__(self) -> str:
        return f"{self.what}: {self.complaint or self.good}"


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
        A quorum queue lets go of a rejected message when that has arrived: this is what
        "at-least-once" means, which needs the setting for the overflow.
        """
        arguments = {"x-queue-type": "classic" if self.is_classic else "quorum"}
        if self.has_dead_letters:
            arguments["x-dead-letter-exchange"] = ""
            arguments["x-dead-letter-routing-key"] = self.dead_letters.name
        if self.has_dead_letters and not self.is_classic:
            arguments["x-dead-letter-strategy"] = "at-least-once"
            arguments["x-overflow"] = "reject-publish"
        return arguments


class Asker:
    """Ask over *connection*, each question on a channel of its own, until *deadline*.

    Every method raises ConnectionError or TimeoutError if there is no answer.
    """

    def __init__(self, connection: Connection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def find(self, target: Target) -> Answer:
        """Ask whether *target* is there."""
        if target.is_default_exchange:
            return Answer()
        return self._ask(
            lambda channel, callback: getattr(channel, f"{target.kind}_declare")(
                target.name, passive=True, callback=callback
            )
        )

    def declare_queue(self, queue: Queue) -> Answer:
        """Create *queue* unless it is there."""
        return self._ask(
            lambda channel, callback: channel.queue_declare(
                queue.name, durable=True, arguments=queue.arguments, callback=callback
            )
        )

    def declare_exchange(self, name: str, exchange_type: str) -> Answer:
        """Create a durable exchange unless it is there."""
        if name.startswith(RESERVED) or not name:
            return self.find(Target("exchange", name))
        return self._ask(
            lambda channel, callback: channel.exchange_declare(
                name, exchange_type, durable=True, callback=callback
            )
        )

    def bind(self, queue: str, exchange: str, routing_key: str) -> Answer:
        """Have *queue* get what comes to *exchange* with this routing key."""
        return self._ask(
            lambda channel, callback: channel.queue_bind(
                queue, exchange, routing_key, callback=callback
            )
        )

    def _ask(self, question: Question) -> Answer:
        answers: list[Answer] = []

        def on_open(channel: t.Any) -> None:
            question(channel, lambda frame: answers.append(Answer(frame.method)))

        def on_close(_: t.Any, reason: t.Any) -> None:
            if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
                refusal = f"({reason.reply_code}) {reason.reply_text}"
                answers.append(Answer(None, reason.reply_code, refusal))

        channel = self._connection.channel(on_open_callback=on_open)
        channel.add_on_close_callback(on_close)
        self._connection.wait(lambda: bool(answers), self._deadline)
        if channel.is_open:
            channel.close()
        return answers[0]
