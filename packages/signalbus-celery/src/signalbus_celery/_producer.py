"""The producer over which Celery sends the calls of signals."""

from __future__ import annotations

import typing as t

from kombu.messaging import Producer

if t.TYPE_CHECKING:
    from signalbus_celery._confirms import Confirms
    from signalbus_celery._task_call import TaskCall


class SignalProducer(Producer):
    """A producer that knows which call Celery is sending.

    The first message after :meth:`begin` is that call. Later ones, such as the event
    that a task was sent, belong to no call.

    :param channel: a channel of kombu.
    :param confirms: counts the messages; ``None`` if the channel has no confirms.
    """

    def __init__(self, channel: t.Any, confirms: Confirms | None) -> None:
        super().__init__(channel, auto_declare=False)  # type: ignore[no-untyped-call]  # it has no types
        self._confirms = confirms
        self._call: TaskCall | None = None

    def begin(self, call: TaskCall) -> None:
        """Expect the message of *call*."""
        self._call = call

    @property
    def has_published(self) -> bool:
        """Whether the message of the last call was published."""
        return self._call is None

    def publish(self, body: t.Any, *args: t.Any, **options: t.Any) -> t.Any:
        """Publish a message."""
        call = self._call
        if call is not None:
            _leave_result_to_task(options.get("headers"))
        if self._confirms is not None:
            # What no queue takes comes back. Otherwise it would be confirmed, and gone.
            options["mandatory"] = call is not None
        published = super().publish(body, *args, **options)  # type: ignore[no-untyped-call]  # likewise
        self._call = None
        if self._confirms is not None:
            self._confirms.published(call)
        return published


def _leave_result_to_task(headers: dict[str, t.Any] | None) -> None:
    """Let the worker store the result if the task wants it.

    Celery was told to ignore the result, so that it opens no result backend here.
    """
    if headers and "ignore_result" in headers:
        headers["ignore_result"] = None
