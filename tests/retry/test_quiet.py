"""Signals that can never be sent cost nothing but their retries, and a line a run."""

from __future__ import annotations

import logging
import typing as t

import pytest
from signalbus_retry import Park
from signalbus_retry import RetryLater
from signalbus_retry import park

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

COUNT = 3000

#: Bursts of many, in which the broker says which signals it refused.
POISON = {"form": "partial", "signalbus_burst_count": 1000}


class ReturnedError(Exception):
    """No queue takes the message."""


@pytest.fixture
def poisoned(new_model: t.Any, record: t.Any, wire: t.Any) -> SignalModel:
    """Give a model with 3,000 signals that can never be routed."""
    texts = [str(number) for number in range(COUNT)]
    wire.failures = dict.fromkeys(texts, ReturnedError("NO_ROUTE"))
    model: SignalModel = new_model(**POISON)
    record(model, *texts)
    return model


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> t.Callable[[], list[str]]:
    """Return what has been logged since it was last asked, warnings and worse."""

    def take() -> list[str]:
        taken = [
            each.getMessage()
            for each in caplog.records
            if each.levelno >= logging.WARNING
        ]
        caplog.clear()
        return taken

    return take


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_poison_is_left_alone_until_it_is_due(
    bus: SignalBus,
    poisoned: SignalModel,
    run: t.Any,
    wire: t.Any,
    lines: t.Any,
    method: str,
) -> None:
    """After its first failure, a relay that runs again and again finds nothing."""
    run(method)
    lines()
    wire.attempts.clear()
    for _ in range(10):
        assert 0 == getattr(bus, method)()

    assert [] == wire.attempts
    assert [] == lines()


@pytest.mark.databases
def test_poison_is_a_line_a_run(
    poisoned: SignalModel, run: t.Any, due: t.Any, lines: t.Any
) -> None:
    """When all are tried, one line says how many wait, and until when."""
    for _ in range(2):
        run()
        (line,) = lines()
        due()

        assert line.startswith("Greeting: 3,000 signals were not sent; 3,000 wait, ")
        assert "ReturnedError: NO_ROUTE" in line
        assert "(first: Greeting(id=1), Greeting(id=2), Greeting(id=3), …)" in line
        assert "stay pending" not in line


@pytest.mark.databases
def test_line_tells_what_waits_from_what_is_parked(
    poisoned: SignalModel, run: t.Any, due: t.Any, execute: t.Any, lines: t.Any
) -> None:
    """Those that had their last attempt are counted apart."""
    run()
    due()
    execute(
        "UPDATE signalbus_failure SET attempts = 4 WHERE error_type = 'ReturnedError'"
        " AND id IN (SELECT id FROM (SELECT id FROM signalbus_failure LIMIT 50) few)"
    )
    lines()
    run()
    (line,) = lines()

    assert line.startswith("Greeting: 3,000 signals were not sent; 2,950 wait, next in")
    assert "; 50 parked: ReturnedError: NO_ROUTE (first: " in line


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_healthy_signals_pass_the_poison(
    bus: SignalBus,
    poisoned: SignalModel,
    run: t.Any,
    record: t.Any,
    wire: t.Any,
    method: str,
) -> None:
    """They are sent at once, and nothing else is."""
    run(method)
    wire.attempts.clear()
    record(poisoned, "a", "b")

    assert 2 == getattr(bus, method)()
    assert [["a", "b"]] == wire.attempts


#: What a sender raises, and what is said of the signal.
SINGLE = [
    (ValueError("boom"), "Greeting(id=1) was not sent and waits, next attempt in "),
    (RetryLater(5), "Greeting(id=1) was not sent and waits, next attempt in 5 s: "),
    (Park("away"), "Greeting(id=1) was not sent and is parked: "),
]


@pytest.mark.parametrize(("error", "said"), SINGLE)
def test_single_failure_says_what_is_to_come(
    greeting: SignalModel,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    lines: t.Any,
    error: Exception,
    said: str,
) -> None:
    """Whether the signal waits, and how long, or is parked."""
    wire.failures["bad"] = error
    record(greeting, "bad")
    run()
    (line,) = lines()

    assert line.startswith(said)


def test_autoflush_says_what_is_to_come(
    db: SQLAlchemy, greeting: t.Any, wire: t.Any, lines: t.Any
) -> None:
    """A commit's failure is one line in the log, too."""
    wire.failures["bad"] = Park("away")
    db.session.add(greeting(text="bad"))
    db.session.commit()
    (line,) = lines()

    assert "is parked" in line


def test_error_of_a_flush_says_what_is_to_come(
    bus: SignalBus, greeting: t.Any, record: t.Any, boom: t.Any, lines: t.Any
) -> None:
    """The notes of what is raised are the lines of the log."""
    record(greeting, "bad")
    with pytest.raises(ValueError, match="boom") as caught:
        bus.flush()

    assert lines() == caught.value.__notes__


def test_command_says_it_on_stderr(poisoned: SignalModel, flask: t.Any) -> None:
    """One line, the log's; then nothing, and the exit status is 0."""
    first, second = flask("flushmany"), flask("flushmany")

    assert 1 == first.status
    assert 1 == first.err.count("\n")
    assert "Greeting: 3,000 signals were not sent; 3,000 wait, next in" in first.err
    assert (0, "", "") == (second.status, second.out, second.err)


def test_parked_signals_are_not_reported_again(
    bus: SignalBus, greeting: t.Any, record: t.Any, lines: t.Any, wire: t.Any
) -> None:
    """Nothing is said of what waits for a person; `failures` shows it."""
    record(greeting, "a")
    park(bus, greeting, [(1,)])
    for method in ("flush", "flushmany", "flushordered"):
        assert 0 == getattr(bus, method)()

    assert [] == lines()
    assert [] == wire.attempts
