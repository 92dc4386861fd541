"""Keep the shop open, for people who want to watch its dashboard.

Orders come in, and a relay announces them. Now and then the broker fails, as
`bad_days` has it.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import subprocess
import sys
import threading
import typing as t
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import make_server

if t.TYPE_CHECKING:
    from flask import Flask

#: The intervals between orders, in seconds.
PAUSES = (0.2, 0.5, 0.1, 0.3, 1.0)

#: How long the relay may take to end, in seconds.
PATIENCE = 30


def open_house(
    app: Flask,
    port: int,
    buy: t.Callable[[int], object],
    say: t.Callable[[str], object],
) -> None:
    """Serve *app* at *port* of this machine, until Ctrl-C or SIGTERM.

    :param buy: places an order with a number.
    """
    server = make_server("127.0.0.1", port, app, True, request_handler=Quiet)
    with relay(), customers(buy), ended_by_signals(server.shutdown):
        say(f"The shop is open: http://127.0.0.1:{server.server_port}/signalbus/")
        say("Press Ctrl-C to close it.")
        server.serve_forever()
    server.server_close()
    say("The shop is closed.")


class Quiet(WSGIRequestHandler):
    """Print no line for each request."""

    def log_request(self, *_: object, **__: object) -> None:
        """Say nothing: the dashboard asks every two seconds."""


@contextlib.contextmanager
def relay() -> t.Iterator[None]:
    """Run a relay in a process of its own; what it logs goes to the null device."""
    command = [sys.executable, "-m", "flask", "--app", "examples.shop.bad_days"]
    with subprocess.Popen(  # noqa: S603 our own
        [*command, "signalbus", "run", "--poll", "0.5"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us: we end it when nobody orders
    ) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()


@contextlib.contextmanager
def customers(buy: t.Callable[[int], object]) -> t.Iterator[None]:
    """Place orders, in a thread."""
    closed = threading.Event()

    def order() -> None:
        pauses = itertools.cycle(PAUSES)
        for number in itertools.count(1):
            buy(number)
            if closed.wait(next(pauses)):
                return

    thread = threading.Thread(target=order, daemon=True)
    thread.start()
    try:
        yield
    finally:
        closed.set()
        thread.join()


@contextlib.contextmanager
def ended_by_signals(shut_down: t.Callable[[], object]) -> t.Iterator[None]:
    """Call *shut_down*, in a thread of its own, when the process is told to end."""

    def end(*_: object) -> None:
        threading.Thread(target=shut_down).start()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, end) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
