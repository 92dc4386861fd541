"""Send a burst in waves: no signal before those in front of it are confirmed."""

from __future__ import annotations

import time
import typing as t

from signalbus import stopping
from signalbus._outcome import ALL_SENT
from signalbus._outcome import Outcome

if t.TYPE_CHECKING:
    from signalbus.typing import Signal

#: For how long a burst begins another wave, in seconds: its rows are locked meanwhile.
MAX_SECONDS = 1.0

Send: t.TypeAlias = "t.Callable[[t.Sequence[Signal]], Outcome]"


def send_in_waves(
    send: Send, signals: t.Sequence[Signal], queues: t.Sequence[int]
) -> Outcome:
    """Send the first signal of each queue, then the second of each, and so on.

    A queue whose signal was not confirmed leaves the following waves. If the broker
    cannot be reached, there are none. What there is no time for stays untried: a thread
    that is told to stop begins no further wave, since its process may end before the
    burst does, and then all that was sent comes again.

    :param send: sends the signals of one wave.
    :param queues: for each signal, the number of its queue.
    """
    outcome = _WaveOutcome(queues)
    until = time.monotonic() + MAX_SECONDS
    for number, wave in enumerate(_waves(queues)):
        is_over = time.monotonic() >= until or stopping.is_stopping()
        is_late = number > 0 and is_over
        positions = outcome.going_on(wave, is_late=is_late)
        if positions:
            outcome.add(positions, send([signals[each] for each in positions]))
    return outcome.of_all()


def _waves(queues: t.Sequence[int]) -> t.Iterator[list[int]]:
    """Yield the positions of each wave: a new one begins where a queue returns."""
    wave: list[int] = []
    seen: set[int] = set()
    for position, queue in enumerate(queues):
        if queue in seen:
            yield wave
            wave = []
            seen.clear()
        wave.append(position)
        seen.add(queue)
    if wave:
        yield wave


class _WaveOutcome:
    """Gathers the outcomes of waves."""

    def __init__(self, queues: t.Sequence[int]) -> None:
        self._queues = queues
        self._stuck: set[int] = set()
        self._failures: dict[int, Exception] = {}
        self._untried: list[int] = []
        self._doubtful: list[int] = []
        self._unavailable: Exception | None = None
        self._unknown: Exception | None = None

    def going_on(self, wave: list[int], *, is_late: bool) -> list[int]:
        """Return what may be sent of a *wave*."""
        if is_late or self._unavailable is not None:
            self._untried += wave
            return []
        if not self._stuck:
            return wave
        free = [each for each in wave if self._queues[each] not in self._stuck]
        self._untried += [each for each in wave if self._queues[each] in self._stuck]
        return free

    def add(self, positions: list[int], outcome: Outcome) -> None:
        """Add what became of the signals at *positions*."""
        if outcome is ALL_SENT:
            return
        failures = {positions[at]: error for at, error in outcome.failures.items()}
        untried = [positions[at] for at in outcome.untried]
        doubtful = [positions[at] for at in outcome.doubtful]
        self._failures.update(failures)
        self._untried += untried
        self._doubtful += doubtful
        self._unavailable = self._unavailable or outcome.unavailable
        self._unknown = self._unknown or outcome.unknown
        left = [*failures, *untried, *doubtful]
        self._stuck.update(self._queues[each] for each in left)

    def of_all(self) -> Outcome:
        """Return what became of all signals."""
        if not self._stuck and not self._untried:
            return ALL_SENT
        return Outcome(
            failures=self._failures,
            untried=frozenset(self._untried),
            unavailable=self._unavailable,
            unknown=self._unknown,
            doubtful=frozenset(self._doubtful),
        )
