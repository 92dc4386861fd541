"""The programs of a scenario: started, killed, stopped, and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

from chaos import points

if t.TYPE_CHECKING:
    import random

ROOT = Path(__file__).parents[1]

#: How long a program that is told to end may take, in seconds.
PATIENCE = 40.0

#: A writer sends by itself, or in the background, or leaves it to others.
Role: t.TypeAlias = t.Literal[
    "writer", "background writer", "silent writer", "relay", "flusher"
]

#: By the role of a writer, its setting.
AUTOFLUSH: t.Final[dict[Role, str]] = {
    "writer": "true",
    "background writer": '"background"',
    "silent writer": "false",
}

#: How many bursts a program of each role may have at hand: its threads, or its lanes,
#: for each of the three models.
BURSTS: t.Final[dict[Role, int]] = {
    "writer": 2,
    "background writer": 1,
    "silent writer": 0,
    "relay": 3,
    "flusher": 1,
}


class ProgramError(Exception):
    """A program has ended that nobody has killed, or does not end."""


class Member:
    """A program that is started again whenever it dies.

    :ivar role: what it does.
    :ivar deaths: how often it was killed.
    """

    def __init__(
        self, role: Role, name: str, env: t.Mapping[str, str], writing: t.Sequence[str]
    ) -> None:
        self.role = role
        self.deaths = 0
        self._name = name
        self._env = dict(env)
        self._writing = writing
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = Path(env["CHAOS_LOG"]) / f"{name.replace(' ', '-')}.ready"

    @property
    def is_writer(self) -> bool:
        """Whether it records signals."""
        return self.role in AUTOFLUSH

    @property
    def is_ready(self) -> bool:
        """Whether it is up and running."""
        return self._ready.exists()

    def start(self, point: tuple[str, int] | None = None) -> None:
        """Start the program.

        :param point: the point at which it kills itself, and how often it passes it.
        """
        env = dict(self._env)
        if self.is_writer:
            env["FLASK_SIGNALBUS_AUTOFLUSH"] = AUTOFLUSH[self.role]
        self._ready.unlink(missing_ok=True)
        env["CHAOS_READY"] = str(self._ready)
        if point is not None:
            env["CHAOS_POINT"], env["CHAOS_POINT_COUNT"] = point[0], str(point[1])
        log = Path(env["CHAOS_LOG"]) / f"{self._name.replace(' ', '-')}.log"
        with log.open("ab") as file:
            self._process = subprocess.Popen(  # noqa: S603 our own program
                self._command(), cwd=ROOT, env=env, stdout=file, stderr=file
            )

    def revive(self, point: tuple[str, int] | None = None) -> bool:
        """Start it again if it has died, and return whether it had.

        :raises ProgramError: if nobody has killed it.
        """
        status = None if self._process is None else self._process.poll()
        if status is None:
            return False
        if status != -signal.SIGKILL:
            raise ProgramError(f"{self._name} has ended with status {status}.")
        self.deaths += 1
        self.start(point)
        return True

    def kill(self) -> None:
        """Kill it, whatever it does. It stays dead until :meth:`revive`."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it as it stands."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def tell_to_end(self) -> None:
        """Let it end as an operator does."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def wait(self) -> None:
        """Wait until it has ended.

        :raises ProgramError: if it does not end, or not well.
        """
        process, self._process = self._process, None
        if process is None:
            return
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ProgramError(f"{self._name} does not end.") from None
        if status not in {0, -signal.SIGTERM}:
            raise ProgramError(f"{self._name} has ended with status {status}.")

    def destroy(self) -> None:
        """End it for good, whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _command(self) -> list[str]:
        python = [sys.executable, "-m"]
        if self.is_writer:
            # A program that was killed leaves the names of its signals to the dead.
            name = f"{self._name.replace(' ', '-')}.{self.deaths}"
            return [*python, "chaos.writer", name, *self._writing]
        if self.role == "relay":
            relay = ["signalbus", "run", "--poll", "0.5"]
            return [*python, "flask", "--app", "chaos.app", *relay]
        return [*python, "chaos.flusher"]


class Cast:
    """All programs of a scenario.

    :param rng: chooses the points at which they die, if they shall.
    :param is_mortal: whether each has a point at which it kills itself, when armed.
    :param dies_at: at which of them; at any, if none are given.
    """

    def __init__(
        self,
        members: t.Sequence[Member],
        rng: random.Random,
        *,
        is_mortal: bool,
        dies_at: t.Collection[str] = (),
    ) -> None:
        self.members = members
        self._random = rng
        self._is_mortal = is_mortal
        self._dies_at = dies_at or points.POINTS
        #: How many bursts may have been cut by deaths so far.
        self.cut = 0

    def start(self) -> None:
        """Start them."""
        for member in self.members:
            member.start(self._point(member))

    def revive(self) -> bool:
        """Start again those that have died, and return whether there were any."""
        dead = [each for each in self.members if each.revive(self._point(each))]
        self.cut += sum(BURSTS[each.role] for each in dead)
        return bool(dead)

    @property
    def is_ready(self) -> bool:
        """Whether all programs are up and running."""
        return all(member.is_ready for member in self.members)

    @property
    def writers(self) -> list[Member]:
        """The programs that record signals."""
        return [each for each in self.members if each.is_writer]

    @property
    def senders(self) -> list[Member]:
        """The programs that send what others have recorded."""
        return [each for each in self.members if not each.is_writer]

    def of(self, role: Role) -> list[Member]:
        """Return the programs of a role."""
        return [each for each in self.members if each.role == role]

    def end(self, members: t.Iterable[Member]) -> None:
        """Let these end, all at once."""
        members = list(members)
        for member in members:
            member.tell_to_end()
        for member in members:
            member.wait()

    def destroy(self) -> None:
        """End all for good."""
        for member in self.members:
            member.destroy()

    def _point(self, member: Member) -> tuple[str, int] | None:
        if not self._is_mortal:
            return None
        passed = points.POINTS if member.is_writer else points.POINTS[2:]
        choice = [each for each in passed if each in self._dies_at]
        return self._random.choice(choice), self._random.randint(3, 30)


def environment(**variables: str | os.PathLike[str]) -> dict[str, str]:
    """Return the environment of a program: that of this one, and *variables*."""
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    own = {name: os.fspath(value) for name, value in variables.items()}
    return {**env, "SIGNALBUS_DISABLED_PLUGINS": "", **own}
