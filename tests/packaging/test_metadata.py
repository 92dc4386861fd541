"""What a wheel says of itself, and what is in it."""

from __future__ import annotations

import re
import typing as t

import pytest

if t.TYPE_CHECKING:
    from importlib.metadata import Distribution
    from pathlib import Path

pytestmark = pytest.mark.packaging


def test_version_has_a_heading_in_the_changelog(
    root: Path, member: str, distribution: Distribution
) -> None:
    """Nothing is released that its changelog does not know."""
    changelog = (root / "packages" / member / "CHANGELOG.md").read_text()

    assert re.search(
        rf"^## {re.escape(distribution.version)}\b", changelog, re.MULTILINE
    )


def test_wheel_names_and_carries_its_license(distribution: Distribution) -> None:
    """The license is MIT, and its text is in the wheel."""
    license_text = distribution.read_text("licenses/LICENSE") or ""

    assert distribution.metadata["License-Expression"] == "MIT"
    assert license_text.startswith("MIT License")


def test_wheel_carries_its_readme(
    root: Path, member: str, distribution: Distribution
) -> None:
    """The page on the index is the README, rendered as Markdown."""
    readme = (root / "packages" / member / "README.md").read_text()

    assert distribution.metadata["Description-Content-Type"] == "text/markdown"
    assert readme.strip() == distribution.metadata.json["description"].strip()


def test_wheel_has_one_package_and_it_is_typed(
    member: str, distribution: Distribution
) -> None:
    """No tests or tools are installed; type checkers read our annotations."""
    names = [str(path) for path in distribution.files or []]
    packages = {name.split("/")[0] for name in names if ".dist-info/" not in name}

    assert packages == _packages(member)
    assert {f"{package}/py.typed" for package in packages} <= set(names)


def test_entry_points_name_modules_of_the_wheel(distribution: Distribution) -> None:
    """A plugin that is found can be loaded."""
    names = {str(path) for path in distribution.files or []}

    for entry_point in distribution.entry_points:
        path = entry_point.module.replace(".", "/")
        assert names & {f"{path}.py", f"{path}/__init__.py"}


def test_plugins_are_named_after_their_distributions(
    member: str, distribution: Distribution
) -> None:
    """The entry point of signalbus-rabbitmq is rabbitmq, so its models name that."""
    plugins = distribution.entry_points.select(group="signalbus")

    assert plugins.names <= {member.removeprefix("signalbus-")}


def test_family_is_bound_from_below_only(
    members: list[str], distribution: Distribution
) -> None:
    """Each distribution is released by itself: no sibling forbids a newer core."""
    needs = [need.split(";")[0].strip() for need in distribution.requires or []]
    family = [need for need in needs if re.match(r"[\w-]+", need)[0] in members]

    assert all(re.fullmatch(r"[\w-]+>=\d+\.\d+", need) for need in family)


def test_every_dependency_has_a_lower_bound(distribution: Distribution) -> None:
    """Without one, "it works with the oldest" means nothing."""
    needs = [need.split(";")[0].strip() for need in distribution.requires or []]

    assert [] == [need for need in needs if ">=" not in need]


def test_every_distribution_needs_the_same_python(distribution: Distribution) -> None:
    """The oldest Python is 3.10, for all of them."""
    assert distribution.metadata["Requires-Python"] == ">=3.10"


@pytest.mark.parametrize("member", ["signalbus"], indirect=True)
def test_extra_all_is_the_sum_of_the_others(distribution: Distribution) -> None:
    """A new plugin gets an extra of its own and a place in ``all``.

    The fixtures for pytest do not: an application does not need them.
    """
    requires = [need.partition("; extra == ") for need in distribution.requires or []]
    needs = {(need, extra.strip("'\"")) for need, _, extra in requires if extra}

    assert {need for need, extra in needs if extra == "all"} == {
        need for need, extra in needs if extra not in {"all", "pytest"}
    }


@pytest.mark.parametrize("member", ["signalbus"], indirect=True)
def test_every_distribution_can_be_had_through_signalbus(
    members: list[str], distribution: Distribution
) -> None:
    """Users need one name, ``signalbus``; the rest are its needs and its extras."""
    needs = {need.split(">=")[0] for need in distribution.requires or []}

    assert needs == set(members) - {"signalbus"}


def _packages(member: str) -> set[str]:
    special = {"signalbus": [], "signalbus-core": ["signalbus"]}
    special["signalbus-compat"] = ["flask_signalbus"]
    return set(special.get(member, [member.replace("-", "_")]))
