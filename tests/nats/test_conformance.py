"""NATS passes the suite that every broker plugin must pass."""

from __future__ import annotations

from signalbus.testing.conformance import BrokerConformance


class TestNATS(BrokerConformance):
    """Run all tests of the suite."""

    broker = "nats"
    timeout_setting = "SIGNALBUS_NATS_TIMEOUT"
