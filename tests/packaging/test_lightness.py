"""A broker that is installed and not used costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: The packages of the brokers' clients, which take long to import.
CLIENTS = {"celery", "confluent_kafka", "kombu", "nats", "redis"}

HELP = """
import contextlib, io, sys
from flask.cli import main

sys.argv = ["flask", "signalbus", "--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:
    main()
assert "flushmany" in out.getvalue()
"""

APP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
bus = SignalBus(SQLAlchemy(app))
bus.get_signal_models()
"""


@pytest.mark.parametrize("program", ["import signalbus", HELP, APP])
def test_no_client_is_imported_before_it_is_needed(program: str) -> None:
    """Neither by the library, nor by the commands, nor by an app."""
    program = f"{program}\nimport sys; print(*sys.modules)"
    command = [sys.executable, "-c", program]

    loaded = set(subprocess.check_output(command, text=True).split())  # noqa: S603 ours

    assert set() == loaded & CLIENTS
