"""A worker runs a task if and only if the transaction commits."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

if t.TYPE_CHECKING:
    from conftest import CeleryServer
    from conftest import NewShop
    from conftest import NewWorker
    from conftest import Redis


def ids(calls: list[dict[str, t.Any]]) -> list[str]:
    """Return the task ids of *calls*."""
    return [call["id"] for call in calls]


def test_a_task_runs_if_and_only_if_the_transaction_commits(
    server: CeleryServer, new_shop: NewShop, new_worker: NewWorker
) -> None:
    """What is rolled back, by a savepoint or as a whole, is never called."""
    queue = server.new_queue()
    worker = new_worker(server.celery(), queue)
    shop = new_shop(server, queue)
    shop.bus.autoflush = True
    with shop.app.app_context():
        session, paid = shop.db.session, shop.model
        session.add(paid(id=1))
        session.rollback()
        session.add(paid(id=2))
        savepoint = session.begin_nested()
        session.add(paid(id=3))
        savepoint.rollback()
        session.add(paid(id=4))
        session.commit()
        session.add(paid(id=5))
        session.commit()

    assert ["order_paid:2", "order_paid:4", "order_paid:5"] == ids(worker.calls(3))
    assert set() == shop.pending()


def test_a_worker_gets_what_was_recorded(
    server: CeleryServer, new_shop: NewShop, new_worker: NewWorker
) -> None:
    """The arguments, the task id, the headers and the queue."""
    queue = server.new_queue()
    worker = new_worker(server.celery(), queue)
    columns = {"customer": sa.Column(sa.Text), "at": sa.Column(sa.DateTime)}
    shop = new_shop(
        server, queue, columns=columns, signalbus_headers={"traceparent": "00-1-2-03"}
    )
    shop.record({"id": 7, "customer": "Zoë"})

    assert 1 == shop.flush()
    (call,) = worker.calls(1)
    assert {"id": "7", "customer": "'Zoë'", "at": "None"} == call["kwargs"]
    assert ("order_paid:7", queue) == (call["id"], call["queue"])
    assert "00-1-2-03" == call["headers"]["traceparent"]


def test_a_task_that_is_sent_twice_has_one_id(
    server: CeleryServer, new_shop: NewShop, new_worker: NewWorker
) -> None:
    """A worker can tell by the id that it has run the task before."""
    queue = server.new_queue()
    worker = new_worker(server.celery(), queue)
    shop = new_shop(server, queue)
    for _ in range(2):
        shop.record({"id": 7})
        shop.flush()

    assert ["order_paid:7", "order_paid:7"] == ids(worker.calls(2))


def test_a_result_is_stored_as_the_task_says(
    redis_server: Redis, new_shop: NewShop, new_worker: NewWorker
) -> None:
    """The app that sends has nothing to do with it, but can find it by the id."""
    queue = redis_server.new_queue()
    celery = redis_server.celery()
    backend = {"result_backend": celery["broker_url"]}
    worker = new_worker({**celery, **backend}, queue)
    shop = new_shop(redis_server, queue, celery=backend)
    shop.record({"id": 7})
    shop.flush()
    worker.calls(1)

    assert 42 == shop.celery.AsyncResult("order_paid:7").get(timeout=60)
