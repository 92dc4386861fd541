"""A signal that ends the process that sends it is found, and parked."""

from __future__ import annotations

import collections
import signal
import threading
import time
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError
from signalbus.stopping import StopToken
from signalbus_relay._attempts import attempts_of
from signalbus_relay._crash import CarefulSender
from signalbus_relay._crash import Caution
from signalbus_relay._crash import Turn
from signalbus_relay._status import Status

if t.TYPE_CHECKING:
    import subprocess

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.databases

RELAY = Path(__file__).with_name("crashing_relay.py")

#: The texts of what one model has pending.
TEXTS = [f"mate {number}" for number in range(20)]


@pytest.fixture(autouse=True)
def _retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch signalbus-retry on, here and in the relays, where it is installed."""
    monkeypatch.delenv("SIGNALBUS_DISABLED_PLUGINS")


@pytest.fixture
def without_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch it off again."""
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "retry")


@pytest.fixture
def retry() -> t.Any:
    """Give signalbus-retry, or skip the test."""
    return pytest.importorskip("signalbus_retry")


class Outbox:
    """Two models with pending signals, and what became of them."""

    def __init__(self, db: SQLAlchemy, bus: SignalBus, mailbox: Path) -> None:
        """Create the tables of the driver's models, which this process never sends."""
        self.db, self.bus, self.mailbox = db, bus, mailbox
        self.models = [
            type(
                name,
                (db.Model,),
                {
                    "id": sa.Column(sa.Integer, primary_key=True),
                    "text": sa.Column(sa.String(50)),
                    "signalbus_broker": "none",
                },
            )
            for name in ("Risky", "Healthy")
        ]
        db.create_all()
        mailbox.touch()

    def record(self, number: int, *texts: str) -> None:
        """Let signals of one of the models be pending."""
        with self.db.engine.begin() as connection:
            insert = sa.insert(self.models[number].__table__)
            connection.execute(insert, [{"text": text} for text in texts])

    def pending(self) -> dict[str, int]:
        """Tell how many signals of each model are pending."""
        counts = self.bus.count_pending(self.models)
        return {model.__name__: count for model, count in counts.items()}

    def received(self) -> collections.Counter[str]:
        """Tell how often each text has come."""
        return collections.Counter(self.mailbox.read_text().splitlines())

    def rows(self, table: str) -> list[t.Any]:
        """Read a table of ours."""
        with self.db.engine.connect() as connection:
            return list(connection.execute(sa.select(self.db.metadata.tables[table])))


@pytest.fixture
def outbox(db: SQLAlchemy, bus: SignalBus, app_ctx: object, tmp_path: Path) -> Outbox:
    """Give the models of the relays, with 20 signals each, one of them fatal."""
    bus.autoflush = False
    return Outbox(db, bus, tmp_path / "mailbox")


@pytest.fixture
def start(
    interpreter: t.Any, engine_url: str, outbox: Outbox
) -> t.Callable[[], subprocess.Popen[str]]:
    """Start a relay."""
    return lambda: interpreter(RELAY, engine_url, str(outbox.mailbox))


@pytest.mark.usefixtures("retry")
def test_fatal_signal_is_parked(outbox: Outbox, start: t.Any) -> None:
    """After three starts, by the fourth; all others have gone out."""
    outbox.record(0, *TEXTS[:7], "fatal", *TEXTS[7:])
    outbox.record(1, *[f"healthy {number}" for number in range(60)])
    endings = [start().wait(60) for _ in range(4)]
    (failure,) = outbox.rows("signalbus_failure")
    received = outbox.received()

    assert [1, 1, 1, 0] == endings
    assert {"Risky": 1, "Healthy": 0} == outbox.pending()
    assert (3, None) == (failure.attempts, failure.next_attempt_at)
    assert "ProcessEndedError" == failure.error_type
    assert "The process ended while this signal was being sent." == failure.error_text
    assert 3 == received.pop("fatal")
    assert 80 == len(received)
    assert 2 >= max(received[text] for text in TEXTS)
    assert 4 >= max(received.values())
    assert 7 + 3 * 20 >= received.total() - len(received)
    assert [] == outbox.rows("signalbus_relay")


@pytest.mark.usefixtures("retry")
def test_two_fatal_signals_are_parked(outbox: Outbox, start: t.Any) -> None:
    """One after the other."""
    outbox.record(0, "fatal", *TEXTS, "fatal")
    for _ in range(12):
        if start().wait(60) == 0:
            break

    assert {"Risky": 2, "Healthy": 0} == outbox.pending()
    assert [None, None] == [
        each.next_attempt_at for each in outbox.rows("signalbus_failure")
    ]
    assert set(TEXTS) | {"fatal"} == set(outbox.received())


@pytest.mark.usefixtures("retry")
def test_relay_that_is_killed_loses_and_parks_nothing(
    outbox: Outbox, start: t.Any
) -> None:
    """Its signals were healthy: the next one sends them, and nothing is kept of it."""
    outbox.record(0, *TEXTS[:7], "stuck", *TEXTS[7:])
    relay = start()
    _wait_for(lambda: outbox.received()["stuck"])
    relay.kill()

    assert -signal.SIGKILL == relay.wait(60)
    assert 1 == len(outbox.rows("signalbus_relay"))
    assert 0 == start().wait(60)
    assert {"Risky": 0, "Healthy": 0} == outbox.pending()
    assert {*TEXTS, "stuck"} == set(outbox.received())
    assert 2 >= max(outbox.received().values())
    assert [] == outbox.rows("signalbus_failure") == outbox.rows("signalbus_relay")


@pytest.mark.usefixtures("without_retry")
def test_without_retry_the_row_names_the_signal(
    outbox: Outbox, start: t.Any, app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """A person finds it there, and in the log of the next relay."""
    outbox.record(0, *TEXTS[:7], "fatal", *TEXTS[7:])
    endings = [start().wait(60) for _ in range(2)]
    (row,) = outbox.rows("signalbus_relay")
    status = Status(app, outbox.bus, "r" * 32)

    assert [1, 1] == endings
    assert '"sending": "Risky(id=8)"' in row.models
    status.begin(outbox.models)

    assert status.must_be_careful(outbox.models[0])
    assert " ended while it was sending Risky(id=8)." in caplog.text

    status.end()
    counts = outbox.received()

    assert [2] * 7 == [counts[text] for text in TEXTS[:7]]
    assert 2 == counts["fatal"]


class Line:
    """What the careful senders of this process have sent, and what fails."""

    def __init__(self) -> None:
        """Begin with a line on which nothing fails."""
        self.sent: list[str] = []
        self.tried: list[str] = []
        self.failures: dict[str, Exception] = {}
        self.on_send: t.Callable[[str], object] = lambda _: None

    def carry(self, text: str) -> None:
        """Confirm a signal, or raise."""
        self.tried.append(text)
        self.on_send(text)
        if text in self.failures:
            raise self.failures[text]
        self.sent.append(text)


@pytest.fixture
def line() -> Line:
    """Give the line that the models of ``declare`` send to."""
    return Line()


@pytest.fixture
def declare(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object, line: Line
) -> t.Callable[..., SignalModel]:
    """Declare a model with *attributes*, with signals pending that have *texts*."""

    def make(
        *texts: str,
        name: str = "Parcel",
        is_ordered: bool = False,
        **attributes: t.Any,
    ) -> SignalModel:
        bus.autoflush = False

        def send_signalbus_message(cls: SignalModel, signal: Signal) -> None:
            line.carry(signal.text)

        fixed = {
            "id": sa.Column(sa.Integer, primary_key=True),
            "text": sa.Column(sa.String(50)),
            "signalbus_burst_count": 10,
            "signalbus_retry": {"first_delay": 3600},  # nothing is due again here
            "send_signalbus_message": classmethod(send_signalbus_message),
        }
        model: t.Any = type(name, (db.Model,), {**fixed, **attributes})
        if is_ordered:
            model.signalbus_order_by = (model.text,)
        db.create_all()
        db.session.add_all([model(text=text) for text in texts])
        db.session.commit()
        return model

    return make


def test_as_many_are_sent_as_were_at_risk(
    bus: SignalBus, declare: t.Any, line: Line
) -> None:
    """The first burst of each sender; the others go out in full bursts."""
    model = declare(*"abcdef", signalbus_burst_count=2)

    assert _prepare(bus, model)
    assert ["a", "b"] == line.sent

    assert _prepare(bus, model, bursts=2)
    assert ["a", "b", "c", "d", "e", "f"] == line.sent


def test_long_queue_hides_nothing_that_was_at_risk(
    bus: SignalBus, declare: t.Any, line: Line
) -> None:
    """With an ordering key, a burst has the first signals of many queues."""
    model = declare(
        *["a"] * 50,
        "b",
        "c",
        signalbus_burst_count=2,
        signalbus_ordering_key="text",
    )

    assert _prepare(bus, model)
    assert {"a", "b", "c"} == set(line.sent)
    assert 8 == len(line.sent)


def test_what_waits_behind_another_was_not_at_risk(
    bus: SignalBus, declare: t.Any, line: Line, retry: t.Any
) -> None:
    """However many wait behind a signal of their ordering key that is parked."""
    model = declare(
        *["a"] * 50, "b", signalbus_burst_count=2, signalbus_ordering_key="text"
    )
    retry.park(bus, model, [(1,)])

    assert _prepare(bus, model)
    assert ["b"] == line.tried


def test_stop_ends_it_at_once(bus: SignalBus, declare: t.Any, line: Line) -> None:
    """The signal at hand is finished."""
    model, token = declare("a", "b", "c"), StopToken()
    line.on_send = lambda _: token.stop()

    assert not _prepare(bus, model, token)
    assert ["a"] == line.sent
    assert {model: 2} == bus.count_pending([model])


def test_signal_that_fails_counts_once(
    bus: SignalBus, declare: t.Any, line: Line, retry: t.Any
) -> None:
    """The others go out, and it waits as always."""
    model = declare("a", "bad", "c")
    line.failures["bad"] = ValueError("boom")

    assert _prepare(bus, model)
    assert ["a", "c"] == line.sent
    assert [(1, "ValueError")] == [
        (each.attempts, each.error_type) for each in retry.failures(bus)
    ]

    assert _prepare(bus, model)
    assert 1 == line.tried.count("bad")


def test_broker_that_is_down_counts_nothing(
    bus: SignalBus, declare: t.Any, line: Line, retry: t.Any
) -> None:
    """It is tried once, and the caller is told to come again."""
    model = declare("a", "b")
    line.failures["a"] = BrokerUnavailableError()

    assert not _prepare(bus, model)
    assert ["a"] == line.tried
    assert [] == list(retry.failures(bus))

    del line.failures["a"]
    bus.reset_breakers()

    assert _prepare(bus, model)
    assert ["a", "b"] == line.sent


def test_what_is_held_back_is_passed_over(
    bus: SignalBus,
    declare: t.Any,
    line: Line,
    retry: t.Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many of them are in front of the others."""
    monkeypatch.setattr("signalbus_relay._crash._WINDOW", 3)
    model = declare(*["parked"] * 8, "a", "b", "c", signalbus_burst_count=2)
    retry.park(bus, model, [(number,) for number in range(1, 9)])

    assert _prepare(bus, model)
    assert ["a", "b"] == line.tried


@pytest.mark.usefixtures("retry")
def test_order_is_kept(bus: SignalBus, declare: t.Any, line: Line) -> None:
    """Nothing is sent behind a signal that fails, waits or is parked."""
    model = declare("c", "bad", "a", is_ordered=True)
    line.failures["bad"] = ValueError("boom")

    assert _prepare(bus, model)
    assert ["a", "bad"] == line.tried

    assert _prepare(bus, model)
    assert ["a", "bad"] == line.tried


def test_two_relays_send_nothing_twice(
    app: Flask, bus: SignalBus, declare: t.Any, line: Line
) -> None:
    """Although both begin carefully, at the same time."""
    texts = [str(number) for number in range(10)]
    model = declare(*texts)
    attempts = attempts_of(bus, model, "")

    def new_sender() -> CarefulSender:
        return CarefulSender(bus, model, Turn(StopToken()), attempts, _ignore)

    keys = new_sender().first(10)
    barrier = threading.Barrier(2)

    def send() -> None:
        with app.app_context():
            sender = new_sender()
            barrier.wait()
            sender.send(keys)

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bus.flushmany()

    assert sorted(texts) == sorted(line.sent)


def test_one_attempt_at_a_time_is_written_down(
    app: Flask, db: SQLAlchemy, bus: SignalBus, declare: t.Any, line: Line, retry: t.Any
) -> None:
    """Whatever other lanes do: what ends the process must be the only suspect."""
    models = [declare(*"abc", name=name) for name in ("Parcel", "Letter")]
    caution = Caution(bus, StopToken(), lambda _: True)
    written: list[int | None] = []
    count = sa.select(sa.func.count()).select_from(
        db.metadata.tables["signalbus_failure"]
    )

    def note(_: str) -> None:
        with db.engine.connect() as connection:
            written.append(connection.scalar(count))

    def prepare(model: SignalModel) -> None:
        with app.app_context():
            caution.prepare(model, 1, _ignore)

    line.on_send = note
    threads = [threading.Thread(target=prepare, args=(each,)) for each in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [1] * 6 == written


def _prepare(
    bus: SignalBus, model: SignalModel, token: StopToken | None = None, bursts: int = 1
) -> bool:
    """Begin as a relay does that has to be careful."""
    caution = Caution(bus, token or StopToken(), lambda _: True)
    return caution.prepare(model, bursts, _ignore)


def _ignore(_: Exception) -> None:
    """Report nothing: the log of the bus has it."""


def _wait_for(condition: t.Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
