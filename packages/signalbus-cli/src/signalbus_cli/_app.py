"""Find the app and its bus, and show their errors as one line."""

from __future__ import annotations

import contextlib
import typing as t

import click
import sqlalchemy.exc as sa_exc
from flask.cli import ScriptInfo
from signalbus import SignalBusError
from signalbus.exceptions import clean_line
from signalbus.exceptions import describe_error

from signalbus_cli._warnings import shown_warnings

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from signalbus import SignalBus


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Show errors of signalbus and of the database without a traceback.

    Any of them ends the command, with exit status 1. Other errors are raised.
    """
    try:
        yield
    except SignalBusError as error:
        raise click.ClickException(clean_line(str(error))) from error
    except sa_exc.SQLAlchemyError as error:
        raise click.ClickException(describe_error(error)) from error


def load_app() -> Flask:
    """Return the app of this `flask` command, or exit if it has no bus.

    Its bus is ``app.extensions["signalbus"]``.
    """
    info = click.get_current_context().ensure_object(ScriptInfo)
    with errors_in_one_line():
        app = info.load_app()
    if "signalbus" not in app.extensions:
        raise click.ClickException(
            f"The app {app.name!r} has no signal bus. Create one with `SignalBus(db)`,"
            " or derive the class of `db` from `SignalBusMixin` and call"
            " `db.init_app(app)`."
        )
    return app


@contextlib.contextmanager
def bus_of_app() -> Iterator[SignalBus]:
    """Give the bus of this command's app, in an app context of its own.

    Inside, an error of signalbus or of the database ends the command with one line on
    stderr. Warnings of signalbus are also lines on stderr, unless the app has
    configured logging.
    """
    app = load_app()
    with app.app_context(), errors_in_one_line(), shown_warnings():
        yield app.extensions["signalbus"]
