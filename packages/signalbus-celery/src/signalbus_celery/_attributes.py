"""The attributes of models that define which task is called, and how."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SignalModelError
from signalbus.messages import MessageAttribute
from signalbus.messages import columns_reader

if t.TYPE_CHECKING:
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: The positional and the keyword arguments of a call.
Arguments: t.TypeAlias = tuple[t.Sequence[t.Any], dict[str, t.Any]]

ReadArguments: t.TypeAlias = t.Callable[[t.Any], Arguments]


class TaskName(MessageAttribute):
    """The task: its name, a function of the signal that returns it, or the task."""

    def reader(self, model: SignalModel) -> t.Callable[[Signal], t.Any]:
        """Return a function that returns the name for a signal of *model*."""
        task: t.Any = getattr(model, self.name)
        if hasattr(task, "apply_async"):  # it is callable, but no function of a signal
            return lambda _: task.name
        return super().reader(model)


class TaskArguments(MessageAttribute):
    """The arguments: by default, the columns by their names."""

    def is_constant(self, model: SignalModel) -> bool:  # noqa: ARG002 of no model
        """Return false: each task has its own arguments."""
        return False

    def check(self, model: SignalModel, broker: str) -> None:
        """Refuse *model* if the attribute is neither missing nor a function.

        Constant arguments would not tell the task which signal the call is for.
        """
        value = getattr(model, self.name, None)
        if value is None or callable(value):
            return
        raise SignalModelError(
            f"The signal model {model.__name__} names the broker {broker!r}, and cannot"
            f" use its {self.name} ({value!r:.60}). Set it to a function of the signal"
            " that returns a dict, a list or a tuple; or leave it out, and the columns"
            " are the arguments."
        )

    def reader(self, model: SignalModel) -> ReadArguments:
        """Return a function that returns the arguments for a signal of *model*."""
        if getattr(model, self.name, None) is None:
            read_columns = columns_reader(model)
            return lambda signal: ((), read_columns(signal))
        read = super().reader(model)

        def read_arguments(signal: Signal) -> Arguments:
            given = read(signal)
            return ((), given) if isinstance(given, dict) else (given, {})

        return read_arguments


TASK = TaskName("signalbus_task", "the name of a Celery task")
ARGUMENTS = TaskArguments(
    "signalbus_task_args", "the arguments of the task", (dict, list, tuple)
)
QUEUE = MessageAttribute(
    "signalbus_task_queue", "the name of a queue", is_required=False
)
PRIORITY = MessageAttribute(
    "signalbus_task_priority", "the priority of the task", (int,), is_required=False
)
COUNTDOWN = MessageAttribute(
    "signalbus_task_countdown",
    "the seconds to wait before the task is run",
    (int, float),
    is_required=False,
)

#: All attributes that are read from models.
ATTRIBUTES = (TASK, ARGUMENTS, QUEUE, PRIORITY, COUNTDOWN)

#: The options of a call, and the attributes that have them.
OPTIONS = {
    "queue": QUEUE.name,
    "priority": PRIORITY.name,
    "countdown": COUNTDOWN.name,
}
