"""How the plugin meets suites: apps of all kinds, marks, settings, and what is left."""

from __future__ import annotations

import sys
import typing as t

import pytest

if t.TYPE_CHECKING:
    from conftest import Suite

pytest_plugins = ["pytester"]

NewSuite: t.TypeAlias = "t.Callable[..., Suite]"


def test_app_may_be_made_for_each_test(new_suite: NewSuite) -> None:
    """A bus that outlives its apps is told which of them the test is about."""
    suite = new_suite(None)
    suite.write(
        "conftest",
        """
        import pytest
        from shop import create_app
        from shop import db

        apps = []  # as if something kept them


        @pytest.fixture
        def app():
            app = create_app("sqlite://")
            apps.append(app)
            with app.app_context():
                db.create_all()
            return app


        @pytest.fixture
        def client(app):
            return app.test_client()
        """,
    )
    suite.run(
        """
        import pytest


        @pytest.mark.parametrize("n", range(3))
        def test_order(client, recorded_signals, flush_signals, n):
            client.post("/orders/7")
            recorded_signals.assert_recorded(OrderPlaced)
            assert len(flush_signals()) == 1
        """
    ).assert_outcomes(passed=3)


def test_bus_can_be_given(new_suite: NewSuite) -> None:
    """Where no fixture is named app, one gives the bus."""
    suite = new_suite(None)
    suite.write(
        "conftest",
        """
        import pytest
        import shop


        @pytest.fixture(scope="session")
        def application():
            return shop.create_app("sqlite://")


        @pytest.fixture
        def signalbus_bus(application):
            with application.app_context():
                shop.db.create_all()
                yield shop.bus
        """,
    )
    suite.run(
        """
        def test_order(application, recorded_signals, flush_signals):
            application.test_client().post("/orders/7")
            recorded_signals.assert_recorded(OrderPlaced)
            assert len(flush_signals()) == 1
        """
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("fixture", "said"),
    [
        ("def other(): ...", "*found no fixture named app. Define it*"),
        ("def app(): return 13", "*fixture app returned 13, which has no signal bus*"),
        (
            "def app(): return __import__('flask').Flask('x')",
            "*returned <Flask 'x'>, which has no signal bus. Return an app*",
        ),
        ("def app(missing): ...", "*fixture 'missing' not found*"),
    ],
)
def test_missing_bus_is_explained(new_suite: NewSuite, fixture: str, said: str) -> None:
    """The fact, and what to define."""
    suite = new_suite(None)
    suite.write("conftest", f"import pytest\n\n\n@pytest.fixture\n{fixture}")
    result = suite.run("def test_order(recorded_signals): ...")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([said])


def test_unittest_classes_get_the_fixtures(suite: Suite) -> None:
    """By a fixture that is used automatically, as pytest's manual says."""
    suite.run(
        """
        import unittest

        import pytest


        class TestOrders(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _signals(self, client, recorded_signals, flush_signals):
                self.client = client
                self.signals = recorded_signals
                self.flush = flush_signals

            def test_order(self):
                self.client.post("/orders/7")
                self.signals.assert_recorded(OrderPlaced, order_id=7)
                assert len(self.flush()) == 1

            @pytest.mark.signalbus_autoflush
            def test_autoflush(self):
                self.client.post("/orders/7")
                assert self.flush() == []
        """
    ).assert_outcomes(passed=2)


def test_failed_assertion_points_at_the_test(suite: Suite) -> None:
    """The traceback ends in the line of the test, and the diff is below it."""
    result = suite.run(
        """
        def test_order(client, recorded_signals):
            client.post("/orders/7")
            recorded_signals.assert_recorded(OrderPlaced, cents=900)
        """
    )

    result.assert_outcomes(failed=1)
    lines = result.stdout.lines
    first = lines.index(
        ">       recorded_signals.assert_recorded(OrderPlaced, cents=900)"
    )
    assert [
        "E       AssertionError: No OrderPlaced was recorded with cents=900.",
        "E       ",
        "E       These were recorded, the closest first:",
        "E         OrderPlaced(order_id=7, cents=995)",
        "E           cents: expected 900, recorded 995",
        "",
        "test_shop.py:6: AssertionError",
    ] == lines[first + 1 : first + 8]


@pytest.mark.parametrize("isolation", ["session", "deletions"])
def test_nothing_is_left_for_the_next_test(new_suite: NewSuite, isolation: str) -> None:
    """No plugin, no open breaker, no autoflush that is off, and no listener."""
    new_suite(isolation).run(
        """
        import pytest
        from signalbus import BrokerUnavailableError

        PLUGINS = set(bus.plugin_manager.get_plugins())


        def test_outage(client, memory_broker, flush_signals, recorded_signals):
            client.post("/orders/7")
            memory_broker.available = False
            memory_broker.hang()
            with pytest.raises(BrokerUnavailableError):
                flush_signals()
            assert bus.breakers.open()


        def test_autoflush_of_app(app):
            assert set(bus.plugin_manager.get_plugins()) == PLUGINS
            assert not bus.breakers.open()
            assert bus.autoflush is True
            app.config["SIGNALBUS_AUTOFLUSH"] = False
            assert bus.autoflush is False
            del app.config["SIGNALBUS_AUTOFLUSH"]


        def test_afterwards(memory_broker, recorded_signals):
            assert memory_broker.sent == []
            assert memory_broker.available
            assert len(recorded_signals) == 0
        """
    ).assert_outcomes(passed=3)


def test_hanging_threads_are_released_at_the_end(new_suite: NewSuite) -> None:
    """A broker that hangs when its test ends keeps no thread for ever."""
    new_suite("deletions").run(
        """
        import threading

        threads = []


        def test_hang(app, client, memory_broker):
            client.post("/orders/7")
            memory_broker.hang()
            thread = threading.Thread(target=bus.flush)
            thread.start()
            threads.append(thread)
            assert memory_broker.wait_for_caller()


        def test_afterwards():
            threads[0].join(timeout=30)
            assert not threads[0].is_alive()
        """
    ).assert_outcomes(passed=2)


MODES = """
    import pytest


    def test_plain(memory_broker):
        assert bus.autoflush is PLAIN


    @pytest.mark.signalbus_autoflush
    def test_marked(memory_broker):
        assert bus.autoflush is True


    @pytest.mark.signalbus_autoflush(False)
    def test_off(recorded_signals):
        assert bus.autoflush is False


    @pytest.mark.signalbus_autoflush("background")
    def test_background(client, memory_broker):
        assert bus.autoflush == "background"
        client.post("/orders/7")
        assert bus.drain_autoflush()
        assert [sent.id for sent in memory_broker.sent] == ["order_placed:7"]
"""


@pytest.mark.parametrize(
    ("value", "plain"), [(None, False), ("off", False), ("on", True)]
)
@pytest.mark.parametrize("isolation", ["session", "deletions"])
def test_autoflush_is_what_the_test_or_the_setting_asks_for(
    new_suite: NewSuite, value: str | None, plain: bool, isolation: str
) -> None:
    """Off by default; the marker wins over the setting."""
    suite = new_suite(isolation)
    options = [] if value is None else ["-o", f"signalbus_autoflush={value}"]

    suite.run(f"PLAIN = {plain}", MODES, options=options).assert_outcomes(passed=4)


def test_wrong_values_of_marker_and_setting_are_errors(suite: Suite) -> None:
    """They name what is possible."""
    marked = suite.run(
        """
        import pytest


        @pytest.mark.signalbus_autoflush("now")
        def test_marked(memory_broker): ...
        """
    )
    configured = suite.run(
        "def test_configured(memory_broker): ...",
        options=["-o", "signalbus_autoflush=maybe"],
    )

    marked.stdout.fnmatch_lines(["*The marker signalbus_autoflush has 'now'. Give*"])
    configured.stdout.fnmatch_lines(
        ["*The setting signalbus_autoflush is 'maybe'. Set it to off, on or back*"]
    )


def test_sessions_whose_commit_is_replaced_are_followed(new_suite: NewSuite) -> None:
    """Where commit() only flushes, signals are uncommitted, and the error says so."""
    result = new_suite("deletions").run(
        """
        import pytest


        @pytest.fixture(autouse=True)
        def flushed(app, monkeypatch):
            with app.app_context():
                monkeypatch.setattr(db.session, "commit", db.session.flush)
                yield
                db.session.rollback()


        def test_uncommitted(recorded_signals):
            db.session.add(OrderPlaced(order_id=7, cents=995))
            db.session.commit()
            recorded_signals.uncommitted.assert_recorded(OrderPlaced, order_id=7)
            recorded_signals.assert_recorded(OrderPlaced, order_id=7)
        """
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*but was not committed (see recorded_signals.uncommitted):"]
    )


def test_view_that_fails_after_the_commit_has_recorded(suite: Suite) -> None:
    """The commit is done, whatever becomes of the request."""
    suite.run(
        """
        import pytest


        def test_order(client, recorded_signals):
            with pytest.raises(LookupError):
                client.post("/orders/13")
            recorded_signals.assert_recorded(OrderPlaced, order_id=13)
        """
    ).assert_outcomes(passed=1)


def test_signals_can_be_made_to_fail_with_retries(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With signalbus-retry, whose table is in the test's transaction, too."""
    pytest.importorskip("signalbus_retry")
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "")
    suite.run(
        """
        import pytest
        import signalbus_retry


        @pytest.mark.parametrize("again", [False, True])
        def test_order(client, memory_broker, flush_signals, again):
            memory_broker.refuse(lambda signal: signal.order_id == 7)
            client.post("/orders/7")
            client.post("/orders/8")
            with pytest.raises(ValueError):
                flush_signals()
            memory_broker.recover()
            assert flush_signals() == []  # it waits

            with flush_signals.joined():
                (failure,) = signalbus_retry.failures(bus)
                assert failure.key == (7,)
                assert signalbus_retry.replay(bus) == 1
            assert [sent.values["order_id"] for sent in flush_signals()] == [7]
        """
    ).assert_outcomes(passed=2)


def test_tests_may_be_distributed(suite: Suite) -> None:
    """With pytest-xdist, each process has its own of everything."""
    pytest.importorskip("xdist")
    suite.run(
        """
        import pytest


        @pytest.mark.parametrize("n", range(8))
        def test_order(app, recorded_signals, n):
            recorded_signals.assert_not_recorded()
        """,
        options=["-n", "2"],
    ).assert_outcomes(passed=8)


def test_suites_that_do_not_use_it_import_nothing(suite: Suite) -> None:
    """Without Flask, SQLAlchemy and signalbus, pytest has our fixtures."""
    suite.write("conftest", "")
    suite.write("shop", "")
    result = suite.run(
        """
        import sys


        def test_modules():
            unwanted = ("flask", "sqlalchemy", "signalbus", "signalbus.testing")
            assert not sys.modules.keys() & set(unwanted)
            ours = {name for name in sys.modules if name.startswith("signalbus")}
            assert ours == {"signalbus_pytest", "signalbus_pytest.plugin"}
        """
    )
    result.assert_outcomes(passed=1)
    listed = suite.run("", options=["--fixtures"]).stdout.str()
    for name in ("recorded_signals", "memory_broker", "flush_signals", "signalbus_bus"):
        assert f"\n{name} -- " in listed
    assert "signalbus_journal" not in listed


def test_names_for_annotations_are_imported_when_they_are_needed() -> None:
    """Those of the package are public; others do not exist."""
    import signalbus_pytest

    for name in signalbus_pytest.__all__:
        assert name == getattr(signalbus_pytest, name).__name__
    with pytest.raises(AttributeError, match="has no attribute 'Other'"):
        _ = signalbus_pytest.Other
    assert "signalbus_pytest.recorded" in sys.modules
