"""A server's process, which ends with us."""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import sys
import time
import typing as t

from chaos.servers import tree
from chaos.servers.programs import tail

if t.TYPE_CHECKING:
    import signal
    from pathlib import Path

#: How long a server may take to start, in seconds.
START_TIMEOUT = 90.0

#: How long it may take to stop in order, in seconds. Then it is killed.
STOP_TIMEOUT = 60.0


class ServerProcess:
    """A process that may be started, stopped, killed and frozen, again and again.

    It has a session of its own, so a Ctrl-C does not reach it. It ends with this
    process, even if that is killed.

    :param command: the program and its arguments.
    :param log: where to append what it prints.
    :param options: as of :class:`subprocess.Popen`.
    """

    def __init__(self, command: t.Sequence[str], log: Path, **options: t.Any) -> None:
        self._command = command
        self._log = log
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._is_frozen = False

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and has not ended; frozen or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_answering(self) -> bool:
        """Whether it runs, and is not frozen."""
        return self.is_running and not self._is_frozen

    def start(self, is_ready: t.Callable[[], bool]) -> None:
        """Start, and return when *is_ready* says so. Do nothing if it runs.

        :raises RuntimeError: it ended, or was not ready in time.
        """
        if self.is_running:
            return
        self.kill()
        self._launch()
        deadline = time.monotonic() + START_TIMEOUT
        while not is_ready():
            if not self.is_running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(
                    f"{self._command[0]} did not start. {self._log} says:\n"
                    f"{tail(self._log)}"
                )
            time.sleep(0.02)

    def stop(self, ask: t.Callable[[], object]) -> None:
        """Let *ask* tell it to end, and return when it has; kill it after a minute."""
        if self._process is not None and self.is_running:
            self.thaw()  # it could not obey
            ask()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
        self.kill()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that was started, not to its descendants."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it with all its descendants, and return when they are gone."""
        if self._process is not None:
            killed = tree.kill_tree(self._process.pid) if self.is_running else set()
            self._process.wait()
            tree.wait_for_end(killed)
            self._process = None
            self._is_frozen = False
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
        atexit.unregister(self.kill)

    def freeze(self) -> None:
        """Stop it with all its descendants: they keep all, and answer nothing."""
        if self._process is not None and self.is_running:
            tree.freeze_tree(self._process.pid)
            self._is_frozen = True

    def thaw(self) -> None:
        """Let it go on with all its descendants."""
        if self._process is not None and self.is_running:
            tree.thaw_tree(self._process.pid)
        self._is_frozen = False

    def _launch(self) -> None:
        atexit.register(self.kill)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 our own program
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._options,
            )
        self._guard = subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, tree.__file__, str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
