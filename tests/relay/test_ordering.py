"""Relays share the keys of a model, and a key that is stuck delays no other."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Process

pytestmark = pytest.mark.databases("postgresql", "mariadb")

Started: t.TypeAlias = "t.Callable[..., Process]"
Eventually: t.TypeAlias = "t.Callable[[t.Callable[[], object]], None]"

#: Names the plugins that are not loaded. The other tests of relays have no retry.
PLUGINS = "SIGNALBUS_DISABLED_PLUGINS"

#: An app for processes of their own. With SHOP_HANGS, its first burst is its last: it
#: prints the keys, and sends nothing. What is sent is a line in the file "mailbox".
SHOP = """
import os
import time

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import PartialDeliveryError
from signalbus import SignalBus

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SHOP_URL"]
app.config["SIGNALBUS_AUTOFLUSH"] = False
db = SQLAlchemy(app)
bus = SignalBus(db)
mailbox = os.open("mailbox", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


class Transfer(db.Model):
    id = sa.Column(sa.Integer, primary_key=True)
    account = sa.Column(sa.Integer)
    number = sa.Column(sa.Integer)
    fails = sa.Column(sa.Boolean)
    __table_args__ = (sa.Index("transfer_account", "account", "id"),)
    signalbus_ordering_key = "account"
    signalbus_burst_count = int(os.environ.get("SHOP_BURST", 100))

    @classmethod
    def send_signalbus_message(cls, signal):
        cls.send_signalbus_messages([signal])

    @classmethod
    def send_signalbus_messages(cls, signals):
        if "SHOP_HANGS" in os.environ:
            print("holds", *(signal.account for signal in signals), flush=True)
            time.sleep(3600)
        failures = {}
        for position, signal in enumerate(signals):
            if signal.fails:
                failures[position] = ValueError("It fails.")
                continue
            os.write(mailbox, f"{signal.account} {signal.number}\\n".encode())
        if failures:
            raise PartialDeliveryError(failures)


if "SHOP_CREATES" in os.environ:
    with app.app_context():
        db.create_all()
"""


class Shop:
    """The app of the processes, as the tests see it."""

    def __init__(self, folder: Path, url: str) -> None:
        """Write the app, and make its tables."""
        (folder / "shop.py").write_text(SHOP)
        variables = {"SHOP_URL": url, "SHOP_CREATES": "1", PLUGINS: ""}
        create = [sys.executable, "-c", "import shop"]
        subprocess.run(create, cwd=folder, env={**os.environ, **variables}, check=True)  # noqa: S603 our own program
        self.folder, self.url = folder, url
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        self.table = sa.Table(
            "transfer",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("account", sa.Integer),
            sa.Column("number", sa.Integer),
            sa.Column("fails", sa.Boolean, default=False),
        )

    def record(self, accounts: t.Iterable[int], *numbers: int) -> None:
        """Make signals pending: number by number, and for each one all accounts."""
        pairs = itertools.product(numbers, accounts)
        rows = [{"account": account, "number": number} for number, account in pairs]
        with self.engine.begin() as connection:
            connection.execute(sa.insert(self.table), rows)

    def set_failing(self, account: int, fails: bool) -> None:
        """Let the first signal of an account fail, or no longer."""
        columns = self.table.c
        first = (columns.account == account) & (columns.number == 1)
        with self.engine.begin() as connection:
            connection.execute(sa.update(self.table).where(first).values(fails=fails))

    @property
    def relays(self) -> int:
        """How many relays are running."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.text("SELECT 1 FROM signalbus_relay"))
            return len(rows.all())

    @property
    def pending(self) -> set[int]:
        """The accounts that have pending signals."""
        with self.engine.connect() as connection:
            return set(connection.scalars(sa.select(self.table.c.account).distinct()))

    @property
    def deliveries(self) -> dict[int, list[int]]:
        """The numbers of what was sent for each account, in order."""
        numbers: dict[int, list[int]] = {}
        for line in (self.folder / "mailbox").read_text().splitlines():
            account, number = map(int, line.split())
            numbers.setdefault(account, []).append(number)
        return numbers


@pytest.fixture
def ordered(tmp_path: Path, engine_url: str) -> Shop:
    """Give an app whose signals have ordering keys."""
    return Shop(tmp_path, engine_url)


def held_keys(relay: Process) -> set[int]:
    """Wait until a relay that hangs holds keys, and return them."""
    assert relay.stdout is not None
    for line in relay.stdout:
        if line.startswith("holds "):
            return {int(word) for word in line.split()[1:]}
    raise AssertionError("The relay has ended.")


def test_two_relays_keep_the_order_of_each_key(
    started: Started, ordered: Shop, eventually: Eventually
) -> None:
    """They share the work, and send everything once."""
    relays = [started(ordered, "--concurrency", "2") for _ in range(2)]
    eventually(lambda: ordered.relays == 2)
    for number in range(1, 21):
        ordered.record(range(50), number)
    eventually(lambda: not ordered.pending)

    assert {account: list(range(1, 21)) for account in range(50)} == ordered.deliveries
    for relay in relays:
        assert 0 == relay.end(signal.SIGTERM)[0]


@pytest.mark.parametrize("burst", [50, 500])
def test_stopped_relay_holds_up_only_the_keys_that_it_has(
    started: Started, ordered: Shop, eventually: Eventually, burst: int
) -> None:
    """A window that is full of another relay's keys does not stall the others.

    When that relay is gone, what it held follows, in order.
    """
    ordered.record(range(1000), 1, 2, 3)
    stopped = started(ordered, SHOP_HANGS="1", SHOP_BURST="500")
    held = held_keys(stopped)
    stopped.send_signal(signal.SIGSTOP)
    other = started(ordered, SHOP_BURST=str(burst))
    eventually(lambda: ordered.pending == held)

    assert set(range(1000)) - held == set(ordered.deliveries)
    ordered.record(range(1000), 4)
    eventually(lambda: ordered.pending == held)
    assert not held & set(ordered.deliveries)

    stopped.kill()
    eventually(lambda: not ordered.pending)
    assert {account: [1, 2, 3, 4] for account in range(1000)} == ordered.deliveries
    assert 0 == other.end(signal.SIGTERM)[0]


@pytest.mark.parametrize("plugins", ["", "retry"], ids=["retry", "no retry"])
def test_failing_key_delays_no_other(
    started: Started, ordered: Shop, eventually: Eventually, plugins: str
) -> None:
    """One key of a thousand, whose first signal fails, stays behind alone.

    What is recorded later goes out, too, and the key follows once it works again.
    """
    ordered.record(range(1000), 1, 2)
    ordered.set_failing(0, True)
    relay = started(ordered, "--poll", "0.2", **{PLUGINS: plugins})
    eventually(lambda: ordered.pending == {0})
    assert {account: [1, 2] for account in range(1, 1000)} == ordered.deliveries

    ordered.record(range(1000), 3)
    eventually(lambda: ordered.pending == {0})
    assert 0 not in ordered.deliveries

    ordered.set_failing(0, False)
    eventually(lambda: not ordered.pending)
    assert {account: [1, 2, 3] for account in range(1000)} == ordered.deliveries
    relay.end(signal.SIGTERM)


def test_key_whose_relay_is_killed_goes_on_in_order(
    started: Started, ordered: Shop, eventually: Eventually
) -> None:
    """Whatever the relay held is sent by the next one, from the first signal on."""
    ordered.record(range(20), 1, 2)
    killed = started(ordered, SHOP_HANGS="1")
    held_keys(killed)
    killed.kill()
    killed.wait()
    ordered.record(range(20), 3)
    relay = started(ordered)
    eventually(lambda: not ordered.pending)

    assert {account: [1, 2, 3] for account in range(20)} == ordered.deliveries
    assert 0 == relay.end(signal.SIGTERM)[0]
