"""Measure what pages of the dashboard cost: `python -m benchmarks.dashboard`.

Not one of the cases, since it measures no signals a second. It makes a database of its
own on the PostgreSQL server, and drops it. It prints the rows of the table in
`docs/dashboard.md`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import secrets
import statistics
import time
import typing as t

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_dashboard import dashboard
from signalbus_retry import park

from benchmarks import urls

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

#: How many signals have failed, in each shop.
FAILED = 10_000

#: How often each page is asked for.
REQUESTS = 5


@dataclasses.dataclass
class Shop:
    """An app with so many models, which have a million pending signals together."""

    app: Flask
    bus: SignalBus
    models: list[SignalModel]
    #: How long each statement took that was executed since this was emptied.
    times: list[float] = dataclasses.field(default_factory=list)


def main() -> None:
    """Print what each page costs, with one model and with fifty."""
    failures = "/models/Model0/failures"
    with shop(1) as one:
        show(one, "overview, 1 model with 1,000,000 pending, 10,000 failed", "/")
        show(one, "failures of this model", failures)
        show(
            one, "failures of this model, filtered by a text", f"{failures}?error=4711"
        )
        show(one, "one signal", "/models/Model0/signal?key=5")
    with shop(50) as fifty:
        show(fifty, "overview, 50 models with 20,000 pending each, 10,000 failed", "/")


def show(shop: Shop, title: str, path: str) -> None:
    """Print the costs of a page, after a first request that is not measured."""
    client = shop.app.test_client()
    whole: list[float] = []
    database: list[float] = []
    for _ in range(1 + REQUESTS):
        shop.times.clear()
        began = time.perf_counter()
        response = client.get(f"/signalbus{path}")
        whole.append(time.perf_counter() - began)
        database.append(sum(shop.times))
        if response.status_code != 200:  # noqa: PLR2004 OK
            raise RuntimeError(response.text)
    costs = [1000 * statistics.median(each[1:]) for each in (whole, database)]
    print(f"| {title} | {costs[0]:.0f} | {costs[1]:.0f} |")


@contextlib.contextmanager
def shop(models: int) -> t.Iterator[Shop]:
    """Make the database of a shop, and drop it."""
    name = f"signalbus_{secrets.token_hex(6)}"
    url = sa.make_url(urls.url("postgresql"))
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    made = make(url.set(database=name).render_as_string(False), models)
    with made.app.app_context():
        engine = made.bus.db.engine
    try:
        yield made
    finally:
        engine.dispose()
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def make(url: str, models: int) -> Shop:
    """Make the app of a shop, and its rows."""
    app = Flask("shop")
    app.config.update(SECRET_KEY=secrets.token_hex(), SQLALCHEMY_DATABASE_URI=url)
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    made = Shop(app, bus, [declare(db, f"Model{each}") for each in range(models)])
    blueprint = dashboard(bus, authorize=lambda: True)
    app.register_blueprint(blueprint, url_prefix="/signalbus")
    with app.app_context():
        db.create_all()
        record(made, 1_000_000 // models)
        watch(db.engine, made.times)
    return made


def declare(db: SQLAlchemy, name: str) -> SignalModel:
    """Return a signal model."""
    attributes = {
        "id": sa.Column(sa.Integer, primary_key=True),
        "text": sa.Column(sa.Text),
        "recorded_at": sa.Column(sa.DateTime, nullable=False),
        "send_signalbus_message": lambda _: None,
    }
    return type(name, (db.Model,), attributes)


def record(shop: Shop, count: int) -> None:
    """Record signals, and let some of the first model fail."""
    engine = shop.bus.db.engine
    with engine.begin() as connection:
        for model in shop.models:
            connection.exec_driver_sql(
                f"INSERT INTO {model.__tablename__} SELECT n, repeat('x', 100), now()"  # noqa: S608 our own name
                f" FROM generate_series(1, {count}) n"
            )
    keys: list[PrimaryKey] = [(number,) for number in range(1, FAILED + 1)]
    park(shop.bus, shop.models[0], keys)
    table = shop.bus.db.metadata.tables["signalbus_failure"]
    soon = dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)
    text = sa.func.concat("There is no account ", table.c.number, " of this bank.")
    with engine.begin() as connection:
        connection.execute(sa.update(table).values(error_text=text))
        waits = sa.update(table).where(table.c.number % 5 > 0)
        connection.execute(waits.values(next_attempt_at=soon))
    options = engine.execution_options(isolation_level="AUTOCOMMIT")
    with options.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")


def watch(engine: sa.Engine, times: list[float]) -> None:
    """Note how long each statement takes."""

    @sa.event.listens_for(engine, "before_cursor_execute")
    def begin(connection: sa.Connection, *_: object) -> None:
        connection.info["began"] = time.perf_counter()

    @sa.event.listens_for(engine, "after_cursor_execute")
    def end(connection: sa.Connection, *_: object) -> None:
        times.append(time.perf_counter() - connection.info["began"])


if __name__ == "__main__":
    main()
