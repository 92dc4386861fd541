"""What users write passes the type checker at its strictest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_users_code_is_well_typed() -> None:
    """The example of all that is public passes ``mypy --strict``."""
    pytest.importorskip("mypy")
    path = Path(__file__).with_name("api.py")
    checked = subprocess.run(  # noqa: S603 our own file
        [sys.executable, "-m", "mypy", "--strict", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stdout.startswith("Success"), checked.stdout + checked.stderr
