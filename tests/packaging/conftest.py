"""The wheels of all distributions, and environments to install them into."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import subprocess
import sys
import typing as t
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MEMBERS = sorted(project.parent.name for project in ROOT.glob("packages/*/*.toml"))


class Environment:
    """A virtual environment that gets our distributions from our wheels alone."""

    def __init__(self, folder: Path, wheels: dict[str, Path]) -> None:
        """Create an empty environment in *folder*."""
        self.folder = folder
        self.wheels = wheels
        self._uv("venv", "--python", sys.executable, str(folder))

    def install(self, *requirements: str) -> None:
        """Install *requirements*, each of our own at the version of its wheel."""
        pins = self.folder / "pins.txt"
        pins.write_text("".join(f"{pin}\n" for pin in map(_pin, self.wheels.values())))
        links = str(next(iter(self.wheels.values())).parent)
        options = ("--find-links", links, "--constraint", str(pins))
        self._uv(
            "pip", "install", "--python", str(self.folder), *options, *requirements
        )

    def check(self) -> None:
        """Raise if an installed distribution misses one that it needs."""
        self._uv("pip", "check", "--python", str(self.folder))

    def installed(self) -> set[str]:
        """Name the installed distributions."""
        lines = self._uv("pip", "freeze", "--python", str(self.folder)).stdout
        return {line.split("==")[0].split(" @ ")[0] for line in lines.splitlines()}

    def run(
        self, command: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a *command* of the environment, outside of the checkout."""
        return _run(
            str(self.folder / "bin" / command),
            *arguments,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **variables},
        )

    def _uv(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        import uv

        return _run(uv.find_uv_bin(), *arguments, cwd=ROOT, env=dict(os.environ))


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def members() -> list[str]:
    """Name all our distributions."""
    return MEMBERS


@pytest.fixture(params=MEMBERS)
def member(request: pytest.FixtureRequest) -> str:
    """Name one of our distributions: a test that takes it runs for each of them."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build a wheel of each of our distributions, from the checkout as it is."""
    folder = tmp_path_factory.mktemp("dist")
    for name in MEMBERS:
        build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel")
        project = ROOT / "packages" / name
        _run(*build, "--directory", str(folder), cwd=project, env=dict(os.environ))
    built = {_pin(path).split("==")[0]: path for path in folder.glob("*.whl")}
    return {name.replace("_", "-"): path for name, path in built.items()}


@pytest.fixture(scope="session")
def distributions(
    wheels: dict[str, Path],
) -> t.Iterator[dict[str, importlib.metadata.Distribution]]:
    """Give what each wheel says of itself, by the name of its distribution."""
    with contextlib.ExitStack() as stack:
        read = {name: stack.enter_context(_open(wheels[name])) for name in wheels}
        yield read


@pytest.fixture
def distribution(
    member: str, distributions: dict[str, importlib.metadata.Distribution]
) -> importlib.metadata.Distribution:
    """Give what the wheel of *member* says of itself."""
    return distributions[member]


@pytest.fixture(scope="session")
def new_environment(
    wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> t.Callable[..., Environment]:
    """Make an environment with ``new_environment(*requirements)``."""

    def make(*requirements: str) -> Environment:
        environment = Environment(tmp_path_factory.mktemp("environment"), wheels)
        environment.install(*requirements)
        return environment

    return make


@pytest.fixture(scope="session")
def plain(new_environment: t.Callable[..., Environment]) -> Environment:
    """Give an environment that has signalbus without extras."""
    return new_environment("signalbus")


@pytest.fixture(scope="session")
def full(new_environment: t.Callable[..., Environment]) -> Environment:
    """Give an environment that has all of signalbus."""
    return new_environment("signalbus[all]")


@contextlib.contextmanager
def _open(wheel: Path) -> t.Iterator[importlib.metadata.Distribution]:
    folder = "{}-{}.dist-info/".format(*wheel.name.split("-")[:2])
    with zipfile.ZipFile(wheel) as file:
        yield importlib.metadata.PathDistribution(zipfile.Path(file, folder))  # type: ignore[arg-type]


def _pin(wheel: Path) -> str:
    return "{}=={}".format(*wheel.name.split("-")[:2])


def _run(
    *command: str, cwd: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run *command*, and fail with all that it printed if it fails."""
    done = subprocess.run(  # noqa: S603 our own command
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done
