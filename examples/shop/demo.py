"""Show that signalbus loses nothing: `python -m examples.shop.demo`.

Customers place orders from several threads; some of these transactions roll back. The
flusher that sends the signals is killed in the middle of a burst. Two others finish the
job. Then the demo compares the orders in the database with the messages that arrived.

With `--serve`, the shop is open until you close it, for you to watch its dashboard: see
`open_house`.

It runs on SQLite, or on the database of `DATABASE_URL`, whose other tables it leaves
alone. The messages go to a file, or to the RabbitMQ of `SIGNALBUS_RABBITMQ_URL`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import sqlalchemy as sa
from signalbus import SignalBusError

from examples.shop import create_app
from examples.shop.books import Books
from examples.shop.inbox import open_file
from examples.shop.inbox import open_inbox
from examples.shop.models import Order
from examples.shop.models import db
from examples.shop.open_house import open_house

if t.TYPE_CHECKING:
    from flask import Flask

    from examples.shop.books import Message

THREADS = 4

#: The interval between progress messages, in seconds.
NEWS_EVERY = 5

#: How long a flusher may take, in seconds.
PATIENCE = 900


@click.command()
@click.option(
    "--orders",
    type=click.IntRange(min=100),
    default=300,
    show_default=True,
    help="How many orders the customers place.",
)
@click.option("--serve", is_flag=True, help="Open the shop, with its dashboard.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=5000,
    show_default=True,
    help="Where it is served; 0 is any free port.",
)
def main(orders: int, serve: bool, port: int) -> None:
    """Run the demo; exit with 1 if a message is lost or sent by mistake."""
    if serve:
        with tempfile.TemporaryDirectory() as folder:
            watch(Path(folder), port)
        return
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_inbox(Path(folder)) as read_messages,
        open_shop(Path(folder)) as app,
    ):
        say(f"{THREADS} threads place {orders} orders while a flusher sends signals.")
        with flusher("examples.shop.power_cut", "--repeat", "0.1") as killed:
            rolled_back = place_orders(app, orders)
            wait_for(app, killed, -signal.SIGKILL)
        say("The flusher was killed after it had sent a burst, before the commit.")
        say(f"{count_pending(app):,} signals are pending. Two other flushers start:")
        with flusher("examples.shop") as one, flusher("examples.shop") as other:
            wait_for(app, one, 0)
            wait_for(app, other, 0)
        books = Books(rolled_back, read_orders(app), read_messages())
    took = f"{'time':<22}{time.monotonic() - started:>7.1f} s"
    say("\n".join(["", *books.lines(), took]))
    sys.exit(0 if books.balance else 1)


def watch(folder: Path, port: int) -> None:
    """Keep the shop open until Ctrl-C, so that its dashboard can be watched."""
    with open_file(folder / "messages.jsonl"), open_shop(folder) as app:
        open_house(app, port, lambda number: buy(app, number), say)


@contextlib.contextmanager
def open_shop(folder: Path) -> t.Iterator[Flask]:
    """Create the app and its tables; drop the tables at the end."""
    os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder / 'shop.sqlite'}")
    os.environ["FLASK_SIGNALBUS_AUTOFLUSH"] = "false"  # leave all to the commands
    with told_in_a_line():
        app = create_app()
        with app.app_context():
            refuse_tables_of_others()
            db.create_all()
    try:
        yield app
    finally:
        with app.app_context():
            db.drop_all()
            db.engine.dispose()


@contextlib.contextmanager
def told_in_a_line() -> t.Iterator[None]:
    """End the demo with one line, without a password, if a setting is not usable."""
    try:
        yield
    except SignalBusError as error:
        sys.exit(str(error))
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        sys.exit(f"The database of DATABASE_URL cannot be used: {reason}")
    except ImportError as error:
        sys.exit(f"DATABASE_URL names a driver that is not installed: {error}")
    except (sa.exc.ArgumentError, ValueError):
        form = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        sys.exit(f"DATABASE_URL is malformed. Write it as {form}.")


def refuse_tables_of_others() -> None:
    """Exit if the database has such tables already: they would be dropped."""
    names = set(sa.inspect(db.engine).get_table_names()) & set(db.metadata.tables)
    if names:
        sys.exit(
            f"The database of DATABASE_URL has {', '.join(sorted(names))} already."
            " Drop them if they are from an earlier demo, or use another database."
        )


@contextlib.contextmanager
def flusher(app: str, *options: str) -> t.Iterator[subprocess.Popen[bytes]]:
    """Run `flask signalbus flushmany` for *app*, in a process of its own."""
    command = [sys.executable, "-m", "flask", "--app", app, "signalbus", "flushmany"]
    with subprocess.Popen([*command, *options]) as process:  # noqa: S603 our own
        try:
            yield process
        finally:
            process.kill()


def wait_for(app: Flask, process: subprocess.Popen[bytes], status: int) -> None:
    """Wait until *process* ends; exit if its status is not *status*."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=NEWS_EVERY)
            break
        say(f"{count_pending(app):,} signals are pending.")
    if process.returncode != status:
        sys.exit(f"A flusher ended with {process.returncode} instead of {status}.")


def place_orders(app: Flask, orders: int) -> int:
    """Place orders from several threads; return how many were rolled back."""
    with ThreadPoolExecutor(THREADS) as threads:
        statuses = threads.map(lambda number: buy(app, number), range(orders))
        return list(with_news(statuses, orders)).count(402)


def with_news(
    statuses: t.Iterable[int], orders: int, every: float = NEWS_EVERY
) -> t.Iterator[int]:
    """Yield *statuses*, and print from time to time how many orders are placed."""
    due = time.monotonic() + every
    for placed, status in enumerate(statuses, 1):
        yield status
        if time.monotonic() >= due:
            say(f"{placed:,} of {orders:,} orders are placed.")
            due = time.monotonic() + every


def buy(app: Flask, number: int) -> int:
    """Place an order, and pay every second one; return the HTTP status of the order."""
    client = app.test_client()
    card = "refused" if number % 10 == 0 else "good"
    wish = {"customer": f"customer {number}", "cents": 100 + number, "card": card}
    answer = client.post("/orders", json=wish)
    if number % 2:
        client.post(f"/orders/{answer.get_json()['id']}/payment")
    return answer.status_code


def count_pending(app: Flask) -> int:
    """Return how many signals are pending."""
    with app.app_context():
        return sum(db.signalbus.count_pending().values())


def read_orders(app: Flask) -> list[Message]:
    """Return the messages that must arrive, according to the orders."""
    with app.app_context():
        orders = db.session.scalars(sa.select(Order)).all()
        placed = [("OrderPlaced", order.id, order.customer) for order in orders]
        paid = [("OrderPaid", o.id, o.customer) for o in orders if o.is_paid]
        return placed + paid


def say(text: str) -> None:
    """Print *text* at once, so that it comes before what the flushers print."""
    click.echo(text)


if __name__ == "__main__":
    main()
