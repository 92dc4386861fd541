"""Tell in plain lines what was sent, and why something was not."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
import typing as t

import click
from flask import current_app
from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls

#: What Ctrl-C answers, in the place of the progress or of the "^C".
STOPPING = (
    b"\r\033[KStopping after the current burst, if any."
    b" Press Ctrl-C again to quit at once.\n"
)


def tell_sent(count: int) -> None:
    """Print how many signals were sent; nothing if there were none."""
    if count:
        click.echo(f"{count:,} {'signal' if count == 1 else 'signals'} sent")


def warn(message: str) -> None:
    """Print a warning on stderr, as one line."""
    click.secho(f"Warning: {escape_controls(message)}", err=True, fg="yellow")


def tell_error(error: BaseException, reasons: t.Collection[str]) -> None:
    """Print the *reasons* of *error* on stderr, one a line.

    With ``flask --debug`` the traceback comes first.
    """
    if current_app.debug and reasons:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    for reason in reasons:
        click.secho(f"Error: {reason}", err=True, fg="red")


def tell_recovery(runs: int) -> None:
    """Print on stderr that nothing fails any more, if there were *runs* that failed."""
    if runs:
        what = "1 failed run" if runs == 1 else f"{runs:,} failed runs"
        click.secho(f"Recovered after {what}.", err=True, fg="green")


def reasons_of(error: BaseException) -> list[str]:
    """Return why a run failed, in lines.

    They are the notes of *error*, of which one has the error itself; if none has, it is
    a line of its own.
    """
    reason = describe(error)
    notes = [escape_controls(note) for note in getattr(error, "__notes__", ())]
    first = next((note for note in notes if reason in note), reason)
    return [first, *(note for note in notes if note != first)]


def describe(error: BaseException) -> str:
    """Return *error* as one line: its type, and what it says."""
    return describe_error(error)


def tell_stopping(signum: int) -> None:
    """Print on a terminal how Ctrl-C ends the command. Called by a signal handler."""
    if signum == signal.SIGINT and sys.stderr.isatty():
        # Not through sys.stderr, which may be in the middle of a write. A terminal that
        # is gone must not raise into the burst.
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), STOPPING)
