"""Check the Celery app, its broker and its tasks."""

from __future__ import annotations

import difflib
import inspect
import re
import typing as t

from signalbus.brokers import CheckLine
from signalbus.exceptions import BrokerUnavailableError
from signalbus.messages import message_columns

from signalbus_celery._attributes import ARGUMENTS
from signalbus_celery._attributes import TASK
from signalbus_celery._patience import run_within
from signalbus_celery._pool import new_publisher

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.typing import SignalModel

#: What is reported about a task that is not registered in this process.
ELSEWHERE = "ok (not registered in this process; a worker must have it)"

#: How similar two names of tasks must be, from 0 to 1, for one to be a typo.
CLOSE_NAMES = 0.75

#: The same for the parts after the last dots, since tasks of a module share the rest.
CLOSE_FUNCTIONS = 0.9


def check_broker(celery: t.Any, timeout: float, limit: WaitLimit) -> CheckLine:
    """Check whether the broker of *celery* answers, over a separate connection."""
    if celery.conf.task_always_eager:
        return CheckLine(
            "Celery", good="eager: the process that flushes runs the tasks"
        )
    try:
        publisher = new_publisher(celery, timeout)
        run_within(limit, publisher.open, publisher)
    except BrokerUnavailableError as error:
        return CheckLine("connection", str(error))
    publisher.close()
    return CheckLine(f"Celery's broker at {publisher.place}")


def check_task(celery: t.Any, model: SignalModel) -> CheckLine:
    """Check whether *celery* has the task of *model*, and if it accepts the columns.

    A web process need not have the task.
    """
    named = getattr(model, TASK.name)
    if callable(named) and not hasattr(named, "apply_async"):
        return CheckLine(f"{model.__name__}: the task is a function of the signal")
    name = getattr(named, "name", named)
    what = f"{model.__name__}: task {name!r}"
    task = celery.tasks.get(name)
    if task is None:
        return CheckLine(what, _misspelling(name, celery.tasks), ELSEWHERE)
    if getattr(model, ARGUMENTS.name, None) is not None:
        return CheckLine(what)
    return CheckLine(what, _mismatch(task, message_columns(model)))


def _misspelling(name: str, registered: t.Iterable[str]) -> str | None:
    """Return a problem if *name* is probably a typo of a *registered* task."""
    for each in difflib.get_close_matches(name, registered, cutoff=CLOSE_NAMES):
        if _are_close(name.rpartition(".")[2], each.rpartition(".")[2]):
            return (
                f"it is not registered in this process. Did you mean {each!r}? A"
                f" worker discards tasks that it does not know: correct {TASK.name}."
            )
    return None


def _are_close(one: str, other: str) -> bool:
    """Return whether one is a typo of the other, and not a version of it."""
    if one != other and re.sub(r"\d", "", one) == re.sub(r"\d", "", other):
        return False
    return difflib.SequenceMatcher(None, one, other).ratio() >= CLOSE_FUNCTIONS


def _mismatch(task: t.Any, names: t.Iterable[str]) -> str | None:
    """Return why *task* does not accept arguments with these *names*, if so."""
    try:
        inspect.signature(task.run).bind(**dict.fromkeys(names))
    except TypeError as error:
        return (
            f"it does not take the columns as keyword arguments: {error}."
            f" Correct the task, or define {ARGUMENTS.name}(signal) on the model."
        )
    return None
