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

#: Which modules may import which: a module imports from the layers above its own in
#: this list only, at run time and for type checkers. Modules of one layer import none
#: of each other.
LAYERS = [
    {"_passwords"},
    {"__about__", "__init__", "_markers", "_declaration", "exceptions", "stopping"},
    {"_per_process", "breakers", "clock", "failure_tracker", "logs", "settings"},
    {"tables"},
    {"_broker_limit", "_message_body", "_message_id", "_waits", "typing"},
    {"_call_in_thread", "_locked", "_message_attribute", "_outcome", "hookspecs"},
    {"_message"},
    {"_message_batch"},
    {"messages"},
    {"_sender"},
    {"_app_sender"},
    {"brokers"},
    {
        "_sql",
        "_sql.enums",
        "_sql.errors",
        "_sql.executors",
        "_sql.key_list",
        "_sql.key_types",
        "_sql.rows",
        "_sql.sort_order",
    },
    {"_settings", "plugins", "retry"},
    {"_sql.joined"},
    {"_sql.connections", "_sql.key_conditions", "_sql.missing_tables"},
    {"_declare_key", "_send_waves", "_sql.indexes"},
    {"_declare"},
    {"_discover", "_held_back", "_lock", "_notify", "_record", "_send"},
    {"_check", "_queues", "_settle", "_sql.deletes", "_sql.key_proof"},
    {"_free_queues", "_queues_by_join", "_queues_by_union"},
    {
        "_burst_result",
        "_burst_size",
        "_lock_by_delete",
        "_lock_by_key",
        "_lock_queues",
        "_spelling",
    },
    {"_next_attempts"},
    {"_announce", "_apps", "_committed", "_plugin_tables", "_report", "_select"},
    {"_background_thread", "_bus_settings", "_keyed_selection", "_selected_keys"},
    {"_keyset_scan", "_table"},
    {"_delete", "_read_keys", "_results"},
    {"_late_deletion", "rows"},
    {"_burst"},
    {"_run"},
    {"_flush"},
    {"_background"},
    {"extension"},
    {"_mixin"},
    {"testing._message_factory", "testing._sent_signal"},
    {"testing._memory_broker"},
    {"testing", "testing.proxy"},
    {"testing.servers"},
    {"testing.conformance._case"},
    {
        "testing.conformance._delivery",
        "testing.conformance._exit_program",
        "testing.conformance._messages",
        "testing.conformance._outages",
        "testing.conformance._processes",
    },
    {"testing.conformance"},
]

#: The path of a signal, in its order.
STEPS = [
    "_record",
    "_committed",
    "_discover",
    "_select",
    "_lock",
    "_send",
    "_settle",
    "_delete",
    "_flush",
]

#: Where the bus, or a broker, meets its app; and the suite for brokers makes apps.
KNOW_FLASK = {
    "__init__",
    "brokers",
    "extension",
    "testing.conformance._case",
    "testing.conformance._exit_program",
}

#: What a module of the core may have, in lines.
MAX_LINES = 299


class Imports(ast.NodeVisitor):
    """Collects what a module imports."""

    def __init__(self, *, at_run_time: bool) -> None:
        """Begin with no imports."""
        self.names: set[str] = set()
        self._at_run_time = at_run_time

    def visit_If(self, node: ast.If) -> None:
        """Pass over what only type checkers see, if told so."""
        if not (self._at_run_time and "TYPE_CHECKING" in ast.unparse(node.test)):
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """Keep the modules."""
        self.names.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Keep the module, and what might be modules in it."""
        self.names.add(node.module or "")
        self.names.update(f"{node.module}.{alias.name}" for alias in node.names)


def _imports(path: Path, *, at_run_time: bool = True) -> set[str]:
    collector = Imports(at_run_time=at_run_time)
    collector.visit(ast.parse(path.read_text("utf-8")))
    return collector.names


def _module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {_module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _imports_of_ours(module: str) -> set[str]:
    """Return the modules of the core that one imports, for type checkers, too."""
    names = _imports(MODULES[module], at_run_time=False)
    ours = {name.removeprefix("signalbus.") for name in names if "signalbus." in name}
    return ours & MODULES.keys()


RANKS = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


def test_every_module_has_its_layer() -> None:
    """No module is left out of the layers, and none stands there that is gone."""
    assert set(MODULES) == set(RANKS)


@pytest.mark.parametrize("module", [m for m in MODULES if m != "__init__"])
def test_imports_go_one_way(module: str) -> None:
    """A module imports from the layers above its own only, for type checkers, too.

    So no two modules import each other, directly or over others.
    """
    wrong = {
        other for other in _imports_of_ours(module) if RANKS[other] >= RANKS[module]
    }

    assert set() == wrong


@pytest.mark.parametrize("module", STEPS)
def test_every_step_has_its_module(module: str) -> None:
    """The path of a signal is shown by the names of the modules."""
    assert module in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short(module: str) -> None:
    """A module is one idea, which fits on a few screens."""
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("module", [m for m in MODULES if m not in KNOW_FLASK])
def test_only_who_meets_the_app_knows_flask(module: str) -> None:
    """Flask is imported where the bus, or a broker, meets its app; nowhere else."""
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


def test_importing_the_core_sets_no_warning_filter() -> None:
    """Which warnings a process shows is the application's business."""
    program = "import warnings; import sqlalchemy, flask;"
    program += (
        " b = warnings.filters[:]; import signalbus; print(b == warnings.filters)"
    )
    command = [sys.executable, "-c", program]

    assert "True\n" == subprocess.check_output(command, text=True)  # noqa: S603 our own program


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
