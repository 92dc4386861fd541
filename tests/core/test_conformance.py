"""The suite for brokers finds what is wrong with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SUITE = Path(__file__).with_name("wrong_broker_suite.py")

#: What is wrong with a broker, and the test of the suite that finds it.
WRONG = {
    "alarmist": "test_failures_are_reported_by_position",
    "blind": "test_check_finds_an_absent_broker",
    "clinging": "test_a_connection_that_died_goes_unnoticed",
    "coarse": "test_failures_are_reported_by_position",
    "deaf": "test_a_stop_ends_the_wait",
    "fatalist": "test_what_cannot_be_made_fails_alone",
    "greedy": "test_models_of_other_brokers_are_left_alone",
    "hasty": "test_an_outage_loses_nothing",
    "headless": "test_headers_of_plugins_arrive",
    "lingering": "test_the_interpreter_ends",
    "literate": "test_bodies_arrive_as_they_are",
    "miscounting": "test_failures_are_reported_by_position",
    "optimist": "test_a_broker_that_goes_is_unavailable",
    "patient": "test_a_silent_broker_times_out",
    "renaming": "test_message_ids_are_stable",
    "repeating": "test_failures_are_reported_by_position",
    "talkative": "test_the_interpreter_ends",
    "vague": "test_connecting_to_a_silent_broker_times_out",
}


def run_suite(broker: str, test: str, folder: Path) -> str:
    """Run *test* of the suite on the wrong *broker*, and return what it prints."""
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n")
    folders = [TESTS / "plugins", TESTS / "plugins" / "signalbus-postbox"]
    path = os.pathsep.join(map(str, folders))
    done = subprocess.run(  # noqa: S603 our own program
        [
            *[sys.executable, "-m", "pytest", "-q", "-c", str(settings), str(SUITE)],
            *["-k", test],
            *["-p", "no:randomly", "-p", "no:cacheprovider", "-n", "0"],
        ],
        env={**os.environ, "PYTHONPATH": path, "WRONG_BROKER": broker},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@pytest.mark.parametrize(("broker", "test"), WRONG.items())
def test_wrong_brokers_fail(broker: str, test: str, tmp_path: Path) -> None:
    """Each is right but for one thing, which a test of the suite is about."""
    output = run_suite(broker, test, tmp_path)

    failed = set(re.findall(r"^FAILED .*::(\w+)", output, re.MULTILINE))
    assert {test} <= failed, output
