"""What happens where programs begin, fork and end."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    from conftest import Server

SHOP = Path(__file__).with_name("shop.py")

#: As errors, but for databases that the end of a program closes.
WARNINGS = ("-W", "error", "-W", "ignore:unclosed database:ResourceWarning")

Run: t.TypeAlias = "t.Callable[..., tuple[int, str]]"


@pytest.fixture
def run(broker_server: Server, stream: str, tmp_path: Path) -> Run:
    """Run the shop with ``run(*arguments)``; return its status and what it printed.

    With the name of the host, which has to be resolved; warnings are errors.
    """

    def run(*arguments: str, url: str = "") -> tuple[int, str]:
        done = subprocess.run(  # noqa: S603 our own program
            [sys.executable, *WARNINGS, str(SHOP), *arguments],
            env={
                **os.environ,
                "DATABASE_URL": f"sqlite:///{tmp_path / 'shop.sqlite'}",
                "NATS_URL": url or f"nats://localhost:{broker_server.port}",
                "SUBJECT": f"{stream}.paid",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize("how", ["inline", "background", "threadless"])
def test_a_program_that_ends_at_once_has_sent(
    run: Run, broker_server: Server, stream: str, how: str
) -> None:
    """In the background, NATS is first reached when the interpreter already ends.

    Since Python 3.12, it starts no more threads then.
    """
    assert (0, "") == run("commit", how)
    assert [b'{"id":1}', b'{"id":2}'] == [
        body.replace(b" ", b"") for body in broker_server.bodies(stream)
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("how", ["sending", "silent"])
def test_a_child_that_ends_does_not_disturb_its_parent(
    run: Run, broker_server: Server, stream: str, how: str
) -> None:
    """It ends as usual, with what it has inherited, and says nothing."""
    assert (0, "") == run("fork", how)
    assert (3 if how == "sending" else 2) == len(broker_server.messages(stream))


def test_green_threads_can_send(run: Run, broker_server: Server, stream: str) -> None:
    """With gevent, the loop runs in a green thread, too."""
    pytest.importorskip("gevent")

    assert (0, "") == run("threads", "gevent")
    assert 8 == len(broker_server.messages(stream))


def test_a_program_ends_when_no_name_can_be_resolved(run: Run) -> None:
    """The signals stay pending, which is logged."""
    status, output = run("commit", url="nats://nats.invalid")

    assert 0 == status
    assert "host name" in output
    assert "Traceback" not in output
