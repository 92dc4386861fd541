"""The actions of the dashboard: replay, park and discard. Each is logged."""

from __future__ import annotations

import http
import typing as t

import flask
from signalbus.exceptions import hide_passwords
from signalbus.logs import get_logger

from signalbus_dashboard import _access
from signalbus_dashboard._names import model_named
from signalbus_dashboard._pages import leave_notice
from signalbus_dashboard._times import signals
from signalbus_dashboard._views import chosen_of_request
from signalbus_dashboard._views import require_retry

if t.TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

logger = get_logger("signalbus.dashboard")

#: What was done to one signal, and to several.
_DONE: t.Final = {
    "replay": ("will be sent by the next flush", "will be sent by the next flush"),
    "park": ("is parked", "are parked"),
    "discard": ("was discarded", "were discarded"),
}

Conditions: t.TypeAlias = "dict[str, t.Any]"


class Actions:
    """The actions behind the forms of one dashboard."""

    def __init__(self, bus: SignalBus) -> None:
        self._bus = bus

    def replay(self, name: str) -> ResponseReturnValue:
        """Let signals be sent by the next flush."""
        model = self._begin(name)
        from signalbus_dashboard import _failed

        conditions = self._conditions(model)
        count = _failed.replay(self._bus, model, **conditions)
        return self._end("replay", name, count, conditions)

    def park(self, name: str) -> ResponseReturnValue:
        """Let no flush send a signal until it is replayed."""
        model = self._begin(name)
        from signalbus_dashboard import _failed

        key = self._key(model)
        who = _access.who()
        reason = f"Parked by {who}." if who else ""
        count = _failed.park(self._bus, model, key, reason)
        return self._end("park", name, count, {"keys": [key]})

    def discard(self, name: str) -> ResponseReturnValue:
        """Delete failed signals without sending them."""
        model = self._begin(name)
        from signalbus_dashboard import _failed

        conditions = self._conditions(model)
        count = _failed.discard(self._bus, model, **conditions)
        return self._end("discard", name, count, conditions)

    def _begin(self, name: str) -> SignalModel:
        """Reject requests that no form of this session made; return the model."""
        if not _access.can_act() or not _access.has_token():
            flask.abort(
                http.HTTPStatus.BAD_REQUEST,
                "The form has expired, or did not come from this dashboard. Nothing was"
                " done. Go back, reload the page, and try again.",
            )
        require_retry(self._bus)
        return model_named(self._bus, name)

    def _conditions(self, model: SignalModel) -> Conditions:
        """Return the selected signals: one, or all that match a filter."""
        if "key" in flask.request.form:
            return {"keys": [self._key(model)]}
        return chosen_of_request().conditions

    def _key(self, model: SignalModel) -> PrimaryKey:
        from signalbus_dashboard import _signal

        return _signal.read_key(self._bus, model, flask.request.form.get("key", ""))

    def _end(
        self, action: str, name: str, count: int, conditions: Conditions
    ) -> ResponseReturnValue:
        """Log what was done, and redirect to the page that says so."""
        _log(action, name, count, conditions)
        if count:
            leave_notice(f"{signals(count)} of {name} {_DONE[action][count > 1]}.")
        else:
            leave_notice("Nothing was done: the signal was sent or deleted meanwhile.")
        address = flask.url_for(".failures", name=name)
        return flask.redirect(address, http.HTTPStatus.SEE_OTHER)


def _log(action: str, name: str, count: int, conditions: Conditions) -> None:
    """Log an action in one line, with its parts as attributes of the record."""
    who = _access.who()
    what = {
        field: hide_passwords(repr(value)) if field != "parked" else value
        for field, value in conditions.items()
        if value is not None
    }
    logger.info(
        "%s: %s of %s%s",
        action,
        signals(count),
        name,
        f", by {who}" if who else "",
        extra={
            "signalbus_action": action,
            "signalbus_model": name,
            "signalbus_count": count,
            "signalbus_chosen": what,
            "signalbus_user": who,
            "signalbus_address": flask.request.remote_addr,
        },
    )
