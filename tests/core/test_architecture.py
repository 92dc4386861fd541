"""Imports go one way, and what is public is documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import signalbus

PACKAGE = Path(signalbus.__file__).parent

#: Who may import whom: a module imports from the layers below its own only. What a
#: layer's modules do not share stands in a layer of its own.
LAYERS = [
    {"__about__", "_markers", "exceptions", "stopping", "typing"},
    {"hookspecs"},
    {"_key_types", "_settings", "plugins", "retry"},
    {
        "_breaker",
        "_connect",
        "_key_list",
        "_keys",
        "_missing",
        "_record",
        "_rows",
        "_tell",
    },
    {"_discover", "_lock", "_report", "_send", "_delete"},
    {"_burst_size", "_key_proof", "_lock_by_key", "_select", "_spelling"},
    {"_prepared"},
    {"_burst"},
    {"_flush"},
    {"extension"},
    {"__init__", "testing"},
]

STEPS = ["_record", "_discover", "_lock", "_send", "_delete", "_flush"]


class Imports(ast.NodeVisitor):
    """Collects what a module imports when it runs."""

    def __init__(self) -> None:
        """Begin with no imports."""
        self.names: set[str] = set()

    def visit_If(self, node: ast.If) -> None:
        """Pass over what only type checkers see."""
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """Keep the modules."""
        self.names.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Keep the module, and what might be modules in it."""
        self.names.add(node.module or "")
        self.names.update(f"{node.module}.{alias.name}" for alias in node.names)


def _imports(path: Path) -> set[str]:
    collector = Imports()
    collector.visit(ast.parse(path.read_text("utf-8")))
    return collector.names


MODULES = {path.stem: path for path in sorted(PACKAGE.glob("*.py"))}


def _imports_of_ours(module: str) -> set[str]:
    paths = [name.split(".") for name in _imports(MODULES[module])]
    return {
        path[1]
        for path in paths
        if path[0] == "signalbus" and len(path) > 1 and path[1] in MODULES
    }


RANKS = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


def test_every_module_has_its_layer() -> None:
    """No module is left out of the layers, and none stands there that is gone."""
    assert set(MODULES) == set(RANKS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module: str) -> None:
    """A module imports from the layers below its own only."""
    wrong = {
        other for other in _imports_of_ours(module) if RANKS[other] >= RANKS[module]
    }

    assert set() == wrong


def test_no_imports_in_a_circle() -> None:
    """No module imports itself, over whatever others."""

    def reachable(module: str, seen: frozenset[str] = frozenset()) -> set[str]:
        others = _imports_of_ours(module) - seen
        further = (reachable(other, seen | others) for other in others)
        return others.union(*further)

    assert [] == [module for module in MODULES if module in reachable(module)]


@pytest.mark.parametrize("module", STEPS)
def test_every_step_has_its_module(module: str) -> None:
    """The path of a signal is shown by the names of the modules."""
    assert module in MODULES


@pytest.mark.parametrize(
    "module", [m for m in MODULES if m not in {"extension", "__init__"}]
)
def test_only_the_extension_knows_flask(module: str) -> None:
    """Flask is imported where the bus meets its app, and nowhere else."""
    assert set() == {
        name
        for name in _imports(MODULES[module])
        if name.split(".")[0] in {"flask", "flask_sqlalchemy"}
    }


@pytest.mark.parametrize("module", ["_lock", "_delete"])
def test_steps_of_the_database_know_no_hooks(module: str) -> None:
    """Locking and deleting is SQL and nothing else."""
    assert not {"plugins", "hookspecs", "_markers"} & _imports_of_ours(module)


def test_sending_knows_no_sql() -> None:
    """Sending has to do with hooks and models, not with the database."""
    names = {name.split(".")[0] for name in _imports(MODULES["_send"])}

    assert "sqlalchemy" not in names


@pytest.mark.parametrize("module", MODULES)
def test_what_is_not_installed_costs_nothing(module: str) -> None:
    """The core names no library that it does not need, and no sibling."""
    strangers = {"click", "marshmallow", "marshmallow_sqlalchemy", "pika"}
    names = {name.split(".")[0] for name in _imports(MODULES[module])}

    assert set() == names & strangers
    assert [] == [name for name in names if name.startswith("signalbus_")]


def test_importing_the_core_imports_no_sibling() -> None:
    """``import signalbus`` loads neither plugins nor what they need."""
    program = "import signalbus, sys; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    output = subprocess.check_output(command, text=True)  # noqa: S603 our own program
    unwanted = ("marshmallow", "pika", "signalbus_", "flask_signalbus")

    assert [] == [name for name in output.split() if name.startswith(unwanted)]


def _public() -> list[t.Any]:
    objects = [getattr(signalbus, name) for name in signalbus.__all__]
    methods = [
        member
        for cls in objects
        if inspect.isclass(cls)
        for name, member in vars(cls).items()
        if not name.startswith("_") and (callable(member) or hasattr(member, "fget"))
    ]
    return [*objects, *methods]


def test_public_names_are_those_of_the_contract() -> None:
    """Nothing is missing from what users may import."""
    expected = {
        "BrokerUnavailableError",
        "DBSerializationError",
        "NoBrokerError",
        "PartialDeliveryError",
        "SettingError",
        "SignalBus",
        "SignalBusError",
        "SignalBusMixin",
        "SignalModelError",
        "get_models_to_flush",
        "hookimpl",
        "retry_on_deadlock",
    }

    assert expected <= set(signalbus.__all__)


def test_public_names_are_documented() -> None:
    """All that users may import, and its methods, has a docstring of its own."""
    assert [] == [
        thing
        for thing in _public()
        if (
            inspect.isroutine(thing) or inspect.isclass(thing) or hasattr(thing, "fget")
        )
        and not inspect.getdoc(thing)
    ]


def test_public_functions_are_typed() -> None:
    """All that users may call says what it takes and what it gives."""
    untyped = [
        f"{function.__qualname__}: {name}"
        for function in _public()
        if inspect.isfunction(function)
        for name in [*inspect.signature(function).parameters, "return"]
        if name not in {"self", "cls"} and name not in function.__annotations__
    ]

    assert [] == untyped
