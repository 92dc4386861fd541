"""What the README and the page on NATS show runs, as it is written there."""

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
    from conftest import Server

ROOT = Path(__file__).parents[2]
README = ROOT / "packages" / "signalbus-nats" / "README.md"
PAGE = ROOT / "docs" / "nats.md"


class Reader:
    """Somebody who types what a page shows, with a server at another port.

    The tool ``nats`` may be missing: what it does is done without it.
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._environ = {**os.environ, "FLASK_SIGNALBUS_NATS_URL": server.url}

    def save(self, name: str, program: str) -> None:
        """Save *program*."""
        text = program.replace("localhost:4222", self._server.address)
        self._folder.joinpath(name).write_text(text)

    def type(self, command: list[str], keys: str, lines: int) -> str:
        """Type *command* and then *keys*; return so many lines, or all."""
        if command[0] == "nats":
            return self._add_stream(*command[1:])
        printed = answer(command, keys, lines, self._folder, self._environ)
        return as_shown(printed.replace(self._server.address, "localhost:4222"))

    def _add_stream(self, *words: str) -> str:
        *add, name, _, subject, defaults = words
        assert (["stream", "add"], "--defaults") == (add, defaults)
        self._server.run(lambda _, js: js.add_stream(name=name, subjects=[subject]))
        return ""


@pytest.fixture
def reader(new_server: t.Callable[[str], Server], tmp_path: Path) -> Reader:
    """Give somebody with an empty folder, and a server without streams."""
    server = new_server(f'jetstream {{ store_dir: "{tmp_path / "store"}" }}')
    return Reader(server, tmp_path)


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


def test_the_page_runs(reader: Reader, tmp_path: Path) -> None:
    """Its other programs, one after the other, in the app of the first."""
    first, _, *others = blocks(PAGE)
    ask = "with app.app_context():\n    print(signalbus.get_signal_models())"
    reader.save("page.py", "\n".join([first, *others, ask]))

    assert "OrderShipped" in reader.type(["python", "page.py"], "", 1)


def test_the_page_has_the_numbers_of_the_code() -> None:
    """Those that nobody would remember to change."""
    from signalbus_nats import _connection
    from signalbus_nats import _options
    from signalbus_nats import _sender
    from signalbus_nats import _subject

    text = " ".join(PAGE.read_text(encoding="utf-8").split())

    assert 1024 == _subject.MAX_LENGTH
    assert "up to 1024 bytes" in text
    assert 30 == _connection.PING_INTERVAL
    assert "every 30 seconds" in text
    assert 5 == _sender.PATIENCE
    assert "silent for five seconds" in text
    assert [] == [name for name in _options.NAMES if f"`{name}`" not in text]
