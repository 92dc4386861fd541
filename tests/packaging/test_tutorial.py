"""The page about brokers can be followed from an empty folder, by that page alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from signalbus.testing.proxy import free_port

pytestmark = pytest.mark.packaging

PAGE = "docs/brokers.md"

#: What the tests, or the environment that they run in, have set for themselves.
FOREIGN = ("COLUMNS", "PYTEST", "PYTHON", "SIGNALBUS", "VIRTUAL_ENV")


@pytest.fixture
def home(wheels: dict[str, Path], tmp_path: Path) -> Path:
    """Give a folder that has nothing but a checkout, with its wheels."""
    (tmp_path / "signalbus").mkdir()
    (tmp_path / "signalbus" / "dist").symlink_to(next(iter(wheels.values())).parent)
    return tmp_path


@pytest.fixture
def environ() -> dict[str, str]:
    """Give the environment of somebody who has a Python and a shell."""
    own = {name: text for name, text in os.environ.items() if _is_common(name)}
    scripts = str(Path(sys.executable).parent)
    return own | {
        "PATH": f"{scripts}{os.pathsep}{own['PATH']}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_QUIET": "1",  # more than the page says: errors only
    }


def test_a_broker_can_be_made_by_the_page_alone(
    root: Path, home: Path, environ: dict[str, str]
) -> None:
    """It is written, fails, is mended, passes the suite, and is built and installed."""
    if shutil.which("curl") is None and "CI" not in os.environ:
        pytest.skip("curl is not installed")
    page = home / "brokers.md"
    text = (root / PAGE).read_text()
    page.write_text(text.replace("8025", str(free_port())))
    done = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-W", "error", root / "tests" / "docs" / "reader.py", page],
        cwd=home,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout + done.stderr


def _is_common(name: str) -> bool:
    return not name.startswith(FOREIGN)
