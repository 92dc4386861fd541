"""Watch a run through the hooks: count what is sent, and show the progress."""

from __future__ import annotations

import sys
import threading
import time
import typing as t

import click
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from signalbus.typing import SignalModel

#: Runs shorter than this, in seconds, show no progress.
_PATIENCE = 0.5

#: The shortest time between two pictures of the progress, in seconds.
_PERIOD = 0.1


class Watch:
    """A plugin for the time of one run.

    :ivar sent: how many signals the run has sent.
    """

    def __init__(self) -> None:
        self.sent = 0
        self._thread = threading.get_ident()
        self._progress = Progress()

    @hookimpl(wrapper=True)  # it runs even when another plugin's implementation fails
    def signalbus_burst_sent(
        self, model: SignalModel, count: int
    ) -> Generator[None, t.Any, t.Any]:
        """Count the burst."""
        try:
            return (yield)
        finally:
            if self._is_ours():
                self.sent += count
                self._progress.show(model.__name__, self.sent)

    def close(self) -> None:
        """Take the progress off the terminal."""
        self._progress.clear()

    def _is_ours(self) -> bool:
        """Tell this run's bursts from the autoflushes of the app's other threads."""
        return threading.get_ident() == self._thread


class Progress:
    """One line on a terminal's stderr, drawn again and again; elsewhere, nothing."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._due = self._started + _PATIENCE
        self._is_terminal = sys.stderr.isatty()
        self._is_shown = False

    def show(self, name: str, sent: int) -> None:
        """Draw the line, unless it was drawn a moment ago."""
        now = time.monotonic()
        if not self._is_terminal or now < self._due:
            return
        self._due = now + _PERIOD
        self._is_shown = True
        rate = sent / (now - self._started)
        self._draw(f"{name}: {sent:,} signals sent, {rate:,.0f} a second")

    def clear(self) -> None:
        """Leave no trace of the line."""
        if self._is_shown:
            self._draw("")
            self._is_shown = False

    def _draw(self, text: str) -> None:
        """Draw *text*, and put the cursor before it: what comes next overwrites it."""
        click.echo(f"\033[K{text}\r", nl=False, err=True)
