"""What our source never does: build SQL from text of users, or run what it was sent."""

from __future__ import annotations

import ast
import functools
import typing as t
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"

SOURCES = sorted(PACKAGES.glob("*/src/**/*.py"))

#: Calls whose first argument is SQL, if it is a text.
SQL_CALLS = {"execute", "exec_driver_sql", "executescript", "literal_column", "text"}

#: SQL that is no literal, by module: how it begins, and why nobody can put anything in.
BUILT = {
    ("signalbus/_queues_by_union.py", "sa.literal_column(str(n))"): "a number of ours",
    ("signalbus/_sql/deletes.py", 'sa.text(f"DELETE {table} FROM JSON_TABLE(:keys'): (
        "the dialect's preparer quotes the names; keys are a parameter"
    ),
    ("signalbus/_sql/joined.py", "cursor.execute(statement)"): (
        "SAVEPOINT and a name of ours, made in the same module"
    ),
    ("signalbus_relay/_channel.py", "cursor.execute(_NOTIFY, (CHANNEL, payload))"): (
        "a constant with parameters"
    ),
    ("signalbus_relay/_listener.py", "cursor.execute(f'LISTEN {_channel.CHANNEL}')"): (
        "a constant; LISTEN takes no parameters"
    ),
    ("signalbus_retry/_entries.py", "sa.literal_column(str(PARKED))"): "a constant",
    ("signalbus_retry/_entries.py", "sa.literal_column(str(SUSPECT))"): "a constant",
    ("signalbus_retry/_entries.py", "sa.literal_column(str(DUE))"): "a constant",
    ("signalbus_retry/_entries.py", "sa.literal_column(str(WAITING))"): "a constant",
    ("signalbus_retry/_range.py", "sa.literal_column(f'{_MARK}_"): "random, and ours",
    ("signalbus_retry/_range.py", "connection.exec_driver_sql(text)"): (
        "what SQLAlchemy has compiled, and integers in place of the marks"
    ),
}

#: Functions that run what is in their arguments, by module; ``""`` for builtins.
FORBIDDEN = {
    "": {"eval", "exec", "compile", "__import__"},
    "os": {"popen", "system"},
    "marshal": {"load", "loads"},
    "pickle": {"load", "loads", "dump", "dumps", "Pickler", "Unpickler"},
    "yaml": {"load", "unsafe_load", "full_load"},
}

#: Modules that nothing imports: they make objects of what they read.
FORBIDDEN_MODULES = {"dill", "jsonpickle", "marshal", "pickle", "shelve", "yaml"}


def name_of(path: Path) -> str:
    """Return the path of a module from its ``src``, for messages."""
    return path.as_posix().rpartition("/src/")[2]


@functools.cache
def nodes() -> list[tuple[Path, ast.AST]]:
    """Return every node of our source."""
    return [
        (path, node)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    ]


@functools.cache
def statements() -> list[tuple[str, ast.Call]]:
    """Return the calls that take SQL, by the names of their modules."""
    return [
        (name_of(path), node)
        for path, node, _, name in calls()
        if name in SQL_CALLS and node.args
    ]


def calls() -> t.Iterator[tuple[Path, ast.Call, str, str]]:
    """Return every call, with the parts of its function before and behind the dot."""
    for path, node in nodes():
        if isinstance(node, ast.Call):
            before, _, name = ast.unparse(node.func).rpartition(".")
            yield path, node, before, name


def is_text(node: ast.expr) -> bool:
    """Return whether an expression can only be SQL that somebody has glued together."""
    if isinstance(node, ast.IfExp):
        return is_text(node.body) or is_text(node.orelse)
    is_glued = isinstance(node, (ast.JoinedStr, ast.BinOp))
    is_formatted = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        (".format", ".replace", ".join", ".format_map")
    )
    return is_glued or is_formatted


def is_literal(node: ast.expr) -> bool:
    """Return whether an expression is a text in our source."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_there_is_source() -> None:
    """All distributions are looked at."""
    assert 15 <= len({path.relative_to(PACKAGES).parts[0] for path in SOURCES})
    assert 10 < len(statements())


def built() -> t.Iterator[tuple[str, str]]:
    """Return the statements that are no literals: their modules, and their calls.

    A variable may hide what was glued together, so it counts where a literal is usual.
    """
    for module, call in statements():
        name = ast.unparse(call.func)
        is_usual = name.endswith(
            ("exec_driver_sql", "cursor.execute", "text", "column")
        )
        if is_text(call.args[0]) or (is_usual and not is_literal(call.args[0])):
            yield module, ast.unparse(call)


def test_no_sql_is_glued_together() -> None:
    """No f-string, ``%``, ``+``, ``format`` or variable ends in a text of SQL.

    Those that do are listed, with the reason why nobody can put anything into them.
    """
    unknown = [
        (module, call)
        for module, call in built()
        if not any(module == m and call.startswith(start) for m, start in BUILT)
    ]

    assert [] == unknown


def test_each_exception_is_still_there() -> None:
    """What is listed is not out of date."""
    found = list(built())
    outdated = [
        (module, start)
        for module, start in BUILT
        if not any(module == m and call.startswith(start) for m, call in found)
    ]

    assert [] == outdated


@pytest.mark.parametrize("module", sorted(FORBIDDEN))
def test_nothing_is_run_that_was_read(module: str) -> None:
    """No ``eval`` and no ``exec``; no shell; nothing that makes objects of bytes."""
    found = [
        f"{name_of(path)}: {ast.unparse(node)}"
        for path, node, before, name in calls()
        if before == module and name in FORBIDDEN[module]
    ]

    assert [] == found


def test_nothing_imports_what_makes_objects_of_bytes() -> None:
    """Neither pickle nor its relatives."""
    imported = {
        alias.name.partition(".")[0]
        for _, node in nodes()
        if isinstance(node, ast.Import)
        for alias in node.names
    } | {
        (node.module or "").partition(".")[0]
        for _, node in nodes()
        if isinstance(node, ast.ImportFrom) and not node.level
    }

    assert set() == imported & FORBIDDEN_MODULES


def test_nothing_has_a_shell_or_skips_certificates() -> None:
    """No ``shell=True``, no ``verify=False``, no context that trusts everybody."""
    found = [
        f"{name_of(path)}: {ast.unparse(keyword.value)}"
        for path, node, _, _ in calls()
        for keyword in node.keywords
        if (keyword.arg == "shell" and ast.unparse(keyword.value) != "False")
        or (keyword.arg == "verify" and ast.unparse(keyword.value) == "False")
    ]
    names = {node.attr for _, node in nodes() if isinstance(node, ast.Attribute)}

    assert [] == found
    assert not {"_create_unverified_context", "CERT_NONE"} & names
