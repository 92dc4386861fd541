"""The pages of the manual, and a reader who does what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    page
    for pattern in ("*.md", "docs/*.md", "packages/*/*.md")
    for page in ROOT.glob(pattern)
)

#: The pages that a reader can follow from their top: the READMEs of plugins only quote.
MANUAL = [
    ROOT / "README.md",
    ROOT / "packages" / "signalbus-core" / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
]

#: Where signalbus-retry, which ``tests/conftest.py`` disables, is not disabled.
WITH_RETRY = [ROOT / "docs" / "retry.md"]

READER = Path(__file__).with_name("reader.py")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for every page, or for every page with code of the manual."""
    runs = re.compile(r"^```(python|pycon|console)$", re.MULTILINE)
    pages = {
        "page": PAGES,
        "manual_page": [page for page in MANUAL if runs.search(page.read_text())],
    }
    for name in pages.keys() & set(metafunc.fixturenames):
        ids = [str(page.relative_to(ROOT)) for page in pages[name]]
        metafunc.parametrize(name, pages[name], ids=ids)


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the folder of the checkout."""
    return ROOT


@pytest.fixture
def manual(root: Path) -> t.Callable[[str], str]:
    """Read a page of the manual with ``manual(name)``."""
    return lambda name: (root / "docs" / f"{name}.md").read_text()


@pytest.fixture
def sections(manual: t.Callable[[str], str]) -> t.Callable[[str], dict[str, str]]:
    """Read the sections of a page, by their headings of the second level."""

    def read(name: str) -> dict[str, str]:
        parts = re.split(r"^## (.*)$", manual(name), flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    return read


@pytest.fixture
def follow(tmp_path: Path) -> t.Callable[[Path], subprocess.CompletedProcess[str]]:
    """Do what a page says, in an empty folder, with warnings as errors."""

    def run(page: Path) -> subprocess.CompletedProcess[str]:
        scripts = str(Path(sys.executable).parent)
        variables = {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
        if page in WITH_RETRY:
            variables["SIGNALBUS_DISABLED_PLUGINS"] = ""
        return subprocess.run(  # noqa: S603 our own program
            [sys.executable, "-W", "error", str(READER), str(page)],
            cwd=tmp_path,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
