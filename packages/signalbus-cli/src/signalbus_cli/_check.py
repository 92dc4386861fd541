"""The problems of `flask signalbus check`, which the core and the plugins find."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import clean_line

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


def find_problems(bus: SignalBus, models: t.Sequence[SignalModel]) -> list[str]:
    """Return what is wrong with *models*, a line for each problem."""
    if not models:
        return []
    problems: list[str] = []
    for answer in bus.plugin_manager.hook.signalbus_check(bus=bus, models=models):
        problems += answer if _is_valid(answer) else [_bad_answer(answer)]
    return list(dict.fromkeys(map(clean_line, problems)))


def _is_valid(answer: object) -> bool:
    return isinstance(answer, (list, tuple)) and all(
        isinstance(problem, str) for problem in answer
    )


def _bad_answer(answer: object) -> str:
    return (
        f"A plugin returned {answer!r} from signalbus_check, so its problems are not"
        " known. It must return a list of texts."
    )
