"""The loop of all three flush commands."""

from __future__ import annotations

import typing as t

from signalbus.stopping import StopToken

from signalbus_cli._logs import shown_warnings
from signalbus_cli._repeated import Repeated
from signalbus_cli._report import reasons_of
from signalbus_cli._report import tell_error
from signalbus_cli._report import tell_recovery
from signalbus_cli._report import tell_sent
from signalbus_cli._report import tell_stopping
from signalbus_cli._schedule import starts
from signalbus_cli._watch import Watch

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus


def run(
    app: Flask, flush: t.Callable[[SignalBus], object], repeat: float | None
) -> bool:
    """Call *flush* once, or every *repeat* seconds until the process is told to stop.

    Return whether the last run sent all that it tried to send. A run that fails is
    reported, and the next one comes nevertheless. What fails in each of them is told
    once.
    """
    clean = True
    repeated = Repeated()
    token = StopToken()
    with shown_warnings(), token.active(), token.on_signals(tell_stopping):
        for _ in starts(repeat, token.wait):
            clean = _run_once(app, flush, repeated, token)
    return clean


def _run_once(
    app: Flask,
    flush: t.Callable[[SignalBus], object],
    repeated: Repeated,
    token: StopToken,
) -> bool:
    """Flush in an app context of its own: nothing lingers until the next run."""
    with app.app_context():
        bus = app.extensions["signalbus"]
        watch = Watch()
        bus.plugin_manager.register(watch)
        try:
            error = _flush(bus, flush)
        finally:
            bus.plugin_manager.unregister(watch)
            watch.close()
        tell_sent(watch.sent)
        if error:
            tell_error(error, repeated.news(reasons_of(error)))
        elif not token.is_stopping:  # a run that was stopped may have tried nothing
            tell_recovery(repeated.recovered())
        return error is None


def _flush(
    bus: SignalBus, flush: t.Callable[[SignalBus], object]
) -> BaseException | None:
    """Return the error that kept something from being sent, if there is one."""
    try:
        flush(bus)
    except Exception as error:  # noqa: BLE001 a sender, or the database, may raise anything
        return error
    return None
