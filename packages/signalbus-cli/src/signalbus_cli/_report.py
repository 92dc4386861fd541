"""Print what was sent, and what could not be sent and why."""

from __future__ import annotations

import typing as t

import click
from flask import current_app
from signalbus.exceptions import clean_line
from signalbus.logs import format_traceback


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
        click.echo(format_traceback(error), err=True)
    for line in lines:
        click.secho(f"Error: {clean_line(line)}", err=True, fg="red")


def print_recovery(runs: int) -> None:
    """Print on stderr that nothing fails any more, if *runs* is not zero."""
    if runs:
        what = "1 failed run" if runs == 1 else f"{runs:,} failed runs"
        click.secho(f"Recovered after {what}.", err=True, fg="green")
