"""What the README and the page on Kafka show runs, as it is written there."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from quick_start import answer
from quick_start import as_shown
from quick_start import blocks
from quick_start import steps

pytest.importorskip("signalbus_cli")

if t.TYPE_CHECKING:
    from conftest import Cluster

ROOT = Path(__file__).parents[2]
README = ROOT / "packages" / "signalbus-kafka" / "README.md"
PAGE = ROOT / "docs" / "kafka.md"


class Reader:
    """Somebody who types what a page shows, with a cluster at another port."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._environ = {**os.environ, "FLASK_APP": "shop"}

    def save(self, name: str, program: str) -> None:
        """Save *program*."""
        text = program.replace("localhost:9092", self._cluster.servers)
        self._folder.joinpath(name).write_text(text, encoding="utf-8")

    def type(self, command: list[str], keys: str, lines: int) -> str:
        """Type *command* and then *keys*; return so many lines, or all."""
        printed = answer(command, keys, lines, self._folder, self._environ)
        return as_shown(printed.replace(self._cluster.servers, "localhost:9092"))


@pytest.fixture
def reader(new_cluster: t.Callable[[], Cluster], tmp_path: Path) -> Reader:
    """Give somebody with an empty folder, and a cluster that has the topic."""
    cluster = new_cluster()
    cluster.order("topic", "orders", 4, 1)
    return Reader(cluster, tmp_path)


@pytest.mark.parametrize("page", [README, PAGE], ids=lambda page: page.stem)
def test_the_quick_start_works_to_the_letter(page: Path, reader: Reader) -> None:
    """All commands answer as it is shown."""
    for name, program in zip(("shop.py", "billing.py"), blocks(page), strict=False):
        reader.save(name, program)

    for command, keys, shown in steps(page):
        printed = reader.type(command, keys, shown.count("\n"))
        assert keys or shown == printed


def test_the_programs_are_short() -> None:
    """Neither has more than 20 lines."""
    assert all(len(program.splitlines()) <= 20 for program in blocks(README))


def test_the_page_has_the_programs_of_the_readme() -> None:
    """There is one quick start, in two places."""
    assert blocks(README) == blocks(PAGE)[:2]
    assert steps(README) == steps(PAGE)


def test_the_page_runs(reader: Reader) -> None:
    """Its other programs, one after the other, in the app of the first."""
    first, _, *others = blocks(PAGE)
    ask = "with app.app_context():\n    print(signalbus.get_signal_models())"
    reader.save("page.py", "\n".join([first, *others, ask]))

    printed = reader.type(["python", "page.py"], "", 1)

    assert "OrderShipped" in printed
    assert "AccountChanged" in printed


def test_the_page_has_the_settings_of_the_code() -> None:
    """All defaults, and all that is refused."""
    from signalbus_kafka import _settings

    text = PAGE.read_text(encoding="utf-8")

    for name, value in _settings.DEFAULTS.items():
        shown = f"`{value}`" if isinstance(value, str) else str(value)
        assert f"| `{name}` | {shown}" in text
    for name, value in _settings.REQUIRED.items():
        assert f"| `{name}` | `{value}` |" in text
    names = ("transactional.id", "retries", "queuing.strategy", "error_cb", "logger")
    for name in names:
        assert name in _settings._REFUSED  # noqa: SLF001 what the page is about
        assert f"`{name}`" in text
