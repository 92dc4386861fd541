"""What commands have in common, those of plugins included."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import click
import pytest
from flask.cli import ScriptInfo
from signalbus import MissingTableError
from signalbus_cli.arguments import bus_of_app
from signalbus_cli.arguments import exclude_option
from signalbus_cli.arguments import names_argument
from signalbus_cli.arguments import select_models
from signalbus_cli.output import format_table
from signalbus_cli.output import print_warning

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome
    from flask import Flask

Run: t.TypeAlias = "t.Callable[..., Outcome]"
Complete: t.TypeAlias = "t.Callable[..., list[str]]"

KNOWN = "The signal models of this app are: Letter, Parcel."


@click.command()
@names_argument
@exclude_option
def choose(names: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    """Print the names of the models that were chosen, as a plugin's command would."""
    with bus_of_app() as bus:
        for model in select_models(bus, names, exclude, strict=True):
            click.echo(model.__name__)


@pytest.fixture
def complete(tmp_path: Path) -> Complete:
    """Return what the shell offers for the last word of ``complete(words…)``.

    Flask runs in a process of its own, as the shell would start it.
    """

    def run(*words: str) -> list[str]:
        done = subprocess.run(  # noqa: S603 our own command
            [Path(sys.executable).with_name("flask")],
            env={
                **os.environ,
                "PYTHONPATH": str(tmp_path),
                "_FLASK_COMPLETE": "bash_complete",
                "COMP_WORDS": " ".join(["flask", *words]),
                "COMP_CWORD": str(len(words)),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "" == done.stderr
        return [line.removeprefix("plain,") for line in done.stdout.split()]

    return run


@pytest.mark.usefixtures("post_office")
@pytest.mark.parametrize(
    "words",
    [["flush", "Let"], ["flushmany", "Parcel", "L"], ["pending", "--exclude", "L"]],
)
def test_the_shell_completes_names(complete: Complete, words: list[str]) -> None:
    """Arguments and exclusions are the signal models of the app."""
    assert ["Letter"] == complete("--app", "post", "signalbus", *words)


@pytest.mark.usefixtures("post_office")
def test_the_shell_offers_only_what_fits(complete: Complete) -> None:
    """What no name begins with has no completion."""
    assert [] == complete("--app", "post", "signalbus", "flush", "X")


@pytest.mark.parametrize(
    "source",
    ["1 / 0", "raise SystemExit(3)", "import flask\napp = flask.Flask('shop')"],
    ids=["error", "exit", "no bus"],
)
def test_an_app_that_cannot_be_loaded_completes_nothing(
    complete: Complete, tmp_path: Path, source: str
) -> None:
    """The shell gets no completion, and its user no error."""
    (tmp_path / "shop.py").write_text(f"print('Hello')\n{source}\n")

    assert [] == complete("--app", "shop", "signalbus", "flush", "L")


def test_what_an_app_prints_is_no_completion(
    complete: Complete, post_office: Path
) -> None:
    """The shell would offer it."""
    path = post_office / "post.py"
    path.write_text(f"print('plain,Lemon')\n{path.read_text()}")

    assert ["Letter"] == complete("--app", "post", "signalbus", "flush", "L")


@pytest.mark.parametrize(
    ("arguments", "out"),
    [([], "Letter\nParcel\n"), (["Parcel"], "Parcel\n"), (["-eLetter"], "Parcel\n")],
)
def test_a_command_of_a_plugin_takes_names(
    office: Office, run: Run, arguments: list[str], out: str
) -> None:
    """Those that it names, or all, without those that it excludes."""
    outcome = run(choose, *arguments)

    assert (0, out) == (outcome.status, outcome.out)


@pytest.mark.parametrize("arguments", [["Letter", "letre"], ["-e", "letre"]])
def test_a_strict_command_refuses_every_unknown_name(
    office: Office, run: Run, arguments: list[str]
) -> None:
    """Even beside a known one; the error has what was meant, and what there is."""
    outcome = run(choose, *arguments)

    assert (2, "") == (outcome.status, outcome.out)
    assert (
        f"No signal model is called letre. Did you mean Letter? {KNOWN}"
    ) in outcome.err


def test_a_name_that_is_like_no_other_has_no_suggestion(
    office: Office, run: Run
) -> None:
    """All unknown names are in the error; nothing is guessed."""
    outcome = run(choose, "Zebra", "Yak", "Zebra")

    assert f"No signal model is called Zebra or Yak. {KNOWN}" in outcome.err


def test_errors_of_signalbus_are_one_line(office: Office, run: Run) -> None:
    """A command that uses the bus shows them without a traceback."""

    @click.command()
    def fail() -> None:
        with bus_of_app():
            raise MissingTableError

    outcome = run(fail)

    assert 1 == outcome.status
    assert "Error: The table of a signal model is missing. Run your migrations.\n" == (
        outcome.err
    )


def test_numbers_of_a_table_are_aligned_to_the_right() -> None:
    """With their header, and with thousands separators; text is on the left."""
    rows = [(1234567, "a", 8, "x"), (9, "three", 10, "")]

    assert [
        "    COUNT  NAME    N  END",
        "1,234,567  a       8  x",
        "        9  three  10",
    ] == format_table(("COUNT", "NAME", "N", "END"), rows)


def test_a_table_without_rows_has_no_lines() -> None:
    """Headers alone say nothing."""
    assert [] == format_table(("COUNT", "NAME"), [])


def test_what_is_printed_stays_in_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Control characters are escaped, in cells and in warnings."""
    print_warning("a\nb")

    assert [r"NAME  N", r"a\nb  1"] == format_table(("NAME", "N"), [("a\nb", 1)])
    assert "Warning: a\\nb\n" == capsys.readouterr().err


@pytest.mark.usefixtures("office")
def test_names_are_completed_in_any_command(app: Flask) -> None:
    """The decorators bring it along."""
    context = click.Context(choose, obj=ScriptInfo(create_app=lambda: app))
    offered = [
        [item.value for item in parameter.shell_complete(context, "P")]
        for parameter in choose.params
    ]

    assert [["Parcel"], ["Parcel"]] == offered
