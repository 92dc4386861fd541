"""How commands print: tables, and warnings as one line. For plugins' commands, too."""

from __future__ import annotations

import typing as t

import click
from signalbus.exceptions import clean_line
from signalbus.exceptions import escape_controls

__all__ = ["format_table", "print_warning"]


def format_table(
    headers: t.Sequence[str], rows: t.Sequence[t.Sequence[str | int]]
) -> list[str]:
    """Return the lines of a table whose columns are aligned; none without *rows*.

    Text is aligned to the left, and its control characters are escaped. Numbers are
    aligned to the right, with thousands separators; their headers, too.
    """
    if not rows:
        return []
    is_number = [isinstance(cell, int) for cell in rows[0]]
    lines = [list(map(_text, row)) for row in (headers, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in lines
    ]


def print_warning(message: str) -> None:
    """Print a warning on stderr, as one line."""
    click.secho(f"Warning: {clean_line(message)}", err=True, fg="yellow")


def _text(cell: str | int) -> str:
    return f"{cell:,}" if isinstance(cell, int) else escape_controls(cell)
