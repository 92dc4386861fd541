"""Run tasks in this process, for apps whose ``task_always_eager`` is on."""

from __future__ import annotations

import threading
import typing as t

from signalbus.exceptions import SignalBusError

from signalbus_celery._task_call import TaskCall

if t.TYPE_CHECKING:
    from signalbus.messages import MessageBatch


class EagerCalls:
    """Calls that are run after the burst is committed, as a worker would run them.

    They are not run earlier, since the burst holds locks that a task may wait for, and
    may be rolled back. Each thread has its own calls.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def take(self, celery: t.Any, batch: MessageBatch) -> None:
        """Confirm the messages of *batch*, and keep their calls until :meth:`run`.

        If *celery* does not know a task, only that message fails.
        """
        for message in batch:
            try:
                call = TaskCall.of(message)
                task = _task(celery, call.name)
            except Exception as error:  # noqa: BLE001 one signal never stops the others
                batch.fail(message.position, error)
            else:
                self._calls().append((task, call))
                batch.confirm(message.position)

    def run(self) -> None:
        """Run the calls that were taken.

        A task may send signals itself. Their calls are run before the next one.

        :raises Exception: the first error of a task, if the Celery app propagates it.
        """
        calls, self._of_thread.calls = self._calls(), []
        errors = []
        for task, call in calls:
            try:
                _run(task, call)
            except Exception as error:  # noqa: BLE001 one task never stops the others
                errors.append(error)
        if errors:
            raise errors[0]

    def forget(self) -> None:
        """Forget the calls that were taken, since their burst has failed."""
        self._calls().clear()

    def _calls(self) -> list[tuple[t.Any, TaskCall]]:
        try:
            calls: list[tuple[t.Any, TaskCall]] = self._of_thread.calls
        except AttributeError:
            calls = self._of_thread.calls = []
        return calls


def _run(task: t.Any, call: TaskCall) -> None:
    task.apply(call.args, call.kwargs, task_id=call.id, headers=call.headers)


def _task(celery: t.Any, name: str) -> t.Any:
    task = celery.tasks.get(name)
    if task is None:
        raise SignalBusError(
            f"The Celery app is eager, and has no task {name!r}. Import the module that"
            " defines it, or correct signalbus_task."
        )
    return task
