"""A Celery app as Flask's manual makes it, and tasks that write down their calls.

It is what ``python -m celery -A celery_shop worker`` runs. The environment variable
``CELERY_SHOP`` configures it: JSON with ``celery``, settings, and ``notes``, a file.
"""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

from celery import Celery
from celery import Task
from flask import Flask

CONFIG = json.loads(os.environ.get("CELERY_SHOP", "{}"))


def celery_init_app(app: Flask) -> Celery:
    """Make the Celery app of *app*: this is from the manual of Flask."""

    class FlaskTask(Task):  # type: ignore[misc]  # Celery has no types
        def __call__(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


def make_app() -> Flask:
    """Make the app of the worker."""
    app = Flask("shop")
    app.config["CELERY"] = CONFIG["celery"]
    celery_init_app(app)
    return app


def note(task: t.Any, args: tuple[t.Any, ...], kwargs: dict[str, t.Any]) -> None:
    """Write a line about the call that a worker runs."""
    request = task.request
    line = {
        "id": request.id,
        "args": [repr(each) for each in args],
        "kwargs": {name: repr(value) for name, value in kwargs.items()},
        "headers": request.headers,
        "priority": request.delivery_info["priority"],
        "queue": request.delivery_info["routing_key"],
        "eta": request.eta,
    }
    with Path(CONFIG["notes"]).open("a") as notes:
        notes.write(json.dumps(line) + "\n")


if CONFIG:
    app = make_app().extensions["celery"]

    @app.task(bind=True, name="shop.take")  # type: ignore[untyped-decorator]  # likewise
    def take(task: t.Any, *args: t.Any, **kwargs: t.Any) -> int:
        """Take a call."""
        note(task, args, kwargs)
        return 42
