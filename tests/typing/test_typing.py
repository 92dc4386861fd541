"""What users write passes the type checker at its strictest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*api.py")))
def test_users_code_is_well_typed(name: str) -> None:
    """The example of all that is public passes ``mypy --strict``."""
    pytest.importorskip("mypy")
    checked = subprocess.run(  # noqa: S603 our own file
        [sys.executable, "-m", "mypy", "--strict", str(FOLDER / name)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.stdout.startswith("Success"), checked.stdout + checked.stderr
