"""A test that waits for ever ends the run: nobody has to watch it."""

from __future__ import annotations

import subprocess
import sys
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

#: It waits for a thread, which waits for nothing: no failure of the test frees both.
HANGING = """
from concurrent.futures import ThreadPoolExecutor
from threading import Event

def test_hanging():
    with ThreadPoolExecutor() as pool:
        pool.submit(Event().wait).result()
"""


def test_a_test_that_hangs_ends_the_run(root: Path, tmp_path: Path) -> None:
    """The status is a failure, and the test is named."""
    path = tmp_path / "test_hanging.py"
    path.write_text(HANGING)
    config = ("-c", str(root / "pyproject.toml"), "-o", "timeout=3")

    done = subprocess.run(  # noqa: S603 our own test
        [sys.executable, "-m", "pytest", *config, str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 0 != done.returncode
    assert "Timeout" in done.stderr + done.stdout
    assert "in test_hanging" in done.stderr + done.stdout
