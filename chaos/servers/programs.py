"""Where the programs of servers are, and what to do if they are nowhere."""

from __future__ import annotations

import shutil
import subprocess
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Unavailable", "find_program", "run_program"]


class Unavailable(Exception):  # noqa: N818 a state, of which the suite tells the user
    """The programs of a server are not installed, or cannot run.

    The message says which, and what to install.
    """


def find_program(names: t.Sequence[str], folders: t.Iterable[Path], remedy: str) -> str:
    """Return the path of the first program that is found, by any of its *names*.

    :param folders: where to look first. ``PATH`` comes last.
    :param remedy: what to do if there is none.
    :raises Unavailable: there is none.
    """
    for name in names:
        for folder in (*map(str, folders), None):
            if path := shutil.which(name, path=folder):
                return path
    raise Unavailable(f"The program {' or '.join(names)} is not installed. {remedy}")


def run_program(*command: str, log: Path, **options: t.Any) -> None:
    """Run a program that ends, and write what it prints to the end of *log*.

    :param options: as of :func:`subprocess.run`.
    :raises RuntimeError: it failed. The message has the end of what it printed.
    """
    with log.open("ab") as output:
        result = subprocess.run(  # noqa: S603 our own program
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **options,
        )
    if result.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{tail(log)}")


def tail(log: Path, size: int = 2000) -> str:
    """Return the end of *log*."""
    return log.read_bytes()[-size:].decode(errors="replace") if log.exists() else ""
