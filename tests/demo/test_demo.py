"""The demo keeps its word: what is committed is delivered, and nothing else."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import typing as t
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

RABBITMQ_URL = os.environ.get(
    "SIGNALBUS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"
)


def demo(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run the demo with 100 orders and these variables."""
    settings = {"DATABASE_URL", "SIGNALBUS_RABBITMQ_URL"}
    rest = {name: os.environ[name] for name in os.environ.keys() - settings}
    return subprocess.run(
        [sys.executable, "-m", "examples.shop.demo", "--orders=100"],
        env=rest | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def table(out: str) -> dict[str, int]:
    """Return the numbers of the table that the demo prints."""
    lines = re.findall(r"^([a-z ]+?) +([\d,]+)(?: |$)", out, re.MULTILINE)
    return {name: int(number.replace(",", "")) for name, number in lines}


def assert_nothing_is_lost(done: subprocess.CompletedProcess[str]) -> None:
    """Check the table of a demo with 100 orders."""
    books = table(done.stdout)

    assert (0, "") == (done.returncode, done.stderr)
    assert (90, 10) == (books["orders committed"], books["orders rolled back"])
    assert 140 == books["signals recorded"] == books["signals delivered"]
    assert 1 <= books["duplicates"] <= 25
    assert 0 == books["lost"] == books["sent by mistake"]


def test_demo_loses_nothing() -> None:
    """Without settings, on SQLite; the duplicates are one burst at most."""
    assert_nothing_is_lost(demo())


@pytest.mark.databases("postgresql", "mariadb")
def test_demo_loses_nothing_on_database(engine_url: str) -> None:
    """Nor does it elsewhere."""
    assert_nothing_is_lost(demo(DATABASE_URL=engine_url))


def test_demo_loses_nothing_on_the_way_to_rabbitmq() -> None:
    """With a RabbitMQ the messages go to a queue of the demo's own."""
    pika = pytest.importorskip("pika")
    try:
        pika.BlockingConnection(pika.URLParameters(RABBITMQ_URL)).close()
    except pika.exceptions.AMQPConnectionError:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("There is no RabbitMQ.")

    assert_nothing_is_lost(demo(SIGNALBUS_RABBITMQ_URL=RABBITMQ_URL))


def test_demo_leaves_the_tables_of_others_alone(tmp_path: Path) -> None:
    """A database that has such tables already is refused, and stays as it is."""
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE shop_order (id INTEGER)")
        connection.execute("INSERT INTO shop_order VALUES (4711)")

    done = demo(DATABASE_URL=f"sqlite:///{path}")

    assert 1 == done.returncode
    assert "shop_order already" in done.stderr
    assert [(4711,)] == list(connection.execute("SELECT id FROM shop_order"))
    connection.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"DATABASE_URL": "secret"}, "DATABASE_URL is malformed"),
        ({"DATABASE_URL": "postgresql+psycopg://me:secret@h:x/"}, "is malformed"),
        ({"DATABASE_URL": "nosql://me:secret@h/"}, "is malformed"),
        ({"DATABASE_URL": "oracle+oracledb://me:secret@h/"}, "is not installed: "),
        ({"DATABASE_URL": "mysql+pymysql://me:secret@127.0.0.1:1/"}, "cannot be used"),
        (
            {"DATABASE_URL": "postgresql+psycopg://me:secret@127.0.0.1:1/"},
            "The database of DATABASE_URL cannot be used: connection failed",
        ),
        ({"SIGNALBUS_RABBITMQ_URL": "secret"}, "SIGNALBUS_RABBITMQ_URL is malformed"),
        ({"SIGNALBUS_RABBITMQ_URL": "amqp://me:secret@h:x/"}, "_URL is malformed"),
        ({"SIGNALBUS_RABBITMQ_URL": "amqp://me:secret@127.0.0.1:1/"}, "be reached"),
    ],
)
def test_demo_says_in_a_line_what_it_cannot_use(
    settings: dict[str, str], says: str
) -> None:
    """No traceback, and no password, for a URL that is wrong or leads nowhere."""
    pytest.importorskip("pika")
    done = demo(**settings)

    assert (1, "") == (done.returncode, done.stdout)
    assert 1 == done.stderr.count("\n")
    assert says in done.stderr
    assert "secret" not in done.stderr


def test_shop_is_open_until_it_is_told_to_close() -> None:
    """With ``--serve``: it prints where its dashboard is, and ends without an error."""
    pytest.importorskip("signalbus_dashboard")
    settings = {"DATABASE_URL", "SIGNALBUS_RABBITMQ_URL", "SIGNALBUS_DISABLED_PLUGINS"}
    with subprocess.Popen(
        [sys.executable, "-m", "examples.shop.demo", "--serve", "--port=0"],
        env={name: os.environ[name] for name in os.environ.keys() - settings},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        (url,) = re.findall(r"http://\S+", process.stdout.readline())
        with urllib.request.urlopen(f"{url}.json") as answer:  # noqa: S310 ours
            state = json.load(answer)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()

    assert ["OrderPaid", "OrderPlaced"] == [each["name"] for each in state["models"]]
    assert (0, "") == (process.returncode, err)
    assert out.endswith("The shop is closed.\n")


def test_demo_shows_that_it_is_alive(
    demo_module: t.Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """While orders are placed, it says from time to time how many there are."""
    statuses = [201, 402] * 750

    assert statuses == list(demo_module.with_news(statuses, 1500, every=0))
    assert "\n1,234 of 1,500 orders are placed.\n" in capsys.readouterr().out


def test_messages_of_the_shop_are_no_part_of_the_repository() -> None:
    """What the shop sends by hand lies beside the sources, and is ignored."""
    assert "messages.jsonl" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.fixture
def demo_module(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    """Give the program itself."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("examples.shop.demo")


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> t.Any:
    """Give the module that balances the books."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("examples.shop.books")


def test_books_find_what_was_lost(books: t.Any) -> None:
    """A signal that was recorded and did not arrive is lost: no balance."""
    recorded = [("OrderPlaced", 1, "Ann"), ("OrderPlaced", 2, "Bob")]

    account = books.Books(0, recorded, recorded[:1])

    assert (1, False) == (account.lost, account.balance)


def test_books_find_what_must_not_be(books: t.Any) -> None:
    """A message of an order that was rolled back is invented: no balance."""
    account = books.Books(1, [], [("OrderPlaced", 1, "Ann")])

    assert (1, False) == (account.invented, account.balance)


def test_books_count_duplicates(books: t.Any) -> None:
    """Messages that arrived twice are counted, and do no harm."""
    recorded = [("OrderPlaced", 1, "Ann")]

    account = books.Books(0, recorded, recorded * 3)

    assert (2, True) == (account.duplicates, account.balance)
