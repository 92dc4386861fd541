"""What the checkout says in two places is the same in both."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import typing as t

import pytest

if t.TYPE_CHECKING:
    from importlib.metadata import Distribution
    from pathlib import Path

pytestmark = pytest.mark.packaging

#: Whoever needs the core has what the core hands on: Flask, SQLAlchemy and the like.
CORE = "signalbus-core"

#: What a module may have, in lines.
MAX_LINES = 299

#: A module that imports it has commands, and is loaded only where it is installed:
#: ``hatch run one:test`` runs without it.
CLI = "signalbus-cli"

#: What a module imports only after it has asked whether it is installed.
OPTIONAL = {
    ("signalbus-dashboard", "_failed.py"): {"signalbus-retry"},
    ("signalbus-dashboard", "_relays.py"): {"signalbus-relay"},
    ("signalbus-otel", "_watch.py"): {"signalbus-relay"},
    ("signalbus-relay", "_attempts.py"): {"signalbus-retry"},
}

#: Packages that are in many distributions, and the one from which we import.
SHARED = {"opentelemetry": ["opentelemetry-api"]}


def test_every_import_is_declared(
    root: Path, member: str, distributions: dict[str, Distribution]
) -> None:
    """A distribution declares what it imports, by itself or through the core."""
    declared = _declared(distributions[member]) | _declared(distributions[CORE])
    of_commands = {CLI} | _declared(distributions[CLI])

    for source in (root / "packages" / member).glob("src/**/*.py"):
        names = _imports(source)
        needs = {need for name in names for need in _distributions(root, name)}
        needs -= OPTIONAL.get((member, source.name), set())
        assert needs <= declared | {member} | (of_commands if CLI in needs else set())


def test_modules_are_short(root: Path, member: str) -> None:
    """A module is one idea, which fits on a few screens: in plugins as in the core."""
    modules = (root / "packages" / member).glob("src/**/*.py")

    assert [] == [
        module.name
        for module in modules
        if len(module.read_text("utf-8").splitlines()) > MAX_LINES
    ]


def test_wheels_environment_pins_the_versions_of_the_checkout(
    root: Path, member: str, distribution: Distribution
) -> None:
    """It must never install an unrelated package, or a release of another day."""
    hatch = (root / "hatch.toml").read_text()
    pins = re.findall(r'"([\w-]+)(?:\[all\])?==([\d.]+)"', hatch)

    assert (member, distribution.version) in pins


def test_cached_wheels_are_never_taken_for_new_ones(root: Path, member: str) -> None:
    """The installer is told of every distribution whose wheels we build again."""
    _, _, table = (root / "pyproject.toml").read_text().partition("[tool.uv]")

    assert f'"{member}"' in table


class _Imports(ast.NodeVisitor):
    """The names of the packages that are imported when a module runs."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name.split(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.names.add((node.module or "").split(".")[0])

    def visit_If(self, node: ast.If) -> None:
        if not ast.unparse(node.test).endswith("TYPE_CHECKING"):
            self.generic_visit(node)


def _imports(source: Path) -> set[str]:
    """Name the packages that *source* imports and that are not Python's own."""
    imports = _Imports()
    imports.visit(ast.parse(source.read_text()))
    return imports.names - sys.stdlib_module_names


def _distributions(root: Path, package: str) -> set[str]:
    """Name the distributions that have *package*; those that are not here, by it."""
    ours = {path.parents[1].name for path in root.glob(f"packages/*/src/{package}")}
    found = (
        ours
        or SHARED.get(package)
        or importlib.metadata.packages_distributions().get(package, [package])
    )
    return {name.lower().replace("_", "-") for name in found}


def _declared(distribution: Distribution) -> set[str]:
    needs = distribution.requires or []
    return {re.split(r"[^\w-]", need)[0].lower() for need in needs}
