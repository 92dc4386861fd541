"""The conformance suite for broker plugins. Subclass it to test your broker.

It needs pytest. See :class:`BrokerConformance`.
"""

from __future__ import annotations

import contextlib
import typing as t

import pytest

_MODULES = ("_case", "_delivery", "_messages", "_outages", "_processes")
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _MODULES))

# Only now, so that their asserts are rewritten:
from signalbus.testing.conformance._case import Case  # noqa: E402
from signalbus.testing.conformance._case import routed  # noqa: E402
from signalbus.testing.conformance._delivery import Delivery  # noqa: E402
from signalbus.testing.conformance._messages import Messages  # noqa: E402
from signalbus.testing.conformance._outages import TIMEOUT  # noqa: E402
from signalbus.testing.conformance._outages import Outages  # noqa: E402
from signalbus.testing.conformance._processes import Processes  # noqa: E402

if t.TYPE_CHECKING:
    from pathlib import Path

    from signalbus.testing.servers import BrokerServer

__all__ = ["BrokerConformance"]

NewCase: t.TypeAlias = t.Callable[..., Case]


class BrokerConformance(Delivery, Messages, Outages, Processes):
    """The tests that every broker plugin must pass, against a real server.

    Subclass it, name your broker, and write the fixture ``broker_server``, which yields
    a :class:`~signalbus.testing.servers.BrokerServer` that is running::

        @pytest.fixture(scope="module")
        def broker_server():
            server = PigeonServer()
            server.start()
            yield server
            server.stop()


        class TestPigeons(BrokerConformance):
            broker = "pigeons"
            timeout_setting = "SIGNALBUS_PIGEONS_TIMEOUT"

    If a test cannot pass with your broker, override it, and say in your documentation
    what does not hold.
    """

    #: The name that models declare in ``signalbus_broker``.
    broker: str

    #: The setting for how long the broker may be silent, in seconds.
    timeout_setting: str

    #: The import path of the plugin, such as ``"signalbus_pigeons:broker"``, to test a
    #: plugin that is not installed. Empty if it is installed.
    plugin: str = ""

    #: The import path of a function, such as ``"my_tests.shop:prepare"``, which is
    #: called with each app before its bus is made. Empty if there is none.
    prepare: str = ""

    #: The size of large bodies, in bytes.
    large: int = 500_000

    #: How long a program that sends three signals may take, in seconds.
    program_timeout: float = 60.0

    #: How many signals the test of many signals sends.
    many: int = 50_000

    @pytest.fixture(autouse=True)
    def _repaired(self, broker_server: BrokerServer) -> t.Iterator[None]:
        """Repair the server after each test."""
        yield
        broker_server.thaw()
        broker_server.start()

    @pytest.fixture
    def case(self, new_case: NewCase) -> Case:
        """Return an app with a model whose signals go to the server."""
        return new_case()

    @pytest.fixture
    def impatient_case(
        self, broker_server: BrokerServer, tmp_path: Path
    ) -> t.Iterator[Case]:
        """Yield a case with a short timeout of the broker."""
        settings = {self.timeout_setting: TIMEOUT}
        with contextlib.closing(
            Case(self, broker_server, tmp_path, settings, {})
        ) as case:
            yield case

    @pytest.fixture
    def new_case(
        self, broker_server: BrokerServer, tmp_path: Path
    ) -> t.Iterator[NewCase]:
        """Yield a function that makes a case, with further attributes of the model."""
        with contextlib.ExitStack() as stack:
            yield lambda **extra: stack.enter_context(
                contextlib.closing(Case(self, broker_server, tmp_path, {}, extra))
            )

    @pytest.fixture
    def refusing_case(self, broker_server: BrokerServer, new_case: NewCase) -> NewCase:
        """Return a function that makes a case whose server refuses the given ids."""
        refused = broker_server.refused_attributes()
        if refused is None:
            pytest.skip("the server refuses no messages")

        def make(numbers: set[int]) -> Case:
            good = broker_server.attributes()
            routes = routed(good, refused, lambda signal: signal.id in numbers)
            case = new_case(**{**good, **routes})
            case.attributes = good
            return case

        return make
