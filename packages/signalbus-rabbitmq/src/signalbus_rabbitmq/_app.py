"""Check that an argument is an app."""

from __future__ import annotations

import flask


def check_app(app: object, taker: object) -> None:
    """Raise a ``TypeError``, naming the class of *taker*, if *app* is not an app.

    What it is instead is not shown: it may be a URL with a password.
    """
    if not isinstance(app, flask.Flask):
        raise TypeError(
            f"{type(taker).__name__} takes a Flask application first, not"
            f" {type(app).__name__}. Pass settings by keyword."
        )
