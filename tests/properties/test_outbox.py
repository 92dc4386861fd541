"""Whatever happens to an outbox, it keeps its promises."""

from __future__ import annotations

import typing as t

import pytest
from hypothesis import stateful
from outbox.machine import Outbox

if t.TYPE_CHECKING:
    from hypothesis import settings
    from outbox.shop import Shop

Effort: t.TypeAlias = "t.Callable[[int, int], settings]"


def search(shop: Shop, settings: settings, **attributes: t.Any) -> None:
    """Look for a sequence of steps that breaks a promise."""
    machine = type("ShopOutbox", (Outbox,), {"shop": shop, **attributes})
    stateful.run_state_machine_as_test(machine, settings=settings)


@pytest.mark.parametrize("hears_commits", [False, True])
def test_outbox_keeps_its_promises(shop: Shop, effort: Effort) -> None:
    """What is committed is sent, once, in order, and nothing else is."""
    search(shop, effort(30, 40))


def test_background_keeps_the_promises(shop: Shop, effort: Effort) -> None:
    """So it is when another thread sends."""
    search(shop, effort(20, 40), switches=("background", "background", False))


@pytest.mark.databases("postgresql", "mariadb")
def test_servers_keep_the_promises(shop: Shop, effort: Effort) -> None:
    """So it is where a user may have a transaction open while others flush."""
    search(shop, effort(8, 40))
