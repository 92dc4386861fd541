"""The quick start of a broker: its programs, and what is typed to run them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path


class Step(t.NamedTuple):
    """A *command*, the *keys* that are typed into it, and what it answers."""

    command: list[str]
    keys: str
    answer: str


def blocks(page: Path, language: str = "python") -> list[str]:
    """Return the blocks of code on *page*: its programs, if not in another language."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def steps(page: Path) -> list[Step]:
    """Return the steps of the quick start on *page*, behind those that export."""
    text = page.read_text(encoding="utf-8")
    (session,) = re.findall(
        r"^```console\n(\$ export.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    return [_step(typed) for typed in session.removeprefix("$ ").split("\n$ ")[1:]]


def answer(
    command: list[str],
    keys: str,
    lines: int,
    folder: Path,
    environ: t.Mapping[str, str],
) -> str:
    """Type *command* in *folder*, and then *keys*; return what is printed.

    A program that waits for more is ended after so many *lines*.
    """
    module = [] if command[0] == "python" else ["-m", command[0]]
    process = subprocess.Popen(  # noqa: S603 our own programs
        [sys.executable, *module, *command[1:]],
        env=environ,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        if command[0] != "python":
            return process.communicate(keys)[0]
        assert process.stdout is not None
        printed = "".join(process.stdout.readline() for _ in range(lines))
        process.kill()  # it waits for more
        return printed


def as_shown(output: str) -> str:
    """Return *output* without the blanks that signalbus-marshmallow makes in JSON."""
    return re.sub(r'(?<=":) |(?<=,) (?=")', "", output)


def _step(typed: str) -> Step:
    command, *rest = typed.splitlines()
    keys = [line.removeprefix(">>> ") for line in rest if line.startswith(">>> ")]
    shown = [line for line in rest if not line.startswith(">>> ")]
    return Step(shlex.split(command), _lines(keys), _lines(shown))


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
