"""Print what was sent, and what could not be sent and why."""

from __future__ import annotations

import traceback
import typing as t

import click
from flask import current_app
from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls


def print_sent(count: int) -> None:
    """Print how many signals were sent, if any."""
    if count:
        click.echo(describe_sent(count))


def describe_sent(count: int) -> str:
    """Return how many signals were sent, in words."""
    return f"{count:,} {'signal' if count == 1 else 'signals'} sent"


def print_warning(message: str) -> None:
    """Print a warning on stderr, as one line."""
    click.secho(f"Warning: {escape_controls(message)}", err=True, fg="yellow")


def print_error(error: BaseException, reasons: t.Collection[str]) -> None:
    """Print the *reasons* of *error* on stderr, one per line.

    With ``flask --debug``, print the traceback first.
    """
    if current_app.debug and reasons:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    for reason in reasons:
        click.secho(f"Error: {reason}", err=True, fg="red")


def print_recovery(runs: int) -> None:
    """Print on stderr that nothing fails any more, if *runs* is not zero."""
    if runs:
        what = "1 failed run" if runs == 1 else f"{runs:,} failed runs"
        click.secho(f"Recovered after {what}.", err=True, fg="green")


def reasons_of(error: BaseException) -> list[str]:
    """Return why a run failed, one line for each reason.

    These are the notes of *error*. The note that contains *error* itself comes first;
    if there is none, *error* has a line of its own.
    """
    reason = describe_error(error)
    notes = [escape_controls(note) for note in getattr(error, "__notes__", ())]
    first = next((note for note in notes if reason in note), reason)
    return [first, *(note for note in notes if note != first)]
