"""``flushmany`` sends all that is pending, burst by burst, beside other processes."""

from __future__ import annotations

import gc
import typing as t
import weakref
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    import subprocess

    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

FLUSHER = Path(__file__).with_name("flusher.py")


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_everything_pending_is_sent(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, form: str
) -> None:
    """All pending signals of all models are sent, each once."""
    first = new_model("First", form=form, signalbus_burst_count=4)
    second = new_model("Second", form=form)
    record(first, *(f"a{number}" for number in range(10)))
    record(second, *(f"b{number}" for number in range(3)))

    assert 13 == bus.flushmany()
    assert 13 == len(wire.sent) == len(set(wire.sent))
    assert {first: 0, second: 0} == bus.count_pending()


def test_only_the_given_models_are_flushed(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any
) -> None:
    """Given models, the others are left alone."""
    first, second = new_model("First"), new_model("Second")
    record(first, "a")
    record(second, "b")

    assert 1 == bus.flushmany([second])
    assert ["b"] == wire.sent


def test_one_burst_at_most_is_in_memory(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """However many are pending, no more than a burst of signals is alive at once."""
    alive: list[int] = []
    signals: weakref.WeakSet[t.Any] = weakref.WeakSet()

    def send_signalbus_messages(cls: SignalModel, burst: t.Iterable[t.Any]) -> None:
        signals.update(burst)
        gc.collect()
        alive.append(len(signals))

    model = new_model(
        signalbus_burst_count=10,
        send_signalbus_messages=classmethod(send_signalbus_messages),
    )
    record(model, *map(str, range(35)))

    assert 35 == bus.flushmany()
    assert [10, 10, 10, 5] == alive


@pytest.mark.databases
def test_rows_already_passed_are_not_scanned_again(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, statements: t.Any
) -> None:
    """Each burst starts after the one before it, and takes a SELECT and a DELETE."""
    model = new_model(form="row", burst=True, signalbus_burst_count=10)
    record(model, *map(str, range(100)))
    statements.clear()
    bus.flushmany()
    texts = [text.lstrip().upper() for text, _ in statements]

    assert 10 == sum(text.startswith("DELETE") for text in texts)
    assert 12 >= sum(text.startswith("SELECT") for text in texts)


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_locked_rows_are_skipped(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    held: t.Any,
    form: str,
    method: str,
) -> None:
    """Rows that another connection has locked are left to it; the rest is sent."""
    model = new_model(form=form, burst=True, signalbus_burst_count=2)
    record(model, *"abcdefg")
    with held(model, "a", "d", "e"):
        assert 4 == getattr(bus, method)(**({"wait": 0} if method == "flush" else {}))
        assert ["b", "c", "f", "g"] == sorted(wire.sent)

    assert 3 == bus.flushmany()


@pytest.mark.databases("postgresql", "mariadb")
def test_a_whole_burst_of_locked_rows_is_passed(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, held: t.Any
) -> None:
    """More locked rows than a burst has do not hide those behind them."""
    model = new_model(form="row", burst=True, signalbus_burst_count=2)
    record(model, *"abcdefg")
    with held(model, *"abcde"):
        assert 2 == bus.flushmany()

    assert ["f", "g"] == sorted(wire.sent)


@pytest.mark.databases("postgresql", "mariadb")
def test_rows_are_locked_while_they_are_sent(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, background: t.Any
) -> None:
    """Another flusher passes the burst that is being sent, and takes the next."""
    others = []

    def send_signalbus_message(self: t.Any) -> None:
        wire.carry(self)
        if self.text == "a":
            others.append(background(bus.flushmany).result())

    model = new_model(send_signalbus_message=send_signalbus_message)
    record(model, "a", "b", "c")

    assert 1 == bus.flushmany([model])
    assert [2] == others
    assert ["a", "b", "c"] == sorted(wire.sent)


@pytest.mark.databases
@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_work(
    interpreter: t.Any,
    engine_url: str,
    tmp_path: Path,
    db: SQLAlchemy,
    greeting: SignalModel,
    record: t.Any,
    pending: t.Any,
    processes: int,
) -> None:
    """Many processes at once send every signal exactly once."""
    texts = [f"{number:04}" for number in range(1000)]
    paths = [tmp_path / f"mailbox {number}" for number in range(processes)]
    record(greeting, *texts)
    flushers: list[subprocess.Popen[str]] = [
        interpreter(FLUSHER, engine_url, str(path), "row", "20", "flushmany")
        for path in paths
    ]
    ready = [flusher.stdout.readline() for flusher in flushers]
    for flusher in flushers:
        flusher.stdin.write("go\n")
        flusher.stdin.flush()
    ended = [flusher.communicate()[0].split() for flusher in flushers]

    assert ["ready\n"] * processes == ready
    assert texts == sorted(line for path in paths for line in _lines(path))
    assert [["sent", str(len(_lines(path)))] for path in paths] == ended
    assert [] == pending(greeting)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
