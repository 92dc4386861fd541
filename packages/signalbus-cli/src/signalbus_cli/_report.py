"""Tell in plain lines what was sent, and why something was not."""

from __future__ import annotations

import traceback

import click
from flask import current_app


def tell_sent(count: int) -> None:
    """Print how many signals were sent; nothing if there were none."""
    if count:
        click.echo(f"{count:,} {'signal' if count == 1 else 'signals'} sent")


def warn(message: str) -> None:
    """Print a warning on stderr."""
    click.secho(f"Warning: {message}", err=True, fg="yellow")


def tell_error(error: BaseException) -> None:
    """Print the reasons of *error* on stderr, one a line, its notes below it.

    With ``flask --debug`` the traceback comes first.
    """
    if current_app.debug:
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    click.secho(f"Error: {describe(error)}", err=True, fg="red")
    for note in getattr(error, "__notes__", ()):
        click.echo(f"  {_first_line(note)}", err=True)


def describe(error: BaseException) -> str:
    """Return *error* as one line: its kind, and the first line of what it says."""
    says = _first_line(str(error))
    kind = type(error).__name__
    return f"{kind}: {says}" if says else kind


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
