"""What the page on Celery shows runs, as it is written there."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

pytest.importorskip("signalbus_cli")

if t.TYPE_CHECKING:
    from conftest import RabbitMQ

ROOT = Path(__file__).parents[2]
README = ROOT / "packages" / "signalbus-celery" / "README.md"
PAGE = ROOT / "docs" / "celery.md"

Run: t.TypeAlias = "t.Callable[..., subprocess.Popen[str]]"


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of code on *page* that are to be run."""
    pattern = rf"(?<!-->\n)^```{language}\n(.*?)^```$"
    return re.findall(pattern, page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def shown(page: Path, command: str) -> list[str]:
    """Return the answers to *command* on *page*, as they are shown."""
    pattern = rf"^\$ {re.escape(command)}\n((?:(?!\$ |>>> |```).*\n)*)"
    return re.findall(pattern, page.read_text("utf-8"), re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the first program of the page."""
    tmp_path.joinpath("shop.py").write_text(blocks(PAGE, "python")[0])
    return tmp_path


@pytest.fixture
def run(folder: Path, rabbitmq: RabbitMQ) -> t.Iterator[Run]:
    """Run a command there with ``run(*command)``, with a queue of its own."""
    settings = {
        "broker_url": rabbitmq.celery()["broker_url"],
        "task_default_queue": rabbitmq.new_queue(),
        "task_default_exchange": '""',
        "worker_enable_remote_control": "false",
        "worker_redirect_stdouts": "false",
    }

    def start(*command: str, **options: t.Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(  # noqa: S603 our own programs
            [sys.executable, "-m", *command],
            env={
                **os.environ,
                **{f"FLASK_CELERY__{name}": value for name, value in settings.items()},
                "PYTHONUNBUFFERED": "1",
            },
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )
        stack.enter_context(process)
        stack.callback(process.kill)
        return process

    with contextlib.ExitStack() as stack:
        yield start


def answer(process: subprocess.Popen[str], typed: str | None = None) -> str:
    """Return what a command prints, with the broker of the page."""
    output, _ = process.communicate(typed)
    assert 0 == process.returncode
    return re.sub(r"amqp://[\w.]+:\d+", "amqp://localhost:5672", output)


CHECK = "flask --app shop signalbus celery check"
SHELL = "flask --app shop shell"
WORKER = "celery --app shop:celery_app worker --pool solo"
QUIETLY = "--without-gossip --without-mingle --without-heartbeat"  # leaves no exchange


def test_the_example_works_to_the_letter(run: Run) -> None:
    """The check answers as shown, and a worker prints what is shown."""
    first, _ = shown(PAGE, CHECK)
    keys = re.findall(r"^>>> (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    typed = "".join(f"{key}\n" for key in keys)
    (printed,) = shown(PAGE, "celery --app shop:celery_app worker")

    assert first == answer(run(*CHECK.split()))
    answer(run(*SHELL.split(), stdin=subprocess.PIPE), typed)
    worker = run(
        *WORKER.split(),
        *QUIETLY.split(),
        stderr=subprocess.DEVNULL,
    )
    told = printed.removeprefix("[…] ")

    assert told == next(line for line in t.cast("t.Any", worker.stdout) if line == told)


def test_the_other_programs_run_beside_it(run: Run, folder: Path) -> None:
    """A model that has everything, a task that is idempotent, and a handler."""
    programs = blocks(PAGE, "python")
    *_, last = shown(PAGE, CHECK)
    folder.joinpath("shop.py").write_text("\n\n".join(programs))

    assert 4 == len(programs)
    assert last == answer(run(*CHECK.split()))


def test_the_readme_has_the_model_of_the_page() -> None:
    """It is the same in two places."""
    (model,) = blocks(README, "python")

    assert model.strip() in blocks(PAGE, "python")[0]
