"""Publisher confirms: which messages of a channel RabbitMQ has stored."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import MessageRefusedError

from signalbus_celery._failures import reason_of

if t.TYPE_CHECKING:
    from signalbus_celery._outcome import Outcome
    from signalbus_celery._task_call import TaskCall


class Confirms:
    """Tracks which messages of a channel were confirmed, refused and returned.

    RabbitMQ numbers the messages of a channel. It answers in any order, and for several
    at once. py-amqp itself would wait for each answer before the next message.

    :param channel: a channel of py-amqp that nothing else uses.
    """

    def __init__(self, channel: t.Any) -> None:
        self._channel = channel
        #: The calls that were returned because no queue accepts them, and why.
        self.returned: list[tuple[TaskCall, Exception]] = []
        channel.events["basic_ack"].add(self._on_ack)
        channel.events["basic_nack"].add(self._on_nack)
        channel.events["basic_return"].add(self._on_return)
        self.restart()

    def restart(self) -> None:
        """Start counting on a channel that is new, or that was reopened."""
        self._tag = 0
        self._awaited: dict[int, TaskCall] = {}
        self._reasons: dict[str, Exception] = {}
        self.returned.clear()
        self._channel.confirm_select()

    def write_to(self, outcome: Outcome) -> None:
        """Record the results of calls in *outcome* from now on."""
        self._outcome = outcome

    def published(self, call: TaskCall | None) -> None:
        """Count a message: that of *call*, or an internal one of Celery."""
        self._tag += 1
        if call is not None:
            self._awaited[self._tag] = call

    @property
    def is_complete(self) -> bool:
        """Whether no answers are outstanding."""
        return not self._awaited

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for call in self._answered(tag, multiple=multiple):
            reason = self._reasons.pop(call.id, None)
            if reason is None:
                self._outcome.confirm(call.position)
            else:
                self.returned.append((call, reason))

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for call in self._answered(tag, multiple=multiple):
            self._reasons.pop(call.id, None)
            error = refused(call, "RabbitMQ has no room for it, or cannot store it")
            self._outcome.fail(call.position, error)

    def _on_return(
        self, error: Exception, _exchange: str, _routing_key: str, message: t.Any
    ) -> None:
        """Remember why a message was returned. The confirm that follows is ignored."""
        task_id = message.properties.get("correlation_id")
        if task_id is not None:
            self._reasons[task_id] = error

    def _answered(self, tag: int, *, multiple: bool) -> list[TaskCall]:
        awaited = self._awaited
        if not multiple:
            return [awaited.pop(tag)] if tag in awaited else []
        tags = [each for each in awaited if each <= tag]
        return [awaited.pop(each) for each in tags]


def refused(call: TaskCall, reason: str | Exception) -> MessageRefusedError:
    """Return the error that the broker has refused *call*."""
    text = reason_of(reason) if isinstance(reason, Exception) else reason
    return MessageRefusedError(
        f"The broker refused a call of the task {call.name!r}: {text}. Correct the"
        " signal, or the queue."
    )
