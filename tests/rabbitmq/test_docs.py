"""What the README and the page on RabbitMQ show runs, as it is written there."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from quick_start import as_shown
from quick_start import blocks
from quick_start import steps
from signalbus_rabbitmq import MessageProperties

pytest.importorskip("signalbus_cli")

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Node

ROOT = Path(__file__).parents[2]
README = ROOT / "packages" / "signalbus-rabbitmq" / "README.md"
PAGE = ROOT / "docs" / "rabbitmq.md"
FIRST = ROOT / "README.md"

APP, CONSUMER = 0, 1

Run: t.TypeAlias = "t.Callable[..., str]"


def ending(command: list[str]) -> list[str]:
    """Return *command*, so that a consumer ends instead of waiting for more."""
    return [*command, "--drain"] if "consume" in command else command


@pytest.fixture
def run(broker: Broker, queue: str, tmp_path: Path) -> Run:
    """Save the README's programs and run a command beside them: ``run(*command)``."""
    names = ("shop.py", "consumer.py")
    for name, program in zip(names, blocks(README), strict=True):
        tmp_path.joinpath(name).write_text(program.replace('"orders"', f'"{queue}"'))

    def run(*command: str) -> str:
        return subprocess.run(  # noqa: S603 our own programs
            [sys.executable, *command],
            env=os.environ | {"FLASK_SIGNALBUS_RABBITMQ_URL": broker.url},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    return run


def test_the_programs_are_short() -> None:
    """An app under 25 lines, and a consumer of 10 at most."""
    app, consumer = (len(program.splitlines()) for program in blocks(README))

    assert app < 25
    assert consumer <= 10


def test_the_app_sends_and_the_consumer_gets_it(run: Run) -> None:
    """A paid order is a message that the consumer prints."""
    flask = ("-m", "flask", "--app", "shop", "signalbus", "rabbitmq")
    pay = (
        "from shop import *; app.app_context().push(); db.create_all()\n"
        "db.session.add(OrderPaid(order_id=1, cents=990)); db.session.commit()"
    )

    assert "ok" in run(*flask, "check")
    assert "" == run("-c", pay)
    message_id, body = run(*flask, "consume", "consumer:Orders", "--drain").split(
        " ", 1
    )
    # Where signalbus-marshmallow is installed, there are blanks in the body.
    assert ("order_paid:1", {"order_id": 1, "cents": 990}) == (
        message_id,
        json.loads(body),
    )


@pytest.mark.parametrize("page", [README, PAGE], ids=lambda page: page.stem)
def test_the_quick_start_works_to_the_letter(
    page: Path, node: Node, tmp_path: Path
) -> None:
    """In a virtual host that has nothing, all commands answer as it is shown."""
    vhost = secrets.token_hex(6)
    node.control("add_vhost", vhost)
    node.control("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
    for name, program in zip(("shop.py", "consumer.py"), blocks(page), strict=False):
        tmp_path.joinpath(name).write_text(program)
    environ = os.environ | {"FLASK_SIGNALBUS_RABBITMQ_URL": f"{node.url}{vhost}"}

    for command, keys, answer in steps(page):
        output = subprocess.run(  # noqa: S603 our own programs
            [sys.executable, "-m", *ending(command)],
            env=environ,
            cwd=tmp_path,
            input=keys,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.replace(f"127.0.0.1:{node.port}", "localhost:5672")
        assert keys or answer == as_shown(output)

    node.control("delete_vhost", vhost)


def test_the_block_of_the_first_readme_works_to_the_letter(
    node: Node, tmp_path: Path
) -> None:
    """Its programs send to the queue that `declare` made, and `consume` prints it."""
    vhost = secrets.token_hex(6)
    node.control("add_vhost", vhost)
    node.control("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*")
    shop, paid, billing = blocks(FIRST)
    tmp_path.joinpath("shop.py").write_text(f"{shop}\n\n{paid}")
    tmp_path.joinpath("billing.py").write_text(billing)
    environ = os.environ | {"FLASK_SIGNALBUS_RABBITMQ_URL": f"{node.url}{vhost}"}

    for words, _, answer in steps(FIRST):
        at = words.index("flask")  # behind the variables of a command
        output = subprocess.run(  # noqa: S603 our own programs
            [sys.executable, "-m", *ending(words[at:])],
            env=environ | dict(word.split("=", 1) for word in words[:at]),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        assert answer == as_shown(output)

    node.control("delete_vhost", vhost)


def test_the_page_has_the_programs_of_the_readme() -> None:
    """There is one quick start, in two places."""
    assert blocks(README) == blocks(PAGE)[:2]


def test_the_page_runs(run: Run, tmp_path: Path, queue: str, broker: Broker) -> None:
    """Its other programs, one after the other, in the app of the first."""
    first, paid, *others = blocks(PAGE)[:1] + blocks(PAGE)[2:]
    paid = paid.replace("OrderPaid", "OrderAbroad")
    context = "app.app_context().push()\ndb.create_all()\n"
    program = "\n".join([first, paid, context, *others])
    page = tmp_path / "page.py"
    page.write_text(program.replace('"orders"', f'"{queue}"'), encoding="utf-8")

    assert "ReturnedError" in run(str(page))
    assert [] == broker.bodies(queue)


def test_names_of_49_bytes_make_properties_of_64() -> None:
    """The page says how long names may be for RabbitMQ to be fast."""
    names = "n" * 10, "n" * 10, "n" * 10, "n" * 19
    content_type, message_id, model, app = names
    properties = MessageProperties(
        content_type=content_type,
        delivery_mode=2,
        message_id=message_id,
        timestamp=1_700_000_000,
        type=model,
        app_id=app,
    )

    assert "more than 49 bytes" in " ".join(PAGE.read_text(encoding="utf-8").split())
    assert 49 == sum(map(len, names))
    assert 64 == len(b"".join(properties.encode()))
