"""Tests of threads, forks, and the end of an app and of the interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import typing as t
import warnings

import pytest

from signalbus.testing.conformance._case import environment
from signalbus.testing.conformance._case import error_within
from signalbus.testing.conformance._case import rows

if t.TYPE_CHECKING:
    from signalbus.testing.conformance._case import Case
    from signalbus.testing.servers import BrokerServer

#: The program that sends and exits. It is run, so it must not be imported here.
EXIT_PROGRAM = "signalbus.testing.conformance._exit_program"


class Processes:
    """The use of a sender by threads and forks, and its end."""

    broker: str
    plugin: str
    prepare: str
    program_timeout: float
    timeout_setting: str

    def test_threads_share_a_sender(self, case: Case) -> None:
        """What several threads send at the same time arrives, once each."""
        errors: list[BaseException] = []

        def send(first: int) -> None:
            try:
                for start in range(first, first + 100, 10):
                    case.send(rows(10, start))
            except BaseException as error:  # noqa: BLE001 the test shows it
                errors.append(error)

        threads = [
            threading.Thread(target=send, args=[1 + 100 * number])
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        for error in errors:
            raise error
        assert sorted(str(number).encode() for number in range(1, 801)) == case.bodies()

    def test_a_fork_has_connections_of_its_own(self, case: Case) -> None:
        """A child that sends, and ends, does not disturb its parent."""
        if not hasattr(os, "fork"):
            pytest.skip("this system cannot fork")
        case.send(rows(3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are threads
            child = os.fork()
        if child == 0:
            status = 1
            try:
                error = error_within(20, lambda: case.send(rows(3, first=4)))
                status = 0 if error is None else 1
            finally:
                os._exit(status)
        case.send(rows(3, first=7))
        _, status = os.waitpid(child, 0)
        case.send(rows(3, first=10))

        assert 0 == status, "the child could not send"
        assert sorted(str(number).encode() for number in range(1, 13)) == case.bodies()

    def test_a_closed_sender_opens_again(self, case: Case) -> None:
        """Closing ends connections, not the sender."""
        plugin = _plugin(case, self.broker)
        case.send(rows(3))
        plugin.close(case.app)
        case.send(rows(3, first=4))

        assert sorted(str(number).encode() for number in range(1, 7)) == case.bodies()

    def test_closing_does_not_wait_for_a_silent_broker(self, case: Case) -> None:
        """The end of an app is not held up."""
        plugin = _plugin(case, self.broker)
        case.send(rows(3))
        case.server.freeze()

        assert None is error_within(1.0, lambda: plugin.close(case.app))

    def test_the_interpreter_ends(self, broker_server: BrokerServer) -> None:
        """A program that has sent ends at once, without a word."""
        attributes = broker_server.attributes()

        program = self._run(broker_server, attributes)

        assert (0, "sent\n", "") == program
        assert 3 == len(broker_server.read(attributes))

    def test_the_interpreter_ends_beside_a_silent_broker(
        self, broker_server: BrokerServer
    ) -> None:
        """Nothing that was not answered keeps a program from ending."""
        attributes = broker_server.attributes()
        broker_server.freeze()

        program = self._run(broker_server, attributes)

        assert (0, "unavailable\n", "") == program

    def _run(
        self, server: BrokerServer, attributes: dict[str, t.Any]
    ) -> tuple[int, str, str]:
        """Run a program that sends three signals; return its status and output."""
        job = {
            "broker": self.broker,
            "plugin": self.plugin,
            "prepare": self.prepare,
            "settings": {**server.settings(), self.timeout_setting: 2},
            "attributes": attributes,
        }
        try:
            done = subprocess.run(  # noqa: S603 our own program
                [sys.executable, "-m", EXIT_PROGRAM, json.dumps(job)],
                env=environment(),
                capture_output=True,
                text=True,
                timeout=self.program_timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            pytest.fail(
                f"The program has not ended after {self.program_timeout:g} s. It has"
                f" printed {late.stdout or b''!r}. Does it leave a thread that is not a"
                " daemon?"
            )
        return done.returncode, done.stdout, done.stderr


def _plugin(case: Case, name: str) -> t.Any:
    """Return the plugin of the broker *name*, which has ``close(app)``."""
    manager = case.bus.plugin_manager
    named = [each for each in manager.get_plugins() if _name_of(each) == name]
    return named[0] if named else manager.get_plugin(name)


def _name_of(plugin: object) -> object:
    return getattr(plugin, "name", None)
