"""Who may see the dashboard, and what a browser may do with its pages."""

from __future__ import annotations

import hmac
import http
import secrets
import typing as t

import flask
from werkzeug.wrappers import Response

#: Decides about a request, in its context. A false value rejects the request. A
#: response, such as a redirect to a login, is returned instead of the page. A string is
#: the name of the person in the log.
Authorize: t.TypeAlias = "t.Callable[[], Response | str | bool | None]"

#: The name of the CSRF token, in the session and in forms.
TOKEN: t.Final = "signalbus_csrf"  # noqa: S105 a name

#: The attribute that holds the name of the person during a request.
_WHO: t.Final = "signalbus_dashboard_who"

_POLICY: t.Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

#: The headers of every response.
HEADERS: t.Final = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def check(authorize: Authorize | None) -> Authorize:
    """Return *authorize* after checking that it can be called.

    :raises TypeError: if it cannot be called.
    """
    if not callable(authorize):
        raise TypeError(
            "The dashboard must know who may see it and act. Pass dashboard(bus,"
            " authorize=…) a function that returns whether the current request may,"
            " such as `lambda: current_user.is_admin`."
        )
    return authorize


def ask(authorize: Authorize) -> Response | None:
    """Check the current request; return the response that replaces the page, if any."""
    answer = authorize()
    if isinstance(answer, Response):
        return answer
    if not answer:
        flask.abort(http.HTTPStatus.FORBIDDEN)
    setattr(flask.g, _WHO, answer if isinstance(answer, str) else None)
    return None


def who() -> str | None:
    """Return the name of the person, if ``authorize`` has returned one."""
    name: str | None = flask.g.get(_WHO)
    return name


def protect(response: Response) -> Response:
    """Add the headers that keep out other sites, caches and scripts."""
    response.headers.update(HEADERS)
    if flask.request.endpoint and flask.request.endpoint.endswith(".static"):
        response.headers["Cache-Control"] = "private, no-cache"
    return response


def can_act() -> bool:
    """Return whether the app has sessions, to which a token can be bound."""
    return bool(flask.current_app.secret_key)


def token() -> str:
    """Return the CSRF token of the session; empty if the app has no sessions."""
    if not can_act():
        return ""
    if TOKEN not in flask.session:
        flask.session[TOKEN] = secrets.token_urlsafe(32)
    return str(flask.session[TOKEN])


def has_token() -> bool:
    """Return whether the form of the current request has the token of its session."""
    expected = flask.session.get(TOKEN)
    given = flask.request.form.get(TOKEN, "")
    return bool(expected) and hmac.compare_digest(
        str(expected).encode(), given.encode()
    )
