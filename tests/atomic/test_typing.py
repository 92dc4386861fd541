"""A type checker knows what atomic procedures take and return."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_typed_usage_is_right() -> None:
    """Right uses pass, and wrong ones do not."""
    pytest.importorskip("mypy")
    program = Path(__file__).with_name("typed_usage.py")
    mypy = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-m", "mypy", "--strict", program],
        check=False,
        cwd=program.parents[2],
        capture_output=True,
        text=True,
    )

    assert (0, "") == (mypy.returncode, mypy.stderr), mypy.stdout
