"""What users have after installing our wheels into an empty environment."""

from __future__ import annotations

import re
import typing as t

import pytest

if t.TYPE_CHECKING:
    from conftest import Environment

pytestmark = pytest.mark.packaging

#: The extras of signalbus, and the distributions that come with them alone.
EXTRAS = {
    "atomic": {"signalbus-atomic"},
    "celery": {"signalbus-celery"},
    "dashboard": {"signalbus-dashboard"},
    "kafka": {"signalbus-kafka"},
    "marshmallow": {"signalbus-marshmallow"},
    "nats": {"signalbus-nats"},
    "otel": {"signalbus-otel"},
    "pytest": {"signalbus-pytest"},
    "rabbitmq": {"signalbus-rabbitmq"},
    "redis": {"signalbus-redis"},
    "relay": {"signalbus-relay"},
    "retry": {"signalbus-retry"},
}

#: What the core must not import: our other distributions, and what only they need.
FOREIGN = (
    *("signalbus_", "flask_signalbus", "marshmallow", "pika", "celery"),
    *("confluent_kafka", "kombu", "nats", "pytest", "redis"),
)

#: The distribution that is for tests, and so not a part of ``all``.
FOR_TESTS = "signalbus-pytest"


def test_commands_answer(plain: Environment) -> None:
    """``pip install signalbus`` gives ``flask signalbus`` with no further ado."""
    page = plain.run("flask", "signalbus", "--help").stdout

    assert page.startswith("Usage: flask signalbus")
    assert re.findall(r"^  (flush\w*)", page, re.MULTILINE) == [
        "flush",
        "flushmany",
        "flushordered",
    ]


def test_signalbus_is_the_core_and_the_commands(plain: Environment) -> None:
    """No plugin is installed that was not asked for."""
    ours = {name for name in plain.installed() if name.startswith("signalbus")}

    assert ours == {"signalbus", "signalbus-core", "signalbus-cli"}


@pytest.mark.parametrize("extra", EXTRAS)
def test_extra_installs_its_plugin(
    extra: str,
    plain: Environment,
    new_environment: t.Callable[..., Environment],
) -> None:
    """``pip install signalbus[rabbitmq]`` gives that plugin and no other."""
    environment = new_environment(f"signalbus[{extra}]")
    environment.check()
    more = environment.installed() - plain.installed()

    assert {name for name in more if name.startswith("signalbus")} == EXTRAS[extra]


def test_extra_all_installs_everything(full: Environment, members: list[str]) -> None:
    """``pip install signalbus[all]`` gives all distributions, and they agree."""
    full.check()

    assert set(members) - {FOR_TESTS} <= full.installed()


def test_extra_compat_brings_the_old_import_name(
    new_environment: t.Callable[..., Environment],
) -> None:
    """With ``signalbus[compat]``, a program may go on to import flask_signalbus."""
    environment = new_environment("signalbus[compat]")

    environment.run("python", "-W", "error", "-c", "import flask_signalbus")


def test_importing_the_core_imports_nothing_else_of_ours(full: Environment) -> None:
    """What is installed and not used costs nothing."""
    done = full.run("python", "-X", "importtime", "-c", "import signalbus")
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}

    assert "signalbus" in modules
    assert {name for name in modules if name.startswith(FOREIGN)} == set()


def test_every_entry_point_loads(full: Environment) -> None:
    """Plugins and commands can be imported from the wheels."""
    full.run("python", "-W", "error", "-c", LOAD)


LOAD = """
from importlib.metadata import distributions
ours = [dist for dist in distributions() if dist.name.startswith("signalbus")]
found = [entry_point.load() for dist in ours for entry_point in dist.entry_points]
assert found
"""
