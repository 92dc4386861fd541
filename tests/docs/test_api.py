"""The page of all names has all names, with their signatures."""

from __future__ import annotations

import importlib
import inspect
import re
import typing as t
from pathlib import Path

import pytest
import signalbus.brokers
import signalbus.testing
from signalbus.testing import servers

MODULES = (
    "flask_signalbus",
    "signalbus",
    "signalbus.breakers",
    "signalbus.brokers",
    "signalbus.clock",
    "signalbus.failure_tracker",
    "signalbus.logs",
    "signalbus.messages",
    "signalbus.plugins",
    "signalbus.retry",
    "signalbus.rows",
    "signalbus.settings",
    "signalbus.stopping",
    "signalbus.tables",
    "signalbus.testing",
    "signalbus.testing.conformance",
    "signalbus.testing.proxy",
    "signalbus.testing.servers",
    "signalbus.typing",
    "signalbus_atomic",
    "signalbus_cli",
    "signalbus_cli.arguments",
    "signalbus_cli.output",
    "signalbus_dashboard",
    "signalbus_marshmallow",
    "signalbus_otel",
    "signalbus_pytest",
    "signalbus_rabbitmq",
    "signalbus_relay",
    "signalbus_retry",
    "signalbus_retry.attempts",
    "signalbus_retry.reading",
)

#: The classes whose members authors of brokers call, read or write.
CLASSES = [
    *(("signalbus.brokers", name) for name in signalbus.brokers.__all__),
    ("signalbus.messages", "Message"),
    ("signalbus.messages", "MessageAttribute"),
    ("signalbus.messages", "MessageBatch"),
    ("signalbus.messages", "MessageFactory"),
    ("signalbus.testing.conformance", "BrokerConformance"),
    ("signalbus.testing.proxy", "TcpProxy"),
    *(("signalbus.testing.servers", name) for name in servers.__all__),
]

PAGE = Path(__file__).parents[2] / "docs" / "api.md"

#: The headings that have a signature: the name, and the rest.
HEADINGS = dict(re.findall(r"^#### `([\w.]+)(\(.*)`$", PAGE.read_text(), re.MULTILINE))


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_on_the_page(
    sections: t.Callable[[str], dict[str, str]], module: str
) -> None:
    """What a module exports is told in its section."""
    text = sections("api")[module]
    names = importlib.import_module(module).__all__

    assert [] == [name for name in names if not re.search(rf"`{name}\b", text)]


@pytest.mark.parametrize(("name", "told"), HEADINGS.items())
def test_a_signature_is_that_of_the_code(name: str, told: str) -> None:
    """A heading with a signature says what the code says."""
    first, *rest = name.split(".")
    thing = getattr(signalbus, first, None) or getattr(signalbus.testing, first)
    for attribute in rest:
        thing = getattr(thing, attribute)
    signature = re.sub(r"\bt\.|\bself(, )?|'", "", str(inspect.signature(thing)))
    if inspect.isclass(thing):
        signature = signature.removesuffix(" -> None")

    assert told.replace("'", "") == signature


def test_what_can_be_called_is_told_with_its_signature() -> None:
    """No function, and no method of the bus, has a heading without its arguments."""
    bus = signalbus.SignalBus
    functions = [
        name
        for name in signalbus.__all__
        if inspect.isfunction(getattr(signalbus, name))
    ]
    methods = [
        f"SignalBus.{name}"
        for name, member in vars(bus).items()
        if inspect.isfunction(member) and not name.startswith("_")
    ]

    assert {"SignalBus", *functions, *methods} <= HEADINGS.keys()


def test_every_method_of_the_bus_is_on_the_page(
    manual: t.Callable[[str], str],
) -> None:
    """No public method, attribute or property of the bus is missing."""
    bus = signalbus.SignalBus
    public = {
        name for name in {*vars(bus), *bus.__annotations__} if not name.startswith("_")
    }
    told = set(
        re.findall(r"`SignalBus\.(\w+)\(|^\| `(\w+)` \|", manual("api"), re.MULTILINE)
    )

    assert public <= {name for names in told for name in names}


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_every_member_is_on_the_page(
    sections: t.Callable[[str], dict[str, str]], module: str, name: str
) -> None:
    """What a class has to offer is told in the section of its module."""
    kind = getattr(importlib.import_module(module), name)
    members = {
        member
        for member in {*vars(kind), *vars(kind).get("__annotations__", ())}
        if not (member.startswith(("_", "signalbus_")) or member.endswith("case"))
    }

    text = sections("api")[module]
    told = {each for each in members if re.search(rf"(`|[(]|, ){each}\b", text)}
    assert members == told


def test_every_setting_is_on_the_page(
    sections: t.Callable[[str], dict[str, str]],
) -> None:
    """What the core reads from the configuration or the environment has a row."""
    core = Path(signalbus.__file__).parent
    source = "".join(path.read_text() for path in core.rglob("*.py"))
    settings = set(re.findall(r'"(SIGNALBUS_(?!PIGEONS_)\w+)"', source))
    rows = re.findall(
        r"^\| `(SIGNALBUS_\w+)` \|", sections("api")["signalbus"], re.MULTILINE
    )

    assert settings
    assert settings == set(rows)


def test_every_error_has_the_base_that_the_page_tells(
    sections: t.Callable[[str], dict[str, str]],
) -> None:
    """The table has all errors, in the tree of the code."""
    row = r"^\| `(\w+Error)` \| `(\w+)` \|"
    told = dict(re.findall(row, sections("api")["signalbus"], re.MULTILINE))
    errors = {name for name in signalbus.__all__ if name.endswith("Error")}
    bases = {name: getattr(signalbus, name).__base__.__name__ for name in errors}

    assert bases == told
