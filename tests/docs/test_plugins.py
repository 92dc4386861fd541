"""Every hook is told in the manual, word for word, and has its test."""

from __future__ import annotations

import inspect
import re
import typing as t
from pathlib import Path

import pytest
import signalbus_cli.hookspecs
from signalbus import hookspecs

TESTS = Path(__file__).parents[1]


def _specs() -> dict[str, t.Callable[..., object]]:
    """Return the functions that specify hooks, by their names."""
    return {
        name: spec
        for module in (hookspecs, signalbus_cli.hookspecs)
        for name, spec in inspect.getmembers(module, inspect.isfunction)
        if spec.__module__ == module.__name__
    }


def _heading(name: str, spec: t.Callable[..., object]) -> str:
    """Write a hook as the manual does: the types without the modules they are from."""
    signature = str(inspect.signature(spec)).replace("'", "")
    return f"`{name}{re.sub(r'[a-z]+[.]', '', signature)}`"


def test_every_hook_has_a_section_with_its_signature(
    sections: t.Callable[[str], dict[str, str]],
) -> None:
    """The headings are the hooks: all of them, and no other."""
    documented = {title for title in sections("plugins") if "signalbus_" in title}

    assert documented == {_heading(*item) for item in _specs().items()}


@pytest.mark.parametrize("name", _specs())
def test_a_section_says_all_that_an_implementer_asks(
    sections: t.Callable[[str], dict[str, str]], name: str
) -> None:
    """Its arguments, when it is called, what it may rely on, and an example."""
    (text,) = (
        text for title, text in sections("plugins").items() if f"`{name}(" in title
    )
    arguments = inspect.signature(_specs()[name]).parameters

    assert [] == [argument for argument in arguments if f"*{argument}*" not in text]
    assert [] == [
        part
        for part in ("**Called**", "**Not guaranteed**", "```python")
        if part not in text
    ]


@pytest.mark.parametrize("name", _specs())
def test_every_hook_has_a_test(name: str) -> None:
    """Somewhere there is a ``test_hook_<name>``."""
    sources = (path.read_text() for path in TESTS.rglob("test_*.py"))

    assert any(f"\ndef test_hook_{name}(" in source for source in sources)
