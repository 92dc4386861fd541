"""Find the app, its bus, and the models that the user named."""

from __future__ import annotations

import contextlib
import typing as t

import click
import sqlalchemy.exc as sa_exc
from flask.cli import ScriptInfo
from signalbus import SignalBusError
from signalbus import get_models_to_flush
from signalbus.exceptions import describe_error

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


@contextlib.contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Show errors of signalbus and of the database without a traceback."""
    try:
        yield
    except SignalBusError as error:
        raise click.ClickException(str(error)) from error
    except sa_exc.SQLAlchemyError as error:
        raise click.ClickException(describe_error(error)) from error


def load_app() -> Flask:
    """Return the app of this `flask` command, or exit if it has no bus."""
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


def select_models(
    bus: SignalBus, names: t.Sequence[str], exclude: t.Sequence[str]
) -> list[SignalModel]:
    """Return the models called *names*, or all if *names* is empty, without *exclude*.

    Unknown names are ignored with a warning. It is an error if all are unknown.
    """
    models = get_models_to_flush(bus, names) if names else bus.get_signal_models()
    if names and not models:
        known = ", ".join(sorted(model.__name__ for model in bus.get_signal_models()))
        raise click.UsageError(
            f"No signal model is called {' or '.join(names)}. The signal models of this"
            f" app are: {known or 'none'}."
        )
    excluded = get_models_to_flush(bus, exclude) if exclude else []
    return [model for model in models if model not in excluded]
