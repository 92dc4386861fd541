"""A database that goes away is one line, and the relay goes on when it is back."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from conftest import Proxy
    from conftest import Running
    from conftest import Wire
    from flask import Flask
    from signalbus.typing import SignalModel

NewModel: t.TypeAlias = "t.Callable[..., SignalModel]"
Record: t.TypeAlias = "t.Callable[..., None]"
Run: t.TypeAlias = "t.Callable[..., Running]"
Eventually: t.TypeAlias = "t.Callable[[t.Callable[[], object]], None]"


@pytest.fixture
def app(new_app: t.Callable[..., Flask], proxied_url: str) -> Flask:
    """Give an app whose database is reached over the proxy."""
    return new_app(proxied_url)


def _lines(caplog: pytest.LogCaptureFixture, part: str = "") -> list[str]:
    """Return what was logged, and contains *part*, but not what an end waits for."""
    lines = [line for line in caplog.messages if "Stopping: waiting" not in line]
    return [line for line in lines if part in line]


def test_an_outage_is_one_line_for_all_lanes_and_one_when_it_is_over(
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    proxy: Proxy,
    eventually: Eventually,
    pending: t.Callable[[], int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whichever lanes there are, and however long it takes.

    A transaction that was under way is tried again. That is not said twice, either.
    """
    models = [new_model(name) for name in ("One", "Two", "Three")]
    record(models[0], "a")
    running = run(poll=0.1)
    wire.expect("a")
    eventually(lambda: 0 == pending())
    proxy.close()
    eventually(lambda: _lines(caplog, "The database is unavailable"))
    time.sleep(1)  # several looks
    proxy.open()
    for model in models:
        record(model, model.__name__)
    wire.expect("One", "Two", "Three")
    running.stop()
    lines = _lines(caplog)
    lanes = _lines(caplog, "The database is ")
    retries = _lines(caplog, "Trying again after: ")
    listener = _lines(caplog, "woken")

    assert 2 == len(lanes), lines
    assert "The database is unavailable, its signals stay pending: " in lanes[0]
    assert "The database is back after" in lanes[1]
    assert 2 >= len(listener), lines
    assert len(lines) == len({*lanes, *retries, *listener}), lines


def test_an_outage_in_the_middle_of_a_burst_is_survived(
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    proxy: Proxy,
    eventually: Eventually,
    pending: t.Callable[[], int],
) -> None:
    """What was sent is deleted when the database is back, or sent again."""
    is_cut = threading.Event()

    def cut(text: str) -> None:
        if text == "cut" and not is_cut.is_set():
            is_cut.set()
            proxy.cut()

    wire.on_sending = cut
    record(new_model("Letter"), "a", "cut", "b")
    running = run()
    wire.expect("a", "cut", "b")
    eventually(lambda: 0 == pending())

    assert 0 == running.stop()


def test_connections_that_died_while_idle_are_noticed(
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    proxy: Proxy,
    eventually: Eventually,
) -> None:
    """As after a restart of the server, which is back at once."""
    letter = new_model("Letter")
    record(letter, "a")
    run()
    wire.expect("a")
    proxy.cut()

    def is_recorded() -> bool:
        with contextlib.suppress(sa.exc.OperationalError):
            record(letter, "b")
            return True
        return False

    eventually(is_recorded)
    wire.expect("b")


def test_a_missing_table_is_reported_once_and_stops_no_other_model(
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    app: Flask,
    eventually: Eventually,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When it is there, that is reported, too."""
    new_broker_letter, parcel = new_model("Letter"), new_model("Parcel")
    db = app.extensions["sqlalchemy"]
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE letter")
    running = run(poll=0.05)
    record(parcel, "a")
    wire.expect("a")
    eventually(lambda: _lines(caplog))
    time.sleep(0.5)  # several looks
    with app.app_context():
        db.create_all()
    record(new_broker_letter, "b")
    wire.expect("b")
    running.stop()
    lines = _lines(caplog)

    assert "The table letter of the signal model Letter is missing." in lines[0]
    assert "Letter recovered after" in lines[1]
    assert 2 == len(lines), lines
