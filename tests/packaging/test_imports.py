"""Modules depend on each other one way, so that each can be read by itself."""

from __future__ import annotations

import ast
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

Modules: t.TypeAlias = "dict[str, Path]"


def test_no_imports_in_a_circle(root: Path, member: str) -> None:
    """No module imports itself over others, for the type checker included."""
    modules = _modules(root / "packages" / member / "src")
    graph = {name: _imports(path, modules) - {name} for name, path in modules.items()}

    assert [] == [name for name in graph if name in _reachable(name, graph)]


def _modules(source: Path) -> Modules:
    """Return the modules below *source*; a package counts under its own name."""
    return {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in source.rglob("*.py")
    }


def _imports(path: Path, modules: Modules) -> set[str]:
    """Return which of *modules* the one at *path* imports, wherever in its code."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.update(_imported_from(node, modules))
    return imported & modules.keys()


def _imported_from(node: ast.ImportFrom, modules: Modules) -> t.Iterator[str]:
    """Yield the modules of ``from package import name``: *name*, if it is one."""
    for alias in node.names:
        name = f"{node.module}.{alias.name}"
        yield name if name in modules else str(node.module)


def _reachable(name: str, graph: dict[str, set[str]]) -> set[str]:
    """Return what *name* imports, directly and over others."""
    reached: set[str] = set()
    ahead = [name]
    while ahead:
        found = graph[ahead.pop()] - reached
        reached |= found
        ahead += found
    return reached
