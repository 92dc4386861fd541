"""A person with a browser sees that all is well, and mends what is not."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

import pytest

if t.TYPE_CHECKING:
    from conftest import Browser
    from conftest import Wire
    from signalbus.typing import SignalModel

pytest.importorskip("selenium")

#: What axe calls the violations that keep people from using a page.
SERIOUS = {"serious", "critical"}


def test_all_is_well(
    browser: Browser, paid: SignalModel, record: t.Any, flush: t.Any, add_relay: t.Any
) -> None:
    """The page says so first, and follows what happens without being loaded again."""
    add_relay(1)
    browser.open()
    mark = browser.find("h1")
    assert "All sent" == mark.text

    record(paid, "a", "b")
    browser.wait(lambda: "2 pending" == mark.text)
    flush()
    browser.wait(lambda: "All sent" == mark.text)
    points = browser.find("[data-spark=pending] polyline").get_attribute("points")
    assert len(points.split()) >= 2


def test_watching_can_be_paused(
    browser: Browser, paid: SignalModel, record: t.Any
) -> None:
    """Who reads wants the numbers to stand still."""
    browser.open()
    button = browser.find("#controls button")
    button.click()
    assert ("Resume", "Paused") == (button.text, browser.text("#controls span"))

    record(paid, "a")
    button.click()
    browser.wait(lambda: "1" == browser.text("dd[data-value=pending]"))


def test_a_failing_signal_is_found_by_its_error_and_replayed(
    browser: Browser, paid: SignalModel, fail: t.Any, flush: t.Any, wire: Wire
) -> None:
    """One look, one click to the reason, and another that mends it."""
    fail(
        paid,
        a=LookupError("There is no account 17."),
        b=ValueError("The amount is negative."),
    )
    browser.open()
    assert "No relay, 2 pending" == browser.text("h1")
    browser.click("OrderPaid")
    browser.find("input[name=error]").send_keys("account")
    browser.click("Filter")
    assert "There is no account 17." in browser.text()
    assert "negative" not in browser.text()

    browser.driver.find_element("link text", "1").click()
    browser.wait(lambda: "Last error" in browser.text())
    wire.errors.clear()
    browser.click("Replay")
    assert "will be sent by the next flush" in browser.text(".notice")
    flush()
    assert ["a"] == wire.sent
    browser.open("/models/OrderPaid/failures?error=account")
    assert "No failed signal of OrderPaid matches." in browser.text()


def test_discard_asks_first(browser: Browser, paid: SignalModel, fail: t.Any) -> None:
    """Cancel leads back; only the second button deletes."""
    fail(paid, a=ValueError("no"))
    browser.open("/models/OrderPaid/signal?key=1")
    browser.click("Discard")
    assert "This cannot be undone." in browser.text()
    browser.click("Cancel")
    browser.click("Discard")
    browser.click("Discard 1 signal")

    assert "1 signal of OrderPaid was discarded." in browser.text(".notice")
    assert "No signal of OrderPaid has failed." in browser.text()


def test_no_request_leaves_the_host(
    browser: Browser, paid: SignalModel, fail: t.Any
) -> None:
    """Pages are whole without the internet, and nothing is blocked on them."""
    fail(paid, a=ValueError("no"))
    for path in pages():
        browser.open(path)
    browser.wait(lambda: browser.driver.execute_script("return !document.hidden"))
    hosts = {urlsplit(url).netloc for url in browser.requests()}

    assert {urlsplit(browser.url).netloc} == hosts - {""}
    assert [] == [
        entry
        for entry in browser.driver.get_log("browser")
        if entry["level"] == "SEVERE" and entry["source"] != "network"
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_anybody_can_use_it(
    browser: Browser,
    paid: SignalModel,
    fail: t.Any,
    add_relay: t.Any,
    scheme: str,
    width: int,
) -> None:
    """No page has a serious violation of accessibility, nor scrolls sideways."""
    axe = pytest.importorskip("axe_core_python.selenium").Axe()
    add_relay(1, OrderPaid={"sent": 5, "is_down": True})
    add_relay(300)
    fail(paid, a=ValueError("no"), b=LookupError("nobody"))
    browser.look(scheme=scheme, width=width)
    for path in pages():
        browser.open(path)
        found = axe.run(browser.driver)["violations"]
        too_wide = browser.driver.execute_script(
            "return document.documentElement.scrollWidth - innerWidth"
        )
        assert [] == [
            (each["id"], [node["html"] for node in each["nodes"]])
            for each in found
            if each["impact"] in SERIOUS
        ], path
        assert too_wide <= 0, path


def test_it_is_used_by_keyboard(
    browser: Browser, paid: SignalModel, fail: t.Any
) -> None:
    """The first key leads past the header; what has the focus is marked."""
    from selenium.webdriver.common.keys import Keys

    fail(paid, a=ValueError("no"))
    browser.open("/models/OrderPaid/failures")
    focus = browser.driver.switch_to
    browser.find("body").send_keys(Keys.TAB)
    assert "Skip to the content" == focus.active_element.text
    assert focus.active_element.is_displayed()
    focus.active_element.send_keys(Keys.ENTER)
    assert "main" == focus.active_element.get_attribute("id")
    focus.active_element.send_keys(Keys.TAB)
    assert "error" == focus.active_element.get_attribute("name")
    assert "3px" == focus.active_element.value_of_css_property("outline-width")


def pages() -> list[str]:
    """Return a path of each kind of page."""
    model = "/models/OrderPaid"
    return [
        *("/", f"{model}/failures", f"{model}/failures?error=xyz"),
        *(f"{model}/signal?key=1", f"{model}/discard?key=1", f"{model}/discard"),
        *(f"{model}/signal?key=77", "/models/Nothing/failures"),
    ]
