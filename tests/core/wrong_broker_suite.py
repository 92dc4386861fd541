"""The suite on a broker that is wrong: `WRONG_BROKER` names it. Run by a test."""

from __future__ import annotations

import os

from signalbus.testing.conformance import BrokerConformance
from test_postbox import broker_server

__all__ = ["TestWrong", "broker_server"]


class TestWrong(BrokerConformance):
    """Postbox, but for something."""

    broker = "postbox"
    timeout_setting = "SIGNALBUS_POSTBOX_TIMEOUT"
    plugin = f"wrong_postboxes:{os.environ['WRONG_BROKER']}"
    many = 2_000
    program_timeout = 15.0
