"""Eager Celery apps, as tests have them, run the tasks of signals in their process."""

from __future__ import annotations

import logging
import typing as t

import pytest

if t.TYPE_CHECKING:
    from conftest import NewShop
    from conftest import Shop

EAGER = {"task_always_eager": True, "broker_url": "amqp://127.0.0.1:1//"}


@pytest.fixture
def shop(new_shop: NewShop) -> Shop:
    """Give a shop whose Celery app is eager."""
    return new_shop(None, celery=EAGER)


def ids_and_arguments(shop: Shop) -> list[tuple[str, t.Any]]:
    """Let the task note its calls, and return the notes."""
    notes: list[tuple[str, t.Any]] = []

    @shop.task(bind=True)
    def take(task: t.Any, **kwargs: t.Any) -> None:
        notes.append((task.request.id, kwargs))

    return notes


def test_a_task_runs_when_its_signal_is_sent(shop: Shop) -> None:
    """With its arguments and its id; there is no broker."""
    notes = ids_and_arguments(shop)
    shop.bus.autoflush = True
    shop.record({"id": 7})

    assert [("order_paid:7", {"id": 7})] == notes
    assert set() == shop.pending()


def test_a_task_may_write_to_the_database(shop: Shop) -> None:
    """It runs when the burst has let go of its locks; SQLite has one for everything."""
    seen: list[set[int]] = []

    @shop.task()
    def take(id: int) -> None:  # noqa: A002 the name of the column
        seen.append(shop.pending())
        if id < 9:
            shop.db.session.add(shop.model(id=id + 1))
            shop.db.session.commit()

    shop.bus.autoflush = True
    shop.record({"id": 7})

    assert [set(), set(), set()] == seen


def test_a_task_that_raises_has_been_sent(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """As if a worker had run it: the error is logged, and the others run."""
    run: list[int] = []

    @shop.task()
    def take(id: int) -> None:  # noqa: A002 the name of the column
        run.append(id)
        if id == 1:
            raise ZeroDivisionError

    shop.record({"id": 1}, {"id": 2})
    with caplog.at_level(logging.ERROR):
        assert 2 == shop.flush()

    assert [1, 2] == run
    assert "ZeroDivisionError" in caplog.text


def test_errors_that_propagate_are_logged_once_all_have_run(
    new_shop: NewShop, caplog: pytest.LogCaptureFixture
) -> None:
    """A commit does not fail by a task."""
    shop = new_shop(None, celery={**EAGER, "task_eager_propagates": True})
    run: list[int] = []

    @shop.task()
    def take(id: int) -> None:  # noqa: A002 the name of the column
        run.append(id)
        raise ZeroDivisionError

    shop.record({"id": 1}, {"id": 2})
    with caplog.at_level(logging.ERROR):
        assert 2 == shop.flush()

    assert [1, 2] == run
    assert "ZeroDivisionError" in caplog.text


def test_a_task_that_is_unknown_fails_alone(new_shop: NewShop) -> None:
    """Its signal stays, and the error says what to do."""
    task = staticmethod(lambda signal: "shop.no" if signal.id == 2 else "shop.take")
    shop = new_shop(None, celery=EAGER, signalbus_task=task)
    notes = ids_and_arguments(shop)
    shop.record({"id": 1}, {"id": 2}, {"id": 3})

    with pytest.raises(Exception, match=r"no task 'shop\.no'\. Import the"):
        shop.flush()

    assert ["order_paid:1", "order_paid:3"] == [task_id for task_id, _ in notes]
    assert {2} == shop.pending()


def test_nothing_runs_if_the_burst_fails(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signals are sent again, and the tasks run then."""
    import sqlalchemy as sa

    notes = ids_and_arguments(shop)
    shop.record({"id": 7})
    with shop.app.app_context():
        engine = shop.db.engine

    def fail(*_: object) -> None:
        raise OSError("no space left")

    sa.event.listen(engine, "commit", fail)
    with pytest.raises(OSError, match="no space"):
        shop.flush()
    assert [] == notes
    sa.event.remove(engine, "commit", fail)
    shop.flush()

    assert ["order_paid:7"] == [task_id for task_id, _ in notes]
