"""Count what a run sends, and show its progress."""

from __future__ import annotations

import sys
import threading
import time
import typing as t

import click
from signalbus import hookimpl
from signalbus.exceptions import escape_controls

from signalbus_cli._report import describe_sent

if t.TYPE_CHECKING:
    from collections.abc import Generator

    from signalbus.typing import SignalModel

#: How long a run takes before its progress is shown, in seconds.
_DELAY = 0.5

#: The shortest time between two updates of the display, in seconds.
_INTERVAL = 0.1


class SentCounter:
    """A plugin that counts what this thread sends, and displays the count.

    :ivar sent: the number of signals sent so far.
    """

    def __init__(self) -> None:
        self.sent = 0
        self._thread = threading.get_ident()
        self._display = ProgressDisplay()

    @hookimpl(wrapper=True)  # it runs even when another plugin's implementation fails
    def signalbus_burst_sent(
        self, model: SignalModel, count: int
    ) -> Generator[None, t.Any, t.Any]:
        """Count the burst, unless another thread of the app has sent it."""
        try:
            return (yield)
        finally:
            if threading.get_ident() == self._thread:
                self.sent += count
                self._display.update(model.__name__, self.sent)

    def close(self) -> None:
        """Remove the progress from the terminal."""
        self._display.clear()


class ProgressDisplay:
    """One line on stderr that is redrawn in place, if stderr is a terminal."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._next_update = self._started + _DELAY
        self._is_terminal = sys.stderr.isatty()
        self._is_shown = False

    def update(self, name: str, sent: int) -> None:
        """Redraw the line, unless it was redrawn a moment ago."""
        now = time.monotonic()
        if not self._is_terminal or now < self._next_update:
            return
        self._next_update = now + _INTERVAL
        self._is_shown = True
        rate = sent / (now - self._started)
        self._draw(
            f"{escape_controls(name)}: {describe_sent(sent)}, {rate:,.0f} per second"
        )

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown:
            self._draw("")
            self._is_shown = False

    def _draw(self, text: str) -> None:
        """Draw *text* with the cursor before it: the next output overwrites it."""
        click.echo(f"\033[K{text}\r", nl=False, err=True)
