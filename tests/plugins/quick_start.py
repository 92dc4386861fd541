"""The quick start of a broker: its programs, and what is typed to run them."""

from __future__ import annotations

import re
import shlex
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path


class Step(t.NamedTuple):
    """A *command*, the *keys* that are typed into it, and what it answers."""

    command: list[str]
    keys: str
    answer: str


def blocks(page: Path) -> list[str]:
    """Return the programs on *page*."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def steps(page: Path) -> list[Step]:
    """Return the steps of the quick start on *page*, behind those that export."""
    text = page.read_text(encoding="utf-8")
    (session,) = re.findall(
        r"^```console\n(\$ export.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    return [_step(typed) for typed in session.removeprefix("$ ").split("\n$ ")[1:]]


def as_shown(output: str) -> str:
    """Return *output* without the blanks that signalbus-marshmallow makes in JSON."""
    return re.sub(r'(?<=":) |(?<=,) (?=")', "", output)


def _step(typed: str) -> Step:
    command, *rest = typed.splitlines()
    keys = [line.removeprefix(">>> ") for line in rest if line.startswith(">>> ")]
    answer = [line for line in rest if not line.startswith(">>> ")]
    return Step(shlex.split(command), _lines(keys), _lines(answer))


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
