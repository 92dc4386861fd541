"""The blueprint: the URLs of all pages, and what applies to all of them."""

from __future__ import annotations

import typing as t

import flask
import sqlalchemy.exc as sa_exc
from signalbus import SignalBusError
from werkzeug.exceptions import BadRequest
from werkzeug.exceptions import NotFound

from signalbus_dashboard import _access
from signalbus_dashboard._actions import Actions
from signalbus_dashboard._pages import show_error
from signalbus_dashboard._pages import show_failure
from signalbus_dashboard._views import Views

if t.TYPE_CHECKING:
    from flask.typing import RouteCallable
    from signalbus import SignalBus
    from werkzeug.wrappers import Response

    from signalbus_dashboard._access import Authorize


def dashboard(bus: SignalBus, *, authorize: Authorize | None = None) -> flask.Blueprint:
    """Return a blueprint that shows the outbox of *bus*, and can act on it.

    Register it with a URL prefix. Actions need the sessions of the app, and therefore
    its ``SECRET_KEY``; without one, the dashboard is read-only.

    :param authorize: called for each request, in its context, including those for style
        sheets. If it returns a false value, the answer is 403. If it returns a
        response, such as a redirect to a login, that is the answer. If it returns a
        string, that is the name of the person in the log.
    :raises TypeError: if *authorize* is missing, or cannot be called.
    """
    checked = _access.check(authorize)
    blueprint = flask.Blueprint(
        "signalbus_dashboard",
        __name__,
        static_folder="static",
        template_folder="templates",
    )

    @blueprint.before_request
    def ask() -> Response | None:
        return _access.ask(checked)

    blueprint.after_request(_access.protect)
    _add_pages(blueprint, Views(bus))
    _add_actions(blueprint, Actions(bus))
    blueprint.register_error_handler(BadRequest, show_error)
    blueprint.register_error_handler(NotFound, show_error)
    blueprint.register_error_handler(SignalBusError, show_failure)
    blueprint.register_error_handler(sa_exc.SQLAlchemyError, show_failure)
    return blueprint


def _add_pages(blueprint: flask.Blueprint, views: Views) -> None:
    """Add the pages."""
    model = "/models/<name>"
    pages: dict[str, RouteCallable] = {
        "/": views.overview,
        "/.json": views.overview_json,
        f"{model}/failures": views.failures,
        f"{model}/failures.json": views.failures_json,
        f"{model}/signal": views.signal,
        f"{model}/signal.json": views.signal_json,
        f"{model}/discard": views.confirm_discard,
    }
    for address, view in pages.items():
        blueprint.add_url_rule(address, view.__name__, view)


def _add_actions(blueprint: flask.Blueprint, actions: Actions) -> None:
    """Add the actions."""
    for action in (actions.replay, actions.park, actions.discard):
        name = action.__name__
        blueprint.add_url_rule(f"/models/<name>/{name}", name, action, methods=["POST"])
