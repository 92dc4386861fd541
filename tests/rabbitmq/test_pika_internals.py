"""What is used of pika's protected interface is in one place, and in known versions."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import typing as t
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from signalbus_rabbitmq import _pika_internals

PACKAGE = Path(inspect.getfile(_pika_internals)).parent

PYPROJECT = Path(__file__).parents[2] / "packages/signalbus-rabbitmq/pyproject.toml"

INSTALLED = Version(importlib.metadata.version("pika"))


@pytest.fixture(scope="module")
def requirement() -> Requirement:
    """Give what the distribution requires of pika."""
    (pika,) = re.findall(r'"(pika\b.*?)"', PYPROJECT.read_text(encoding="utf-8"))
    return Requirement(pika)


def test_the_metadata_admit_the_versions_that_were_tried(
    requirement: Requirement,
) -> None:
    """Those, what lies between them, and later fixes of the last; nothing else."""
    first, *_, last = map(Version, _pika_internals.TRIED_VERSIONS)

    assert all(requirement.specifier.contains(each) for each in (first, last))
    assert not requirement.specifier.contains(f"{first.major}.{first.minor}.1")
    assert not requirement.specifier.contains(f"{last.major}.{last.minor + 1}.0")


def test_the_installed_version_was_tried(requirement: Requirement) -> None:
    """It is one of those that the metadata admit."""
    assert requirement.specifier.contains(INSTALLED)


@pytest.mark.parametrize(
    ("owner", "name"),
    _pika_internals.METHODS,
    ids=[name for _, name in _pika_internals.METHODS],
)
def test_pika_has_the_methods(owner: type[t.Any], name: str) -> None:
    """A version without one of them would fail when it is needed, or never be heard."""
    assert callable(getattr(owner, name))


@pytest.mark.parametrize(
    ("owner", "name"),
    _pika_internals.ATTRIBUTES,
    ids=[name for _, name in _pika_internals.ATTRIBUTES],
)
def test_pika_has_the_attributes(owner: t.Any, name: str) -> None:
    """They are set in the sources of their class, or of their module."""
    classes = owner.__mro__[:-1] if isinstance(owner, type) else [owner]

    assert any(
        re.search(rf"self\.{name}\b.*=", inspect.getsource(each)) for each in classes
    )


def test_no_other_module_uses_them() -> None:
    """Whoever tries a new version of pika looks at one page."""
    used = [name for _, name in _pika_internals.METHODS + _pika_internals.ATTRIBUTES]
    protected = "|".join(name for name in used if name.startswith("_"))
    use = re.compile(rf"(\.|def |\")({protected})\b")

    modules = {
        module.name
        for module in PACKAGE.glob("*.py")
        if use.search(module.read_text(encoding="utf-8"))
    }

    assert {"_pika_internals.py"} == modules
