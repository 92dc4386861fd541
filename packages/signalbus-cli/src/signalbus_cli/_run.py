"""The loop of all three flush commands."""

from __future__ import annotations

import typing as t

from signalbus.failure_tracker import FailureTracker
from signalbus.failure_tracker import reasons_of
from signalbus.stopping import StopToken

from signalbus_cli._progress import SentCounter
from signalbus_cli._report import print_error
from signalbus_cli._report import print_recovery
from signalbus_cli._report import print_sent
from signalbus_cli._schedule import starts
from signalbus_cli._stop_notice import StopNotice
from signalbus_cli._warnings import shown_warnings

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus


def run(
    app: Flask, flush: t.Callable[[SignalBus], object], interval: float | None
) -> bool:
    """Call *flush* once, or every *interval* seconds until told to stop.

    A run that fails is reported, and does not end the loop. A failure that persists is
    reported once. Returns whether the last run succeeded.
    """
    is_success = True
    failures = FailureTracker()
    token = StopToken()
    notice = StopNotice()
    with shown_warnings(), token.active(), token.on_signals(notice.show):
        for _ in starts(interval, token.wait):
            is_success = _run_once(app, notice.watch(flush), failures, token)
    return is_success


def _run_once(
    app: Flask,
    flush: t.Callable[[SignalBus], object],
    failures: FailureTracker,
    token: StopToken,
) -> bool:
    """Flush in a new app context, so that nothing is left over for the next run."""
    with app.app_context():
        counter = SentCounter()
        error = _flush(app.extensions["signalbus"], flush, counter)
        print_sent(counter.sent)
        if error:
            print_error(error, failures.add(reasons_of(error)))
        elif not token.is_stopping:  # a run that was stopped may have tried nothing
            print_recovery(failures.recover())
        return error is None


def _flush(
    bus: SignalBus, flush: t.Callable[[SignalBus], object], counter: SentCounter
) -> Exception | None:
    """Return the error that kept something from being sent, or ``None``."""
    bus.plugin_manager.register(counter)
    try:
        flush(bus)
    except Exception as error:  # noqa: BLE001 a sender or the database may raise anything
        return error
    finally:
        bus.plugin_manager.unregister(counter)
        counter.close()
    return None
