"""Whatever a sender does, other signals are sent, and the relay knows what happens."""

from __future__ import annotations

import asyncio
import threading
import typing as t

import pytest
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from conftest import Running
    from conftest import Wire
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

NewModel: t.TypeAlias = "t.Callable[..., SignalModel]"
Record: t.TypeAlias = "t.Callable[..., None]"
Run: t.TypeAlias = "t.Callable[..., Running]"

#: After how many seconds something that does not happen counts as missing.
BOUND = 60.0


@pytest.mark.parametrize(
    "kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
)
def test_what_is_no_exception_stops_no_other_signal(
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    kind: type[BaseException],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The rest of its burst goes out, and what comes later; the log names it."""

    def fail(text: str) -> None:
        if text == "bad":
            raise kind

    wire.on_sending = fail
    letter = new_model("Letter", signalbus_burst_count=3)
    record(letter, "a", "bad", "b", "c")
    said = f"SignalBusError: The sender raised {kind.__name__}"
    running = run()
    wire.expect("a", "b", "c")
    record(letter, "d")
    wire.expect("d")

    assert 0 == running.stop()
    assert "bad" not in wire.sent
    assert f"Letter(id=2) was not sent and stays pending: {said}" in caplog.text


@pytest.mark.databases("postgresql")
def test_a_sender_that_autoflushes_others_is_still_sending(
    db: SQLAlchemy,
    bus: SignalBus,
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
) -> None:
    """If it hangs after that, the relay ends with status 1: a burst is left behind."""
    letter = new_model("Letter", signalbus_autoflush=False)
    receipt = new_model("Receipt", signalbus_broker="post")
    assert receipt
    is_over, is_nested = threading.Event(), threading.Event()

    class Post:
        """Carries receipts."""

        @hookimpl
        def signalbus_send_burst(self, model: SignalModel) -> bool | None:
            """Send nothing else."""
            return True if model is receipt else None

    bus.plugin_manager.register(Post())

    def commit_and_hang(text: str) -> None:
        db.session.add(receipt(text="receipt"))
        db.session.commit()
        is_nested.set()
        is_over.wait(BOUND)

    wire.on_sending = commit_and_hang
    record(letter, "a")
    bus.autoflush = True
    running = run(grace=0.2)
    assert is_nested.wait(BOUND)
    status = running.stop()
    is_over.set()

    assert 1 == status
