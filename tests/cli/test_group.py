"""The group itself: found by Flask, light, and open to other distributions."""

from __future__ import annotations

import ast
import subprocess
import sys
import typing as t

import click
import pytest
from flask import Flask as App
from flask.cli import ScriptInfo
from signalbus import SignalBus
from signalbus import hookimpl
from signalbus import hookspecs as core_hookspecs
from signalbus.plugins import make_plugin_manager
from signalbus_cli import plugin
from signalbus_cli import signalbus

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Office
    from conftest import Outcome
    from flask_sqlalchemy import SQLAlchemy

Terminal: t.TypeAlias = "t.Callable[..., Outcome]"

FLUSHES = ("flush", "flushmany", "flushordered")

PLUGIN = """
from signalbus import hookimpl

@hookimpl(optionalhook=True)
def signalbus_register_commands(group):
    @group.command()
    def greet():
        "Say hello."
        print("hello")

    @group.group()
    def birds():
        "Speak to birds."

    birds.command()(greet.callback)

    @group.command("flush")
    def replace():
        "Replace what is not yours."
"""


@pytest.fixture
def install(tmp_path: Path) -> t.Callable[[str, str], None]:
    """Install a plugin with ``install(name, source)`` where `terminal` works."""

    def install(name: str, source: str) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        metadata = tmp_path / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[signalbus]\n{name} = {name}\n")

    return install


def test_commands_are_listed_without_an_app(terminal: Terminal) -> None:
    """`flask signalbus --help` needs no app that works."""
    outcome = terminal("signalbus", "--help")

    assert 0 == outcome.status
    for command in (*FLUSHES, "check", "pending", "signals"):
        assert f"\n  {command} " in outcome.out


def test_plugins_add_commands(
    terminal: Terminal, install: t.Callable[[str, str], None]
) -> None:
    """Commands of installed plugins are listed, even when the app cannot be loaded."""
    install("greeter", PLUGIN)

    outcome = terminal("--app", "nowhere", "signalbus", "--help")

    assert "greet " in outcome.out
    assert "Say hello." in outcome.out


def test_plugins_do_not_replace_our_commands(
    terminal: Terminal, install: t.Callable[[str, str], None]
) -> None:
    """The names of our own commands are taken."""
    install("greeter", PLUGIN)

    assert "Replace" not in terminal("signalbus", "--help").out


def test_commands_of_plugins_run_in_an_app_context(
    terminal: Terminal, install: t.Callable[[str, str], None], tmp_path: Path
) -> None:
    """What `group.command` makes has an app."""
    install("greeter", PLUGIN.replace('"hello"', "__import__('flask').current_app"))
    (tmp_path / "shop.py").write_text("import flask\napp = flask.Flask('shop')\n")

    assert "<Flask 'shop'>\n" == terminal("--app", "shop", "signalbus", "greet").out


@pytest.mark.usefixtures("loft")
@pytest.mark.parametrize("arguments", [["greet"], ["birds", "greet"]])
def test_commands_of_plugins_show_a_wrong_setting_in_a_line(
    terminal: Terminal,
    install: t.Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    """Flask loads the app for them, in groups below ours, too: no traceback."""
    install("greeter", PLUGIN)
    monkeypatch.setenv("FLASK_SIGNALBUS_AUTOFLUSH", "maybe")

    outcome = terminal("--app", "loft", "signalbus", *arguments)

    assert (1, "", 1) == (outcome.status, outcome.out, outcome.err.count("\n"))
    assert outcome.err.startswith("Error: SIGNALBUS_AUTOFLUSH is 'maybe'. Set it to ")


@pytest.mark.usefixtures("loft")
def test_debug_shows_the_traceback_of_a_plugins_command(
    terminal: Terminal,
    install: t.Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With `flask --debug` it comes before the line."""
    install("greeter", PLUGIN)
    monkeypatch.setenv("FLASK_SIGNALBUS_AUTOFLUSH", "maybe")

    outcome = terminal("--app", "loft", "--debug", "signalbus", "greet")

    assert outcome.err.startswith("  Traceback")
    assert outcome.err.splitlines()[-1].startswith("Error: SIGNALBUS_AUTOFLUSH is")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import nonexistent", "No module named 'nonexistent'"),
        ("import sys\nsys.exit('no license')", "SystemExit: no license"),
        (PLUGIN.replace("@group", "1 / 0\n    @group", 1), "division by zero"),
        (PLUGIN.replace("@group", "exit(3)\n    @group", 1), "SystemExit: 3"),
        (PLUGIN.replace("_commands", "_comands"), "signalbus_register_comands"),
    ],
    ids=["import", "exit", "hook", "exit in hook", "unknown hook"],
)
def test_broken_plugins_are_told_in_a_line(
    terminal: Terminal,
    install: t.Callable[[str, str], None],
    source: str,
    says: str,
) -> None:
    """A plugin that fails is named on stderr; our commands are there."""
    install("broken", source.replace("optionalhook=True", ""))

    outcome = terminal("signalbus", "--help")

    assert 0 == outcome.status
    assert "flushmany" in outcome.out
    assert 1 == outcome.err.count("\n")
    assert outcome.err.startswith("Warning: ")
    assert "broken" in outcome.err
    assert says in outcome.err


def test_one_plugin_that_fails_does_not_stop_the_others(
    terminal: Terminal, install: t.Callable[[str, str], None]
) -> None:
    """Each plugin's failure in the hook is its own."""
    install("zealous", PLUGIN.replace("@group", "1 / 0\n    @group", 1))
    install("greeter", PLUGIN)
    install("anxious", PLUGIN.replace("@group", "1 / 0\n    @group", 1))

    outcome = terminal("signalbus", "--help")

    assert "greet " in outcome.out
    assert 2 == outcome.err.count("division by zero")


def test_broken_plugins_do_not_touch_other_commands(
    terminal: Terminal, install: t.Callable[[str, str], None]
) -> None:
    """`flask --help` does not ask the plugins at all."""
    install("broken", "import nonexistent")

    assert "nonexistent" not in terminal("--help").err


def test_unknown_commands_are_an_error(terminal: Terminal) -> None:
    """Whoever mistypes a command is told so."""
    assert "No such command 'flsh'" in terminal("signalbus", "flsh").err


def test_apps_without_a_bus_are_told_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The remedy is in the message."""
    info = ScriptInfo(create_app=lambda: App("shop"))
    for command in (*FLUSHES, "check", "signals", "pending"):
        with pytest.raises(SystemExit, match="1"):
            signalbus.main([command], obj=info)

        error = capsys.readouterr().err
        assert error.startswith("Error: The app 'shop' has no signal bus.")
        assert "SignalBus(db)" in error


@pytest.mark.parametrize("arguments", [["pending"], ["--help"], ["signals"]])
def test_an_app_runs_the_commands_in_its_tests(
    office: Office, app: App, arguments: list[str]
) -> None:
    """Flask's test runner knows only the commands of the app, and ours is there."""
    result = app.test_cli_runner().invoke(args=["signalbus", *arguments])

    assert (0, None) == (result.exit_code, result.exception)
    assert "Letter" in result.output or "flushmany" in result.output


def test_the_group_is_listed_once(terminal: Terminal, post_office: Path) -> None:
    """Flask finds it by its entry point, and on the app: it is the same."""
    lines = terminal("--app", "post", "--help").out.splitlines()

    assert 1 == len([line for line in lines if line.split()[:1] == ["signalbus"]])
    assert "Letter" in terminal("--app", "post", "signalbus", "pending").out


def test_a_group_of_the_apps_own_is_left_alone(app: App, db: SQLAlchemy) -> None:
    """An app that has such a command already keeps it."""
    own = click.Group("signalbus")
    app.cli.add_command(own)
    SignalBus(db)

    assert own is app.cli.commands["signalbus"]


def test_an_app_imports_no_command_before_one_is_run(
    terminal: Terminal, post_office: Path
) -> None:
    """To have the group costs what Flask itself costs."""
    program = (
        "import sys, post; print([n for n in sys.modules if 'signalbus_cli' in n])"
    )

    done = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-c", program],
        cwd=post_office,
        capture_output=True,
        text=True,
        check=True,
    )

    assert {
        "signalbus_cli",
        "signalbus_cli._group",
        "signalbus_cli.hookspecs",
        "signalbus_cli.plugin",
    } == set(ast.literal_eval(done.stdout))


def test_importing_the_commands_is_cheap() -> None:
    """Flask imports them always; the core, SQLAlchemy and pluggy come when needed."""
    heavy = "{'signalbus', 'sqlalchemy', 'flask_sqlalchemy', 'pluggy'}"
    program = f"import sys, signalbus_cli; print({heavy} & set(sys.modules))"

    done = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "set()\n" == done.stdout


def test_hook_signalbus_register_commands() -> None:
    """Every bus knows the hook, so that plugins may implement it without a word."""

    class Plugin:
        @hookimpl
        def signalbus_register_commands(self, group: object) -> None:
            pass

    manager = make_plugin_manager({"cli": plugin, "other": Plugin()})

    assert manager.hook.signalbus_register_commands.spec is not None
    assert not hasattr(core_hookspecs, "signalbus_register_commands")
