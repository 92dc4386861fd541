"""Find the bus under test."""

from __future__ import annotations

import contextlib
import typing as t

import flask
import pytest

if t.TYPE_CHECKING:
    from signalbus import SignalBus

_OVERRIDE = (
    "Or define a fixture signalbus_bus, which returns the bus, such as db.signalbus."
)


def find_bus(request: pytest.FixtureRequest) -> SignalBus:
    """Return the bus of the app that the fixture ``app`` returns."""
    app = find_app(request)
    if app is None:
        pytest.fail(
            "signalbus-pytest has found no fixture named app. Define it: it returns"
            f" your Flask app. {_OVERRIDE}",
            pytrace=False,
        )
    bus: SignalBus | None = getattr(app, "extensions", {}).get("signalbus")
    if bus is None:
        pytest.fail(
            f"The fixture app returned {app!r}, which has no signal bus. Return an app"
            f" for which bus.init_app(app) was called. {_OVERRIDE}",
            pytrace=False,
        )
    return bus


def find_app(request: pytest.FixtureRequest) -> flask.Flask | None:
    """Return the value of the fixture ``app``; ``None`` if there is no such fixture."""
    try:
        return t.cast("flask.Flask", request.getfixturevalue("app"))
    except pytest.FixtureLookupError as error:
        if error.argname != "app":
            raise  # it is a fixture that this one needs
        return None


def context_of(
    request: pytest.FixtureRequest, bus: SignalBus
) -> t.ContextManager[object]:
    """Enter the context of the test's app, unless an app context is active."""
    if flask.has_app_context():
        return contextlib.nullcontext()
    app = find_app(request)
    if app is not None and app.extensions.get("signalbus") is bus:
        return app.app_context()
    return contextlib.nullcontext()
