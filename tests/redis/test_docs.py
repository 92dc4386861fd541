"""What the README and the page on Redis show runs, as it is written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import quick_start
from quick_start import blocks

pytest.importorskip("signalbus_cli")

if t.TYPE_CHECKING:
    from conftest import NewServer
    from conftest import RedisServer

ROOT = Path(__file__).parents[2]
README = ROOT / "packages" / "signalbus-redis" / "README.md"
PAGE = ROOT / "docs" / "redis.md"
READER = ROOT / "tests" / "docs" / "reader.py"

Interpreter: t.TypeAlias = "t.Callable[..., subprocess.Popen[str]]"


@pytest.fixture
def server(new_server: NewServer) -> RedisServer:
    """Give a server that has nothing."""
    return new_server()


def run(folder: Path, *command: str, keys: str = "") -> str:
    """Return what a program of Python prints."""
    scripts = Path(sys.executable).parent
    return subprocess.run(  # noqa: S603 our own programs
        [sys.executable, "-W", "error", *command],
        cwd=folder,
        env=os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        input=keys,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def as_shown(output: str, server: RedisServer) -> str:
    """Return *output* as of a server at the usual place."""
    usual = output.replace(f"127.0.0.1:{server.port}", "localhost:6379")
    return quick_start.as_shown(usual)


def consumed(folder: Path, server: RedisServer, interpreter: Interpreter) -> str:
    """Return the first line that the consumer prints."""
    source = (folder / "consumer.py").read_text("utf-8")
    process = interpreter(source.replace("decode())\n", "decode(), flush=True)\n"))
    assert process.stdout is not None
    return as_shown(process.stdout.readline(), server)


def test_the_page_can_be_followed(
    server: RedisServer, tmp_path: Path, interpreter: Interpreter
) -> None:
    """All of its blocks run, one after the other, and answer as it is shown."""
    text = PAGE.read_text("utf-8").replace("localhost:6379", f"127.0.0.1:{server.port}")
    page = tmp_path / "redis.md"
    page.write_text(text, "utf-8")

    run(tmp_path, str(READER), str(page))

    shown = blocks(PAGE, "console")[1].splitlines()[-1]
    assert f"{shown}\n" == consumed(tmp_path, server, interpreter)


def test_the_readme_can_be_followed(
    server: RedisServer, tmp_path: Path, interpreter: Interpreter
) -> None:
    """So can the README, with the same answers."""
    for name, program in zip(("shop.py", "consumer.py"), blocks(README), strict=True):
        here = program.replace("localhost:6379", f"127.0.0.1:{server.port}")
        tmp_path.joinpath(name).write_text(here, "utf-8")
    session = blocks(README, "console")[-1]
    keys = "\n".join(re.findall(r"^>>> (.*)$", session, re.MULTILINE))
    flask = ("-m", "flask", "--app", "shop")

    run(tmp_path, *flask, "shell", keys=keys)
    checked = run(tmp_path, *flask, "signalbus", "redis", "check")

    assert as_shown(checked, server) in session
    assert consumed(tmp_path, server, interpreter) in session


def test_the_page_has_the_programs_of_the_readme() -> None:
    """There is one quick start, in two places."""
    assert blocks(README) == blocks(PAGE)[:2]


def test_the_page_names_all_that_makes_a_server_unavailable() -> None:
    """The codes of the errors that refuse no message."""
    tested = (Path(__file__).with_name("test_replies.py")).read_text("utf-8")
    _, _, listed = tested.partition("def test_errors_about_a_message_refuse_it")
    codes = set(re.findall(r'^        "([A-Z]+) ', listed, re.MULTILINE))

    assert 11 == len(codes)
    assert codes <= set(re.findall(r"`([A-Z]+)`", PAGE.read_text("utf-8")))
