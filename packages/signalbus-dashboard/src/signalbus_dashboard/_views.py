"""The pages of the dashboard, each with its JSON."""

from __future__ import annotations

import http
import typing as t

import flask

from signalbus_dashboard import _documents
from signalbus_dashboard import _plugins
from signalbus_dashboard._names import model_named
from signalbus_dashboard._overview import OverviewReader
from signalbus_dashboard._pages import render

if t.TYPE_CHECKING:
    from flask.typing import ResponseReturnValue
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

    from signalbus_dashboard._failed import Chosen


class Views:
    """The pages of one dashboard."""

    def __init__(self, bus: SignalBus) -> None:
        self._bus = bus
        self._overview = OverviewReader(bus)

    def overview(self) -> ResponseReturnValue:
        """Show all models, and the relays."""
        return render("overview", overview=self._overview.read())

    def overview_json(self) -> ResponseReturnValue:
        """Return the same as JSON."""
        return _documents.of_overview(self._overview.read())

    def failures(self, name: str) -> ResponseReturnValue:
        """Show the failed signals of a model."""
        return render("failures", name=name, **self._failures(name))

    def failures_json(self, name: str) -> ResponseReturnValue:
        """Return the same as JSON."""
        found = self._failures(name)
        counts = found["counts"]
        return {
            "model": name,
            "failing": counts.waiting,
            "parked": counts.parked,
            "is_complete": counts.is_complete,
            "groups": [_documents.of_group(each) for each, _ in found["groups"]],
            "page": found["number"],
            "has_more": found["page"].has_more,
            "signals": [
                _documents.of_failure(each, key) for key, each in found["failures"]
            ],
        }

    def signal(self, name: str) -> ResponseReturnValue:
        """Show one signal."""
        details = self._details(name)
        if details is None:
            return render("gone", name=name), http.HTTPStatus.NOT_FOUND
        return render("signal", name=name, signal=details)

    def signal_json(self, name: str) -> ResponseReturnValue:
        """Return the same as JSON."""
        details = self._details(name)
        if details is None:
            error = "The signal is gone: it was sent, or deleted."
            return {"error": error}, http.HTTPStatus.NOT_FOUND
        return _documents.of_signal(details)

    def confirm_discard(self, name: str) -> ResponseReturnValue:
        """Ask whether to delete the chosen signals."""
        if "key" not in flask.request.args:
            return self._confirm_many(name)
        details = self._details(name)
        if details is None:
            return render("gone", name=name), http.HTTPStatus.NOT_FOUND
        return render("discard", name=name, signal=details, chosen=None, count=1)

    def _confirm_many(self, name: str) -> ResponseReturnValue:
        model = self._model(name)
        from signalbus_dashboard import _failed

        chosen = chosen_of_request()
        counts = _failed.count_chosen(self._bus, model, chosen, _failed.GROUPED)
        return render(
            "discard",
            name=name,
            signal=None,
            chosen=chosen,
            count=counts.total,
            is_complete=counts.is_complete,
        )

    def _failures(self, name: str) -> dict[str, t.Any]:
        """Return the content of the page about the failures of a model."""
        model = self._model(name)
        from signalbus_dashboard import _failed

        bus, chosen = self._bus, chosen_of_request()
        number = max(1, flask.request.args.get("page", 1, type=int))
        number = min(number, _failed.GROUPED // _failed.PAGE)
        page = _failed.page(bus, model, chosen, number)
        keys = [_failed.key_text(bus, model, each.key) for each in page.failures]
        return {
            "chosen": chosen,
            "counts": _failed.count_chosen(bus, model, chosen, _failed.GROUPED),
            "groups": [
                (group, _failed.telling_part(group))
                for group in _failed.groups(bus, model, chosen)
            ],
            "page": page,
            "number": number,
            "failures": list(zip(keys, page.failures, strict=True)),
        }

    def _details(self, name: str) -> t.Any:
        """Return the signal that the URL names; ``None`` if it is gone."""
        model = self._model(name)
        from signalbus_dashboard import _signal

        key = _signal.read_key(self._bus, model, flask.request.args.get("key", ""))
        return _signal.read_signal(self._bus, name, model, key)

    def _model(self, name: str) -> SignalModel:
        """Return the model that the URL names."""
        require_retry(self._bus)
        return model_named(self._bus, name)


def require_retry(bus: SignalBus) -> None:
    """Answer that there is no such page if failures are not recorded."""
    if not _plugins.has_retry(bus):
        flask.abort(
            http.HTTPStatus.NOT_FOUND,
            "Failures are not recorded. Install signalbus-retry to see them here.",
        )


def chosen_of_request() -> Chosen:
    """Return the failed signals that the URL of the request selects."""
    from signalbus_dashboard._failed import Chosen

    values = flask.request.values
    state = values.get("state", "")
    if state not in {"", "failing", "parked"}:
        flask.abort(http.HTTPStatus.BAD_REQUEST, "The state is failing or parked.")
    return Chosen(values.get("error", ""), state)
