"""A broker that somebody else wrote is installed, found and used."""

from __future__ import annotations

import json
import shutil
import typing as t

import pytest

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Environment

pytestmark = pytest.mark.packaging

SIGNAL = {"signal": "OrderPaid", "order_id": 7, "amount": 100}


class Shop:
    """The commands of a small app, and the file that its broker writes."""

    def __init__(self, environment: Environment, folder: Path, app: Path) -> None:
        self.environment = environment
        self.file = folder / "signals.jsonl"
        self.app = shutil.copy(app, folder)
        self.variables = {
            "SHOP_SQLALCHEMY_DATABASE_URI": f"sqlite:///{folder / 'shop.sqlite'}",
            "SHOP_SIGNALBUS_FILEBROKER_PATH": str(self.file),
        }

    def run(self, *arguments: str, **variables: str) -> None:
        """Run a command of the app."""
        flask = ("flask", "--app", str(self.app))
        self.environment.run(*flask, *arguments, **self.variables, **variables)

    def messages(self) -> list[object]:
        """Return what the broker was sent so far."""
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture(scope="module")
def environment(
    new_environment: t.Callable[..., Environment], root: Path
) -> Environment:
    """Give an environment that has signalbus and the broker's project."""
    project = root / "tests" / "plugins" / "signalbus-filebroker"
    return new_environment("signalbus", str(project))


@pytest.fixture
def shop(environment: Environment, tmp_path: Path, root: Path) -> Shop:
    """Give a shop whose broker is installed."""
    return Shop(environment, tmp_path, root / "tests" / "plugins" / "shop.py")


def test_a_commit_sends_through_the_installed_broker(shop: Shop) -> None:
    """The plugin is found through its entry point: the app does not mention it."""
    shop.run("pay")

    assert [SIGNAL] == shop.messages()


def test_the_commands_send_through_the_installed_broker(shop: Shop) -> None:
    """What autoflush left is sent by ``flask signalbus flushmany``."""
    shop.run("pay", SHOP_SIGNALBUS_AUTOFLUSH="false")
    shop.run("signalbus", "flushmany")

    assert [SIGNAL] == shop.messages()


def test_a_broker_that_is_not_installed_is_named(
    plain: Environment, tmp_path: Path, root: Path
) -> None:
    """Who forgot to install it is told so, and no signal is lost."""
    shop = Shop(plain, tmp_path, root / "tests" / "plugins" / "shop.py")
    shop.run("pay", SHOP_SIGNALBUS_AUTOFLUSH="false")

    with pytest.raises(pytest.fail.Exception, match="filebroker"):
        shop.run("signalbus", "flushmany")
