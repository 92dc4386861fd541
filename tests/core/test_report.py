"""Failures that are alike make one line, in the log and in the error."""

from __future__ import annotations

import logging
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import NoBrokerError
from signalbus.exceptions import describe_error

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany"]


@pytest.fixture
def refused(new_model: t.Any, wire: t.Any, record: t.Any) -> t.Any:
    """Record signals that are refused, each for the reason that is its text."""
    model = new_model("Order", signalbus_burst_count=100)

    def refuse(*reasons: str) -> SignalModel:
        wire.failures = {reason: LookupError(reason) for reason in reasons}
        record(model, *reasons)
        return model

    return refuse


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.ERROR
    ]


@pytest.mark.parametrize("method", METHODS)
def test_failures_of_a_run_that_are_alike_are_one_line(
    bus: SignalBus, refused: t.Any, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    """The line counts the signals and names the first few."""
    refused(*[f"no queue takes 'message {number}'" for number in range(1500)])
    with pytest.raises(LookupError) as caught:
        getattr(bus, method)()

    line = (
        "Order: 1,500 signals were not sent and stay pending: LookupError: no queue"
        " takes 'message 0' (first: Order(id=1), Order(id=2), Order(id=3), …)"
    )
    assert [line] == _errors(caplog)
    assert [line] == caught.value.__notes__


def test_autoflush_groups_the_failures_of_a_commit(
    db: SQLAlchemy, refused: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A commit of many signals logs a line for each reason."""
    model = refused("bad 1")
    caplog.clear()
    db.session.add_all([model(text="bad 1") for _ in range(50)])
    db.session.commit()
    (line,) = _errors(caplog)

    assert line.startswith("Order: 50 signals were not sent and stay pending: ")


def test_one_signal_is_named_alone(
    bus: SignalBus, refused: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """There is nothing to count."""
    refused("bad")
    with pytest.raises(LookupError):
        bus.flush()

    assert ["Order(id=1) was not sent and stays pending: LookupError: bad"] == _errors(
        caplog
    )


def test_every_reason_has_its_line(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, caplog: t.Any
) -> None:
    """What differs by more than values is not hidden behind another error."""
    model = new_model("Order", signalbus_burst_count=100)
    reasons = ["order 4711 is void", "nobody at home", "order 4712 is void"]
    wire.failures = {reason: ValueError(reason) for reason in reasons}
    wire.failures["deaf"] = TypeError("nobody at home")
    record(model, *reasons, "deaf")
    with pytest.raises(ValueError, match="4711"):
        bus.flush()

    assert [
        (
            "Order: 2 signals were not sent and stay pending: ValueError: order 4711 is"
            " void (first: Order(id=1), Order(id=3))"
        ),
        "Order(id=2) was not sent and stays pending: ValueError: nobody at home",
        "Order(id=4) was not sent and stays pending: TypeError: nobody at home",
    ] == _errors(caplog)


@pytest.mark.parametrize("period", ["", "."])
def test_reasons_without_end_share_a_line(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    caplog: t.Any,
    period: str,
) -> None:
    """Errors with texts that nothing can compare do not flood the log."""
    letters = [f"{chr(ord('a') + number)}{period}" for number in range(26)]
    wire.failures = {letter: ValueError(letter) for letter in letters}
    record(new_model("Order", signalbus_burst_count=100), *letters)
    with pytest.raises(ValueError, match="a"):
        bus.flush()
    lines = _errors(caplog)

    assert 11 == len(lines)
    assert (
        "Order: 16 signals were not sent and stay pending: ValueError: k, and other"
        " reasons (first: Order(id=11), Order(id=12), Order(id=13), …)"
    ) == lines[-1]


def test_models_have_lines_of_their_own(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, caplog: t.Any
) -> None:
    """A reason that two models have is told of each."""
    wire.failures["bad"] = ValueError("boom")
    for name in ("First", "Second"):
        record(new_model(name), "bad", "bad")
    with pytest.raises(ValueError, match="boom"):
        bus.flushmany()

    assert ["First: 2", "Second: 2"] == [
        line.split(" sig")[0] for line in _errors(caplog)
    ]


def test_model_that_is_left_is_one_line(
    bus: SignalBus, new_model: t.Any, record: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a broker there is one failure, not one for each signal."""
    record(new_model("Orphan", form="telegraph"), "a", "b", "c")
    with pytest.raises(NoBrokerError):
        bus.flush()
    (line,) = _errors(caplog)

    assert line.startswith("The signals of Orphan stay pending: NoBrokerError: The")


def test_interrupted_run_tells_what_failed(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, caplog: t.Any
) -> None:
    """Nothing is silent because somebody stopped the process."""
    record(new_model("Order"), "bad", "stop")
    wire.failures = {"bad": ValueError("boom"), "stop": KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        bus.flush()

    assert ["Order(id=1) was not sent and stays pending: ValueError: boom"] == _errors(
        caplog
    )


FORGED = "boom\n2026-01-01 INFO all is well\x1b[2J\r\u2028\x85"


@pytest.mark.parametrize("error", [ValueError(FORGED), ConnectionError(FORGED)])
def test_lines_of_the_log_are_lines(
    bus: SignalBus,
    greeting: SignalModel,
    wire: t.Any,
    record: t.Any,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a sender's error says cannot look like a line of somebody else."""
    record(greeting, "a")
    wire.cut = error
    with pytest.raises(type(error)) as caught:
        bus.flush()

    lines = [*[each.getMessage() for each in caplog.records], *caught.value.__notes__]
    assert 2 == len(lines)
    assert [] == [line for line in lines if not line.isprintable()]
    assert all(r"boom\n2026-01-01 INFO all is well\x1b[2J" in line for line in lines)


class Multiline(str):
    """A key that is written in two lines."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Begin a line that looks like another's."""
        return f"'{self}\nINFO all is well'"


class MultilineType(sa.TypeDecorator[str]):
    """A column whose values are such keys."""

    impl = sa.String(10)
    cache_ok = True

    def process_result_value(self, value: t.Any, dialect: sa.Dialect) -> t.Any:
        """Make the key."""
        return None if value is None else Multiline(value)


@pytest.mark.parametrize("error", [ValueError("bad"), ConnectionError("reset")])
def test_names_of_signals_are_in_the_line(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    wire: t.Any,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nor does a primary key look like a line of somebody else."""
    model = new_model(
        "Order", form="row", id=sa.Column(MultilineType, primary_key=True)
    )
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), [{"id": "a", "text": "a"}])
    wire.cut = error
    with pytest.raises(type(error)):
        bus.flush()
    (line,) = [each.getMessage() for each in caplog.records]

    assert r"Order(id='a\nINFO all is well')" in line


def test_error_that_is_raised_again_gets_its_note_once(
    bus: SignalBus, greeting: SignalModel, wire: t.Any, record: t.Any
) -> None:
    """A sender may raise the same object for ever."""
    record(greeting, "a")
    wire.cut = ValueError("boom")
    for _ in range(3):
        with pytest.raises(ValueError, match="boom") as caught:
            bus.flush()

    assert 1 == len(caught.value.__notes__)


def test_error_that_is_raised_again_loses_the_notes_of_earlier_runs(
    bus: SignalBus, greeting: SignalModel, wire: t.Any, record: t.Any
) -> None:
    """They were about other signals; what the sender has added stays."""
    wire.cut = ValueError("boom")
    wire.cut.__notes__ = ["in the port"]
    for text in "ab":
        record(greeting, text)
        with pytest.raises(ValueError, match="boom") as caught:
            bus.flush()

    own, note = caught.value.__notes__
    assert "in the port" == own
    assert note.startswith("Greeting: 2 signals were not sent")


class SpeechlessError(Exception):
    """Fails when asked what it says."""

    def __str__(self) -> str:
        """Fail."""
        raise TypeError("no words")


class BrokerError(Exception):
    """An error that gives its name itself."""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("boom"), "ValueError: boom"),
        (ValueError(), "ValueError"),
        (BrokerError("BrokerError: gone"), "BrokerError: gone"),
        (SpeechlessError(), "SpeechlessError"),
        (ValueError("x" * 5000), f"ValueError: {'x' * 1000}…"),
    ],
    ids=["text", "empty", "named", "speechless", "long"],
)
def test_errors_are_described_in_a_line(error: Exception, line: str) -> None:
    """The type and the text, each once, and not without end."""
    assert line == describe_error(error)
