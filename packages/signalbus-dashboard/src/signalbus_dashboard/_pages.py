"""Render pages and errors, and the notice that an action leaves for the next page."""

from __future__ import annotations

import http
import typing as t

import flask
from signalbus.exceptions import describe_error
from signalbus.exceptions import hide_passwords
from signalbus.logs import get_logger

from signalbus_dashboard import _access
from signalbus_dashboard import _times
from signalbus_dashboard._values import as_text

if t.TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from werkzeug.exceptions import HTTPException

logger = get_logger("signalbus.dashboard")

#: The key of the notice in the session.
_NOTICE: t.Final = "signalbus_notice"

#: How many characters of an error a table shows.
_MAX_LINE: t.Final = 140


def render(page: str, /, **values: t.Any) -> str:
    """Return a page. All *values* are escaped."""
    return flask.render_template(
        f"signalbus_dashboard/{page}.html",
        notice=_pop_notice(),
        can_act=_access.can_act(),
        token_name=_access.TOKEN,
        **_FUNCTIONS,
        **values,
    )


def leave_notice(text: str) -> None:
    """Show *text* on the next page."""
    flask.session[_NOTICE] = text


def show_error(error: HTTPException) -> ResponseReturnValue:
    """Answer with a page, or with JSON, that says what is wrong with the request."""
    return _answer(error.name, error.description or "", error.code or 500)


def show_failure(error: Exception) -> ResponseReturnValue:
    """Answer that the database could not be read, and why. Log it, too."""
    text = describe_error(error)
    logger.error("The dashboard could not read %s: %s", flask.request.path, text)
    status = http.HTTPStatus.SERVICE_UNAVAILABLE
    return _answer("This cannot be read", text, status)


def _answer(title: str, text: str, status: int) -> ResponseReturnValue:
    if flask.request.path.endswith(".json"):
        return {"error": text}, status
    return render("error", title=title, text=text), status


def _pop_notice() -> str | None:
    if not _access.can_act() or _NOTICE not in flask.session:
        return None
    return str(flask.session.pop(_NOTICE))


def _first_line(text: str) -> str:
    """Return the beginning of an error, as one line."""
    line = " · ".join(filter(None, map(str.strip, hide_passwords(text).splitlines())))
    return line if len(line) <= _MAX_LINE else f"{line[: _MAX_LINE - 1]}…"


#: The functions that templates call.
_FUNCTIONS: t.Final[dict[str, t.Callable[..., str]]] = {
    "ago": _times.ago,
    "as_text": as_text,
    "count_text": _times.count_text,
    "first_line": _first_line,
    "mask": hide_passwords,
    "signals": _times.signals,
    "span": _times.span,
    "stamp": _times.stamp,
    "token": _access.token,
    "until": _times.until,
}
