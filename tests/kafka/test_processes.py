"""Processes that fork, and that end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
import warnings

import pytest
from signalbus_kafka import _forks

if t.TYPE_CHECKING:
    from conftest import Cluster

#: A process that has threads, and forks, is warned of by Python 3.12.
QUIET = ("-W", "ignore::DeprecationWarning", "-c")

#: Sends a signal, forks, and has both processes send and end as programs do.
PROGRAM = """
import json, os, sys, types
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
import sqlalchemy as sa

setting, topic, child_sends = json.loads(sys.argv[1])
app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
app.config["SIGNALBUS_KAFKA"] = setting
db = SQLAlchemy(app)
bus = SignalBus(db)

class Paid(db.Model):
    id = sa.Column(sa.Integer, primary_key=True)
    signalbus_broker = "kafka"
    signalbus_topic = topic
    signalbus_body = staticmethod(lambda signal: b"%d" % signal.id)

def send(number):
    with app.app_context():
        signals = [types.SimpleNamespace(id=number)]
        bus.plugin_manager.hook.signalbus_send_burst(
            bus=bus, model=Paid, signals=signals, timeout=None
        )

send(1)
child = os.fork()
if child == 0:
    if child_sends:
        send(2)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
send(3)
"""


@pytest.mark.parametrize("child_sends", [True, False])
def test_a_child_that_ends_leaves_its_parents_producer_alone(
    cluster: Cluster, topic: str, child_sends: bool
) -> None:
    """Without librdkafka's threads, ending it may take for ever."""
    setting = {"bootstrap.servers": cluster.servers}

    done = subprocess.run(  # noqa: S603 our own program
        [sys.executable, *QUIET, PROGRAM, json.dumps([setting, topic, child_sends])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    sent = {b"1", b"2", b"3"} if child_sends else {b"1", b"3"}
    assert sent == set(cluster.values(topic))


def test_a_program_ends_beside_a_cluster_that_is_away(
    cluster: Cluster, topic: str
) -> None:
    """Without a word on standard error but for its own."""
    program = (
        PROGRAM.partition("send(1)")[0]
        + """
try:
    send(1)
except Exception as error:
    print(type(error).__name__)
"""
    )
    setting = {"bootstrap.servers": cluster.servers}
    cluster.stop()

    done = subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-c", program, json.dumps([setting, topic, False])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (0, "BrokerUnavailableError\n", "") == (
        done.returncode,
        done.stdout,
        done.stderr,
    )


def test_a_child_never_ends_what_it_has_inherited() -> None:
    """Not even when it takes its modules down: one reference is nobody's."""

    class Owner:
        producer: object = object()

    owner = Owner()
    _forks.remember(owner)
    before = sys.getrefcount(owner.producer)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads
        child = os.fork()
    if child == 0:
        os._exit(sys.getrefcount(owner.producer) - before)
    _, status = os.waitpid(child, 0)

    assert 1 == os.waitstatus_to_exitcode(status)
