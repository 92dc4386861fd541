"""Plugins that postpone what failed say so in the report of a run."""

from __future__ import annotations

import copy
import math
import pickle
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError
from signalbus import hookimpl
from signalbus.exceptions import ReportLine

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import NextAttempts
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]


class Postpones:
    """Postpones the failed signals that it knows."""

    def __init__(self, attempts: NextAttempts) -> None:
        """Know these keys."""
        self.attempts = attempts

    @hookimpl
    def signalbus_burst_settled(
        self, failed: t.Mapping[PrimaryKey, Exception]
    ) -> NextAttempts:
        """Return when they are tried again."""
        return {key: self.attempts[key] for key in failed if key in self.attempts}


@pytest.fixture
def fail(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> t.Callable[..., list[str]]:
    """Flush as many signals as *count* says, which all fail; return the lines."""

    def flush(count: int, *, method: str = "flushmany", **attributes: t.Any) -> t.Any:
        attributes.setdefault("signalbus_burst_count", 100)
        record(new_model("Order", **attributes), *["bad"] * count)
        wire.failures["bad"] = ValueError("boom")
        with pytest.raises(ValueError, match="boom") as caught:
            getattr(bus, method)()
        lines = caught.value.__notes__
        assert lines == [line for line in caplog.messages if line.startswith("Order")]
        return lines

    return flush


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst", [True, False])
@pytest.mark.parametrize("burst_count", [1, 100])
def test_line_counts_what_waits_and_what_is_parked(
    bus: SignalBus, fail: t.Any, form: str, burst: bool, burst_count: int
) -> None:
    """And it has the shortest wait, however the signals were sent."""
    waiting = {(key,): 3.1 + key for key in range(1, 46)}
    bus.plugin_manager.register(Postpones({**waiting, (46,): None, (47,): None}))

    line = (
        "Order: 47 signals were not sent; 45 wait, next in 5 s; 2 parked: ValueError:"
        " boom (first: Order(id=1), Order(id=2), Order(id=3), …)"
    )
    assert [line] == fail(47, form=form, burst=burst, signalbus_burst_count=burst_count)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("attempts", "fact"),
    [
        ({(1,): 4.0}, "waits, next attempt in 4 s"),
        ({(1,): None}, "is parked"),
        ({}, "stays pending"),
    ],
    ids=["waits", "parked", "pending"],
)
def test_line_of_one_signal(
    bus: SignalBus, fail: t.Any, attempts: NextAttempts, fact: str, method: str
) -> None:
    """It says what becomes of the signal."""
    bus.plugin_manager.register(Postpones(attempts))

    assert [f"Order(id=1) was not sent and {fact}: ValueError: boom"] == fail(
        1, method=method
    )


@pytest.mark.parametrize(
    ("attempts", "facts"),
    [
        ({(1,): 9, (2,): 7, (3,): 8}, "; 3 wait, next in 7 s"),
        ({(1,): None, (2,): None, (3,): None}, "; 3 parked"),
        ({(1,): 9}, "; 1 waits, next in 9 s; 2 stay pending"),
        ({(1,): None, (3,): 1}, "; 1 waits, next in 1 s; 1 parked; 1 stays pending"),
        ({}, " and stay pending"),
    ],
    ids=["wait", "parked", "one waits", "all", "none"],
)
def test_line_of_several_signals(
    bus: SignalBus, fail: t.Any, attempts: NextAttempts, facts: str
) -> None:
    """Signals of which no plugin says anything stay pending."""
    bus.plugin_manager.register(Postpones(attempts))
    (line,) = fail(3)

    assert line.startswith(f"Order: 3 signals were not sent{facts}: ValueError: boom")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.1, "1 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (86_400, "24 h"),
        (5 * 86_400, "5 d"),
    ],
)
def test_waits_are_in_readable_units(
    bus: SignalBus, fail: t.Any, seconds: float, words: str
) -> None:
    """Nobody wants to divide by 3,600."""
    bus.plugin_manager.register(Postpones({(1,): seconds}))
    (line,) = fail(1)

    assert f"next attempt in {words}:" in line


def test_autoflush_says_when_it_is_tried_again(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log has the same line."""
    bus.plugin_manager.register(Postpones({(1,): 4}))
    wire.cut = ValueError("boom")
    db.session.add(greeting(id=1, text="a"))
    db.session.commit()

    assert (
        "Greeting(id=1) was not sent and waits, next attempt in 4 s: ValueError: boom"
    ) in caplog.messages


class RaisesOnce:
    """Raises in the first transaction, so that the burst is settled in another one."""

    def __init__(self) -> None:
        """Begin."""
        self.calls = 0

    @hookimpl
    def signalbus_burst_settled(self) -> None:
        """Raise, once."""
        self.calls += 1
        if self.calls == 1:
            raise LookupError("no ink")


@pytest.mark.databases
@pytest.mark.parametrize("late", [True, False])
def test_plugin_that_is_called_first_wins(
    bus: SignalBus, fail: t.Any, late: bool
) -> None:
    """Of two answers about a signal; what only one plugin knows is kept."""
    bus.plugin_manager.register(Postpones({(1,): 1, (2,): None}))
    bus.plugin_manager.register(Postpones({(1,): 60, (3,): 70}))
    if late:
        bus.plugin_manager.register(RaisesOnce())
    (line,) = fail(3)

    assert "not sent; 2 wait, next in 60 s; 1 parked: " in line


def test_answer_that_was_rolled_back_is_forgotten(bus: SignalBus, fail: t.Any) -> None:
    """What counts is what the plugin answered when its entry was committed."""

    class ChangesItsMind:
        attempts: t.ClassVar[list[dict[PrimaryKey, float]]] = [{(1,): 4}, {}]

        @hookimpl
        def signalbus_burst_settled(self) -> NextAttempts:
            return self.attempts.pop(0)

    class Raises(RaisesOnce):
        @hookimpl(trylast=True)
        def signalbus_burst_settled(self) -> None:
            super().signalbus_burst_settled()

    bus.plugin_manager.register(ChangesItsMind())
    bus.plugin_manager.register(Raises())

    assert ["Order(id=1) was not sent and stays pending: ValueError: boom"] == fail(1)


@pytest.mark.databases
@pytest.mark.parametrize("burst_count", [1, 10])
def test_signal_that_cannot_be_read_waits(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, burst_count: int
) -> None:
    """Its failure is settled like any other."""

    class Broken(sa.TypeDecorator[str]):
        impl = sa.String(50)
        cache_ok = True

        def process_result_value(self, value: t.Any, dialect: object) -> t.Any:
            raise ValueError("broken")

    bus.plugin_manager.register(Postpones({(1,): 4}))
    model = new_model(
        "Order", more=sa.Column(Broken), signalbus_burst_count=burst_count
    )
    with db.engine.begin() as connection:
        connection.execute(sa.insert(model.__table__), [{"more": "a"}])
    with pytest.raises(ValueError, match="broken") as caught:
        bus.flush()

    assert [
        "Order(id=1) was not sent and waits, next attempt in 4 s: ValueError: broken"
    ] == caught.value.__notes__


class Hostile(dict):  # type: ignore[type-arg]
    """A mapping that cannot be looked at."""

    def keys(self) -> t.Any:
        """Fail."""
        raise LookupError("no keys")


JUNK = [
    True,
    [(1,)],
    {1: 4.0},
    {(99,): 4.0},
    {(1,): -1},
    {(1,): math.nan},
    {(1,): math.inf},
    {(1,): "4"},
    {(1,): True},
    {(1,): 4.0, (99,): None},
    Hostile(),
]


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: repr(junk)[:30])
def test_junk_is_logged_once_and_ignored(
    bus: SignalBus, fail: t.Any, caplog: pytest.LogCaptureFixture, junk: t.Any
) -> None:
    """It fails no burst, and the answers of other plugins count."""

    class Junk:
        @hookimpl
        def signalbus_burst_settled(self) -> t.Any:
            return junk

    bus.plugin_manager.register(Junk())
    bus.plugin_manager.register(Postpones({(2,): 5}))
    (line,) = fail(2, signalbus_burst_count=1)
    complaints = [text for text in caplog.messages if "from signalbus_" in text]

    assert "; 1 waits, next in 5 s; 1 stays pending: " in line
    assert 1 == len(complaints)
    assert complaints[0].startswith("A plugin returned ")
    assert " from signalbus_burst_settled. It must return None, or" in complaints[0]


def test_junk_does_not_keep_what_was_sent(
    bus: SignalBus, greeting: SignalModel, record: t.Any, pending: t.Any
) -> None:
    """What was confirmed is deleted, and nothing is raised."""

    class Junk:
        @hookimpl
        def signalbus_burst_settled(self) -> t.Any:
            return {(1,): 4.0}  # which did not fail

    bus.plugin_manager.register(Junk())
    record(greeting, "a", "b")

    assert 2 == bus.flush()
    assert [] == pending(greeting)


@pytest.mark.parametrize(
    ("attempts", "is_settled"),
    [
        ({(1,): 4, (2,): None}, True),
        ({(1,): None, (2,): None}, True),
        ({(1,): 4}, False),
        ({}, False),
    ],
)
def test_notes_tell_whether_all_signals_wait_or_are_parked(
    bus: SignalBus, fail: t.Any, attempts: NextAttempts, is_settled: bool
) -> None:
    """A program need not read them."""
    bus.plugin_manager.register(Postpones(attempts))
    (line,) = fail(2)

    assert isinstance(line, ReportLine)
    assert is_settled is line.is_settled


def test_notes_about_a_broker_are_not_settled(
    bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any
) -> None:
    """Signals of a broker that is down do not wait: the next run tries them."""
    bus.plugin_manager.register(Postpones({(1,): 4}))
    record(greeting, "a")
    wire.cut = BrokerUnavailableError()
    with pytest.raises(BrokerUnavailableError) as caught:
        bus.flush()

    assert [False] == [line.is_settled for line in caught.value.__notes__]


@pytest.mark.parametrize("is_settled", [True, False])
def test_report_line_is_a_text(is_settled: bool) -> None:
    """It equals its text, and can be copied with an error that crosses processes."""
    line = ReportLine("Order: boom", is_settled=is_settled)

    for same in [line, copy.copy(line), pickle.loads(pickle.dumps(line))]:  # noqa: S301
        assert "Order: boom" == same
        assert is_settled is same.is_settled
