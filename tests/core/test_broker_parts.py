"""The parts of a broker: batches, limits of waiting, and what each process makes."""

from __future__ import annotations

import contextvars
import os
import queue
import socket
import threading
import types
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import BrokerTimeoutError
from signalbus import BrokerUnavailableError
from signalbus import PartialDeliveryError
from signalbus import stopping
from signalbus.brokers import PerProcess
from signalbus.brokers import WaitLimit
from signalbus.brokers import call_in_thread
from signalbus.messages import MessageBatch
from signalbus.messages import MessageFactory


@pytest.fixture
def batch() -> MessageBatch:
    """Give three messages."""
    base = sa_orm.declarative_base()
    columns = {"__tablename__": "paid", "id": sa.Column(sa.Integer, primary_key=True)}
    factory = MessageFactory(type("Paid", (base,), columns))
    signals = [types.SimpleNamespace(id=number) for number in range(3)]
    return MessageBatch(factory, t.cast("t.Any", None), signals)


def test_a_confirmed_batch_raises_nothing(batch: MessageBatch) -> None:
    """One by one, or all at once."""
    batch.confirm(0)
    batch.confirm_all()

    batch.raise_failures()
    assert batch.is_settled


def test_iterating_again_gives_what_is_left(batch: MessageBatch) -> None:
    """So a burst goes on over another connection, with the same ids."""
    first = list(batch)
    batch.confirm(0)
    batch.fail(2, ValueError("no"))

    assert [first[1]] == list(batch)


def test_failures_are_raised_together(batch: MessageBatch) -> None:
    """By position, with their reasons."""
    batch.fail(2, ValueError("no"))
    batch.confirm_all()

    with pytest.raises(PartialDeliveryError) as caught:
        batch.raise_failures()

    assert {2: "no"} == {at: str(why) for at, why in caught.value.failures.items()}


def test_an_outage_of_all_is_raised_as_it_is(batch: MessageBatch) -> None:
    """If no message was confirmed because of it, it is about the broker."""
    batch.fail_rest(BrokerTimeoutError("too late"))

    with pytest.raises(BrokerTimeoutError, match="too late"):
        batch.raise_failures()


def test_an_outage_after_a_confirm_is_partial(batch: MessageBatch) -> None:
    """What was confirmed must be deleted."""
    batch.confirm(1)
    batch.fail_rest(BrokerUnavailableError("gone"))

    with pytest.raises(PartialDeliveryError) as caught:
        batch.raise_failures()

    assert {0, 2} == set(caught.value.failures)


def test_a_message_that_fails_can_still_be_confirmed(batch: MessageBatch) -> None:
    """The last word counts: a confirm may overtake the timeout that was recorded."""
    batch.fail(0, BrokerTimeoutError("too late"))
    batch.confirm(0)
    batch.confirm_all()

    batch.raise_failures()


@pytest.mark.parametrize("position", [-1, 3])
def test_a_position_is_one_of_the_batch(batch: MessageBatch, position: int) -> None:
    """A sender that counts wrongly must not delete what it has not sent."""
    with pytest.raises(IndexError, match="the batch has 3"):
        batch.confirm(position)
    with pytest.raises(IndexError, match="the batch has 3"):
        batch.fail(position, ValueError())


def test_a_reason_is_an_exception(batch: MessageBatch) -> None:
    """A text or a class would say too little."""
    with pytest.raises(TypeError, match="'too heavy', which is not an exception"):
        batch.fail(0, "too heavy")  # type: ignore[arg-type]


def test_a_limit_moves_with_progress() -> None:
    """A broker that answers may take longer than its timeout in all."""
    limit = WaitLimit(idle=10)
    limit._progress -= 9  # noqa: SLF001 as if nine seconds had gone by
    before = limit.remaining()
    limit.note_progress()

    assert before < 2 < limit.remaining()


def test_the_total_does_not_move() -> None:
    """Where a commit waits, progress gives no more time."""
    limit = WaitLimit(idle=10, total=0)
    limit.note_progress()

    assert limit.is_over
    assert 0 == limit.nap()


def test_a_stop_leaves_a_second() -> None:
    """A process that is told to stop does not wait for a silent broker."""
    token = stopping.StopToken()
    limit = WaitLimit(idle=1000)
    with token.active():
        before = limit.remaining()
        token.stop()

        assert limit.remaining() <= 1 < before


def test_a_limit_waits_for_something_to_read() -> None:
    """It returns at once where there is something, and when the time is over."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not WaitLimit(idle=0.01).wait_for(ours)
        theirs.sendall(b"a")
        assert WaitLimit(idle=1000).wait_for(ours)


def test_a_call_in_a_thread_returns_its_result() -> None:
    """Of a function that sees the context of its caller."""
    place = contextvars.ContextVar[str]("place")
    place.set("here")

    assert "here" == call_in_thread(place.get, WaitLimit(idle=1000))


def test_a_call_in_a_thread_raises_its_error() -> None:
    """Whatever that is."""
    with pytest.raises(ZeroDivisionError):
        call_in_thread(lambda: 1 / 0, WaitLimit(idle=1000))


def test_a_call_that_takes_too_long_is_left_behind() -> None:
    """What it returns in the end is discarded."""
    answers, discarded = queue.SimpleQueue[str](), queue.SimpleQueue[str]()

    with pytest.raises(BrokerTimeoutError):
        call_in_thread(answers.get, WaitLimit(idle=0.01), discard=discarded.put)
    answers.put("late")

    assert "late" == discarded.get(timeout=60)


def test_each_process_makes_its_own() -> None:
    """A child neither uses nor closes what its parent has made."""
    closed: list[int] = []
    each = PerProcess(os.getpid, closed.append)
    ours = each.get()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, b"%d" % each.get())
        each.discard()
        os._exit(len(closed) - 1)
    _, status = os.waitpid(child, 0)

    assert 0 == status
    assert str(child).encode() == os.read(reader, 20)
    assert (ours, []) == (each.get(), closed)


def test_threads_make_one() -> None:
    """Whoever comes first makes it for all."""
    made: list[object] = []
    barrier = threading.Barrier(4)

    def make() -> object:
        made.append(object())
        return made[-1]

    each = PerProcess(make)

    def get() -> None:
        barrier.wait()
        each.get()

    threads = [threading.Thread(target=get) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(made)


def test_what_was_replaced_is_not_discarded_again() -> None:
    """Two threads that find the same connection dead make one new one."""
    each = PerProcess(object)
    dead = each.get()
    each.discard(dead)
    new = each.get()
    each.discard(dead)

    assert new is each.get()
