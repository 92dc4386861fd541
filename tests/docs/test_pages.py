"""What the manual tells the reader to do works, and its links lead somewhere."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    import subprocess

#: Pages whose code cannot be followed alone, and the tests of what they say.
ELSEWHERE = {
    "docs/celery.md": "tests/celery/test_docs.py",
    "docs/brokers.md": "tests/packaging/test_tutorial.py",
    "docs/kafka.md": "tests/kafka/test_docs.py",
    "docs/moving.md": "tests/compat/test_docs.py",
    "docs/nats.md": "tests/nats/test_docs.py",
    "docs/rabbitmq.md": "tests/rabbitmq/test_docs.py",
    "docs/redis.md": "tests/redis/test_docs.py",
    "docs/transactions.md": "tests/atomic/test_docs.py",
}

NOT_RUN = re.compile(r"^<!-- (?:not run|another terminal):(.*?)-->$", re.MULTILINE)


def test_a_page_can_be_followed(
    manual_page: Path,
    root: Path,
    follow: t.Callable[[Path], subprocess.CompletedProcess[str]],
) -> None:
    """Code of a page runs, and prints what the page says, from its top to its end."""
    if (name := str(manual_page.relative_to(root))) in ELSEWHERE:
        pytest.skip(f"followed by {ELSEWHERE[name]}")
    done = follow(manual_page)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("page_name", "test"), ELSEWHERE.items())
def test_pages_that_are_left_out_are_tested_elsewhere(
    root: Path, page_name: str, test: str
) -> None:
    """A page that is not followed here has a test of its own."""
    assert Path(page_name).name in (root / test).read_text()


def test_code_that_is_not_run_has_a_reason(page: Path) -> None:
    """Whoever opts out says why."""
    assert all(reason.strip() for reason in NOT_RUN.findall(page.read_text()))


def test_links_lead_somewhere(page: Path) -> None:
    """A link to a file, or to a section of one, finds it."""
    for path, anchor in re.findall(
        r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text()
    ):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not anchor or anchor in _anchors(target), f"{path}#{anchor}"


def test_readme_says_what_ci_has_to_run(root: Path) -> None:
    """The two commands of CI, word for word; and CI runs them."""
    steps = (root / ".ci" / "run").read_text().splitlines()

    assert "`hatch run check` and `hatch run test`" in (root / "README.md").read_text()
    assert {"run check", "run test"} <= set(steps)


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are commonly made."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }
