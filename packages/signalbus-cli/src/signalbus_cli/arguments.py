"""What commands have in common: the app, its bus, and the models that the user names.

For the commands of plugins, too. Import it in the module of your commands, which your
``signalbus_register_commands`` imports: the rest of a plugin must not need click.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import typing as t

import click
from signalbus import get_models_to_flush
from signalbus.exceptions import escape_controls

from signalbus_cli._app import bus_of_app
from signalbus_cli._app import errors_in_one_line
from signalbus_cli._app import load_app

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

__all__ = [
    "bus_of_app",
    "complete_names",
    "errors_in_one_line",
    "exclude_option",
    "load_app",
    "names_argument",
    "select_models",
]

F = t.TypeVar("F", bound=t.Callable[..., t.Any])


def complete_names(
    ctx: click.Context, _param: click.Parameter, incomplete: str
) -> list[str]:
    """Return the names of signal models that begin with *incomplete*, for the shell.

    Pass it as *shell_complete* to an argument or option. If the app cannot be loaded,
    there are none, and nothing is printed.
    """
    with ctx.scope(cleanup=False):
        return [name for name in _names_of_app() if name.startswith(incomplete)]


def names_argument(command: F) -> F:
    """Add the argument ``NAMES``: any number of signal models, as *names*."""
    return click.argument("names", nargs=-1, shell_complete=complete_names)(command)


def exclude_option(command: F) -> F:
    """Add the option ``--exclude NAME``, which may be repeated, as *exclude*."""
    return click.option(
        "-e",
        "--exclude",
        metavar="NAME",
        multiple=True,
        shell_complete=complete_names,
        help="Leave out this signal model. May be given several times.",
    )(command)


def select_models(
    bus: SignalBus,
    names: t.Sequence[str],
    exclude: t.Sequence[str] = (),
    *,
    strict: bool = False,
) -> list[SignalModel]:
    """Return the models called *names*, or all if *names* is empty, without *exclude*.

    Unknown names are ignored, with a warning. It is an error if all of *names* are
    unknown.

    :param strict: whether any unknown name is an error, for commands that change or
        delete something.
    :raises click.UsageError: with the names that are close, and all that are known.
    """
    known = bus.get_signal_models()
    if strict:
        _refuse_unknown([*names, *exclude], known)
    models = get_models_to_flush(bus, names) if names else known
    if not models:
        _refuse_unknown(names, known)
    excluded = get_models_to_flush(bus, exclude) if exclude else []
    return [model for model in models if model not in excluded]


def _refuse_unknown(names: t.Sequence[str], models: t.Sequence[SignalModel]) -> None:
    """Raise an error if one of *names* is not that of one of *models*."""
    known = sorted({model.__name__ for model in models})
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise click.UsageError(
            f"No signal model is called {escape_controls(' or '.join(unknown))}."
            f"{_suggestion(unknown, known)} The signal models of this app are:"
            f" {escape_controls(', '.join(known)) or 'none'}."
        )


def _suggestion(unknown: t.Iterable[str], known: t.Sequence[str]) -> str:
    """Return a question for the names that were probably meant, if any."""
    by_lower = {name.lower(): name for name in known}
    close = [
        by_lower[match]
        for name in unknown
        for match in difflib.get_close_matches(name.lower(), by_lower)
    ]
    names = escape_controls(" or ".join(dict.fromkeys(close)))
    return f" Did you mean {names}?" if close else ""


def _names_of_app() -> list[str]:
    """Return the names of the app's signal models; none if it cannot be loaded.

    Nothing that the app prints reaches the shell, which reads the completions.
    """
    ignored = io.StringIO()
    with contextlib.redirect_stdout(ignored), contextlib.redirect_stderr(ignored):
        try:
            with bus_of_app() as bus:
                return sorted({model.__name__ for model in bus.get_signal_models()})
        except (Exception, SystemExit):  # noqa: BLE001 an app may raise anything
            return []
