"""A shop with a dashboard, whose signals fail when the tests say so."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import os
import re
import secrets
import shutil
import threading
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError
from signalbus import SignalBus
from signalbus.brokers import BrokerPlugin
from signalbus.brokers import Sender
from signalbus_dashboard import dashboard
from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import make_server

if t.TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch
    from signalbus.typing import SignalModel
    from werkzeug.test import TestResponse

TOKEN = re.compile(r'name="signalbus_csrf" value="([^"]+)"')


class Wire(Sender):
    """Where the signals go; it fails for the texts that it is told."""

    def __init__(self) -> None:
        """Begin with a wire that confirms everything."""
        self.is_down = False
        self.errors: dict[str, Exception] = {}
        self.sent: list[str] = []

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Confirm what does not fail."""
        if self.is_down:
            raise BrokerUnavailableError("No wire at amqp://guest:secret@host/shop")
        for message in batch:
            text = message.signal.text
            if text in self.errors:
                batch.fail(message.position, self.errors[text])
            else:
                self.sent.append(text)
                batch.confirm(message.position)


class WireBroker(BrokerPlugin):
    """Send the models that declare ``signalbus_broker = "wire"``."""

    name = "wire"

    def __init__(self, wire: Wire) -> None:
        """Send over *wire*."""
        super().__init__()
        self._wire = wire

    def make_sender(self, app: Flask) -> Sender:
        """Return the wire."""
        return self._wire


class Visitor:
    """A person at a browser without JavaScript."""

    def __init__(self, client: FlaskClient) -> None:
        """Use *client*, with its cookies."""
        self.client = client

    def get(self, path: str, status: int = 200) -> str:
        """Return a page, as it is sent."""
        response = self.client.get(f"/signalbus{path}")
        assert status == response.status_code, response.text
        return response.text

    def json(self, path: str, status: int = 200) -> t.Any:
        """Return the JSON of a page."""
        response = self.client.get(f"/signalbus{path}")
        assert status == response.status_code, response.text
        return response.get_json()

    def post(self, path: str, page: str, **form: str) -> TestResponse:
        """Send a form with the token of *page*."""
        found = TOKEN.search(self.get(page))
        assert found, "no form on the page"
        data = {"signalbus_csrf": found[1], **form}
        return self.client.post(f"/signalbus{path}", data=data)


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch on what is off in the tests of other distributions."""
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "otel")


@pytest.fixture
def app(new_app: t.Callable[..., Flask], engine_url: str) -> Flask:
    """Give an app with sessions, that sends nothing by itself."""
    policy = {"first_delay": 1000, "jitter": 0}  # nothing is due during a test
    settings = {"SIGNALBUS_AUTOFLUSH": False, "SIGNALBUS_RETRY": policy}
    return new_app(engine_url, SECRET_KEY="key", **settings)  # noqa: S106


@pytest.fixture
def wire() -> Wire:
    """Give the wire that the signals go over."""
    return Wire()


@pytest.fixture
def bus(db: SQLAlchemy, wire: Wire) -> SignalBus:
    """Give the bus of the app, with a broker."""
    bus = SignalBus(db)
    bus.plugin_manager.register(WireBroker(wire), "wire")
    return bus


@pytest.fixture
def new_model(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object
) -> t.Callable[..., SignalModel]:
    """Declare a signal model with ``new_model(name)``, and create its table."""

    def make(name: str = "OrderPaid", **attributes: t.Any) -> SignalModel:
        columns = {
            "id": sa.Column(sa.Integer, primary_key=True),
            "text": sa.Column(sa.Text),
            "recorded_at": sa.Column(sa.DateTime, nullable=False, default=now),
            "signalbus_broker": "wire",
            "signalbus_burst_count": 50,
        }
        model: SignalModel = type(name, (db.Model,), {**columns, **attributes})
        db.create_all()
        return model

    return make


@pytest.fixture
def paid(new_model: t.Callable[..., SignalModel]) -> SignalModel:
    """Declare a signal model."""
    return new_model()


@pytest.fixture
def record(db: SQLAlchemy) -> t.Callable[..., None]:
    """Make signals pending with ``record(model, *texts)``."""

    def insert(model: SignalModel, *texts: str, **values: t.Any) -> None:
        db.session.add_all([model(text=text, **values) for text in texts])
        db.session.commit()
        db.session.remove()

    return insert


@pytest.fixture
def flush(bus: SignalBus) -> t.Callable[[], None]:
    """Send what can be sent."""

    def run() -> None:
        with contextlib.suppress(Exception):
            bus.flushmany()

    return run


@pytest.fixture
def fail(
    record: t.Callable[..., None], wire: Wire, flush: t.Callable[[], None]
) -> t.Callable[..., None]:
    """Record signals, and let them fail, with ``fail(model, text=error, …)``."""
    pytest.importorskip("signalbus_retry")

    def run(model: SignalModel, **errors: Exception) -> None:
        wire.errors.update(errors)
        record(model, *errors)
        flush()

    return run


@pytest.fixture
def visit(app: Flask, bus: SignalBus) -> Visitor:
    """Give a visitor who may do everything."""
    blueprint = dashboard(bus, authorize=lambda: "ada")
    app.register_blueprint(blueprint, url_prefix="/signalbus")
    return Visitor(app.test_client())


def now() -> dt.datetime:
    """Return the time that a signal is recorded at."""
    return dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)


@pytest.fixture
def add_relay(db: SQLAlchemy) -> t.Callable[..., None]:
    """Insert the row of a relay on another host, silent for some seconds."""
    pytest.importorskip("signalbus_relay")

    def insert(seconds: float, **models: dict[str, t.Any]) -> None:
        table = db.metadata.tables["signalbus_relay"]
        time = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=seconds)
        if db.engine.dialect.name != "postgresql":
            time = time.replace(tzinfo=None)
        row = {
            "id": secrets.token_hex(8),
            "host": "elsewhere",
            "process": 4711,
            "started_at": time,
            "heartbeat_at": time,
            "models": json.dumps(models),
        }
        with db.engine.begin() as connection:
            connection.execute(sa.insert(table), [row])

    return insert


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Any]:
    """Start a headless Chromium, or skip the test where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver")
    programs = [shutil.which("chromium"), shutil.which("chromedriver")]
    if None in programs:
        reason = "There are no chromium and chromedriver (Debian: chromium-driver)."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    for flag in (
        *("headless", "no-sandbox", "disable-gpu", "no-first-run", "hide-scrollbars"),
        *("disable-background-networking", "disable-component-update", "disable-sync"),
        *("disable-dev-shm-usage", "window-size=1100,900", "lang=en"),
        f"user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    service = webdriver.ChromeService(executable_path=programs[1])
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


class Browser:
    """A person at a browser."""

    def __init__(self, driver: t.Any, url: str) -> None:
        """Begin on no page."""
        self.driver = driver
        self.url = url

    def open(self, path: str = "/") -> None:
        """Load a page."""
        self.driver.get(f"{self.url}{path}")

    def find(self, selector: str) -> t.Any:
        """Return the first element that matches."""
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str = "main") -> str:
        """Return what can be read there."""
        return str(self.find(selector).text)

    def click(self, text: str) -> None:
        """Click the link or the button with this text, and wait for its page."""
        path = f"//a[contains(., '{text}')] | //button[contains(., '{text}')]"
        element = self.driver.find_element("xpath", path)
        element.click()
        self.wait(lambda: self.is_gone(element))

    def wait(self, condition: t.Callable[[], object]) -> None:
        """Wait until *condition* holds."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 30, 0.05).until(lambda _: condition())

    def look(self, *, scheme: str = "light", width: int = 1100) -> None:
        """Prefer a color scheme, on a screen of so many pixels."""
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def picture(self, path: Path) -> None:
        """Write what is on the page, all of it, to a file."""
        height = self.driver.execute_script("return document.body.scrollHeight")
        metrics = self.driver.execute_script("return [innerWidth]")
        clip = {"x": 0, "y": 0, "width": metrics[0], "height": height, "scale": 1}
        shot = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def requests(self) -> list[str]:
        """Return the addresses that pages have asked for since the last call."""
        events = [
            json.loads(entry["message"])["message"]
            for entry in self.driver.get_log("performance")
        ]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]

    @staticmethod
    def is_gone(element: t.Any) -> bool:
        """Return whether an element belongs to a page that was left."""
        from selenium.common.exceptions import WebDriverException

        try:
            element.is_enabled()
        except WebDriverException:
            return True
        return False


@pytest.fixture
def browser(app: Flask, visit: Visitor, chromium: t.Any) -> t.Iterator[Browser]:
    """Give a browser, for an app that is served meanwhile."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    chromium.delete_all_cookies()
    browser = Browser(chromium, f"http://127.0.0.1:{server.server_port}/signalbus")
    browser.look()
    browser.requests()
    yield browser
    chromium.get("about:blank")
    server.shutdown()
    thread.join()
    server.server_close()


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_: object, **__: object) -> None:
        """Print nothing."""
