"""Print what was sent, and what could not be sent and why."""

from __future__ import annotations

import traceback
import typing as t

import click
from flask import current_app
from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls

from signalbus_cli._failure_tracker import Reason


def print_sent(count: int) -> None:
    """Print how many signals were sent, if any."""
    if count:
        click.echo(describe_sent(count))


def describe_sent(count: int) -> str:
    """Return how many signals were sent, in words."""
    return f"{count:,} {'signal' if count == 1 else 'signals'} sent"


def print_error(error: BaseException, lines: t.Collection[str]) -> None:
    """Print the *lines* about *error* on stderr.

    With ``flask --debug``, print the traceback first.
    """
    if current_app.debug and lines:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    for line in lines:
        click.secho(f"Error: {line}", err=True, fg="red")


def print_recovery(runs: int) -> None:
    """Print on stderr that nothing fails any more, if *runs* is not zero."""
    if runs:
        what = "1 failed run" if runs == 1 else f"{runs:,} failed runs"
        click.secho(f"Recovered after {what}.", err=True, fg="green")


def reasons_of(error: BaseException) -> list[Reason]:
    """Return why a run failed, one line for each reason.

    These are the notes of *error*. The note that contains *error* itself comes first;
    if there is none, *error* has a line of its own.
    """
    text = describe_error(error)
    reasons = _read_notes(getattr(error, "__notes__", ()))
    first = next((each for each in reasons if text in each.line), Reason(text))
    return [first, *(each for each in reasons if each != first)]


def _read_notes(notes: t.Sequence[str]) -> list[Reason]:
    """Return what the core's report says in *notes*, and what others have added.

    The first line of a report is about the error that has the notes. What others have
    added explains this error, so it is settled if that line is.
    """
    settled = [getattr(note, "is_settled", None) for note in notes]
    default = next((each for each in settled if each is not None), False)
    return [
        Reason(escape_controls(note), default if is_settled is None else is_settled)
        for note, is_settled in zip(notes, settled, strict=True)
    ]
