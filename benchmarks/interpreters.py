"""Which Python runs a subject: this one, or that of the predecessor's environment."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import typing as t

ENVIRONMENT = "bench-flask-signalbus"


class InterpreterMissingError(Exception):
    """The predecessor's environment is not there."""


def python_of(library: str) -> str:
    """Return the path of the interpreter that has *library*.

    :raises InterpreterMissingError: if its environment cannot be made.
    """
    return _predecessors_python() if library == "flask_signalbus" else sys.executable


@functools.cache
def _predecessors_python() -> str:
    """Return the path of its interpreter; hatch makes the environment if need be."""
    hatch = shutil.which("hatch")
    if hatch is None:
        raise InterpreterMissingError(
            "hatch, which makes its environment, is not there"
        )
    program = "import sys; print(sys.executable)"
    answer = subprocess.run(  # noqa: S603 our own command
        [hatch, "-q", "run", f"{ENVIRONMENT}:python", "-c", program],
        capture_output=True,
        check=False,
        text=True,
    )
    if answer.returncode:
        raise InterpreterMissingError(
            f"hatch cannot make the environment {ENVIRONMENT}"
        )
    return answer.stdout.strip().splitlines()[-1]


def versions(library: str, packages: t.Sequence[str]) -> list[str]:
    """Return the names and versions of *packages* where *library* is installed."""
    program = (
        "import sys\nfrom importlib.metadata import version\n"
        "for name in sys.argv[1:]: print(name, version(name))"
    )
    answer = subprocess.run(  # noqa: S603 our own command
        [python_of(library), "-c", program, *packages],
        capture_output=True,
        check=True,
        text=True,
    )
    return answer.stdout.splitlines()
