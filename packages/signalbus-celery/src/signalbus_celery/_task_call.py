"""The call of a task, made from a signal."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SignalModelError

from signalbus_celery._attributes import ARGUMENTS
from signalbus_celery._attributes import OPTIONS
from signalbus_celery._attributes import TASK
from signalbus_celery._headers import check_headers

if t.TYPE_CHECKING:
    from signalbus.messages import Message

#: The headers that Celery itself uses for a call.
RESERVED: t.Final = frozenset(
    {
        "argsrepr",
        "compression",
        "eta",
        "expires",
        "group",
        "group_index",
        "id",
        "ignore_result",
        "kwargsrepr",
        "lang",
        "meth",
        "origin",
        "parent_id",
        "replaced_task_nesting",
        "retries",
        "root_id",
        "shadow",
        "stamped_headers",
        "stamps",
        "task",
        "timelimit",
    }
)


class TaskCall(t.NamedTuple):
    """The call of a task.

    :param position: the position of its signal in the burst.
    :param id: the task id, which is the message id.
    :param name: the name of the task.
    :param args: its positional arguments.
    :param kwargs: its keyword arguments.
    :param headers: the headers that plugins and the model add to the message.
    :param options: the options for sending it, as ``apply_async`` takes them.
    """

    position: int
    id: str
    name: str
    args: t.Sequence[t.Any]
    kwargs: dict[str, t.Any]
    headers: dict[str, t.Any]
    options: dict[str, t.Any]

    @classmethod
    def of(cls, message: Message) -> TaskCall:
        """Return the call for *message*.

        :raises SignalModelError: if it has a header that Celery itself uses.
        :raises MessageRefusedError: if it has a header that brokers do not support.
        """
        if not RESERVED.isdisjoint(message.headers):
            name = next(iter(RESERVED & message.headers.keys()))
            raise SignalModelError(
                f"A message of {message.type} has the header {name!r}, which Celery"
                " itself uses. Rename it in signalbus_headers, or in the plugin that"
                " adds it."
            )
        check_headers(message)
        given = message.attributes
        args, kwargs = given[ARGUMENTS.name]
        options = {name: given[attribute] for name, attribute in OPTIONS.items()}
        return cls(
            message.position,
            message.id,
            given[TASK.name],
            args,
            kwargs,
            dict(message.headers),
            {name: value for name, value in options.items() if value is not None},
        )
