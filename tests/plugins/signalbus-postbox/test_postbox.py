"""The plugin passes the conformance suite."""

from __future__ import annotations

import base64
import json
import secrets
import sys
import typing as t
import urllib.request
from pathlib import Path

import pytest
from signalbus.testing.conformance import BrokerConformance
from signalbus.testing.servers import ProcessServer
from signalbus.testing.servers import ReceivedMessage


class PostboxServer(ProcessServer):
    """A Postbox in a process of its own."""

    def command(self) -> list[str]:
        """Return the command that starts it."""
        program = Path(__file__).with_name("postbox.py")
        return [sys.executable, str(program), str(self.server_port)]

    def settings(self) -> dict[str, t.Any]:
        """Return the settings of an app that sends to it."""
        return {"SIGNALBUS_POSTBOX_ADDRESS": f"127.0.0.1:{self.port}"}

    def attributes(self) -> dict[str, t.Any]:
        """Return what a model declares to send to a new, empty box."""
        return {"signalbus_box": secrets.token_hex(4)}

    def refused_attributes(self) -> dict[str, t.Any]:
        """Return what a model declares to be refused."""
        return {"signalbus_box": "No such box!"}

    def read(self, attributes: dict[str, t.Any]) -> list[ReceivedMessage]:
        """Return what is in a box."""
        url = f"http://127.0.0.1:{self.port}/{attributes['signalbus_box']}"
        with urllib.request.urlopen(url) as response:
            return [_received(**message) for message in json.load(response)]


def _received(body: str, **fields: t.Any) -> ReceivedMessage:
    return ReceivedMessage(body=base64.b64decode(body), **fields)


@pytest.fixture(scope="module")
def broker_server() -> t.Iterator[PostboxServer]:
    """Give a Postbox."""
    server = PostboxServer()
    server.start()
    yield server
    server.stop()


class TestPostbox(BrokerConformance):
    """Run all tests of the suite."""

    broker = "postbox"
    timeout_setting = "SIGNALBUS_POSTBOX_TIMEOUT"
    plugin = "signalbus_postbox:broker"
