"""The tasks of the shop, for those who choose Celery as its broker."""

from __future__ import annotations

import typing as t

from celery import Celery
from celery import shared_task

if t.TYPE_CHECKING:
    from flask import Flask


def make_celery(app: Flask) -> Celery:
    """Make the Celery app of *app*, which signalbus finds in its extensions.

    The setting `CELERY` configures it, such as `{"broker_url": "amqp://…"}`.
    """
    celery = Celery(app.name)
    celery.conf.update(app.config["CELERY"])
    celery.set_default()
    app.extensions["celery"] = celery
    return celery


@shared_task(ignore_result=True)  # type: ignore[untyped-decorator]  # no types
def announce(order_id: int, customer: str, **more: object) -> None:
    """Tell the customer what happened to the order."""
    print(f"Dear {customer}, there is news of your order {order_id}: {more}")
