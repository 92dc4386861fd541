"""Leave a broker alone that was found to be down, so that commits do not pay for it."""

from __future__ import annotations

import dataclasses
import threading
import time

#: The first pause after a failure, and the longest, in seconds.
FIRST = 0.5
MOST = 30.0


@dataclasses.dataclass
class _Pause:
    length: float
    until: float


class Pauses:
    """Which carriers are left alone, and until when.

    Every failure in a row doubles the pause. When it is over, one caller may try with
    one signal; the others go on leaving the broker alone until that has worked.
    """

    def __init__(self) -> None:
        self._pauses: dict[object, _Pause] = {}
        self._lock = threading.Lock()

    def admits(self, carrier: object) -> bool:
        """Tell whether signals may be handed to *carrier* without reserve."""
        return carrier not in self._pauses

    def admits_probe(self, carrier: object) -> bool:
        """Tell whether the caller shall find out if *carrier* is back.

        Answers ``True`` to one caller a pause.
        """
        with self._lock:
            pause = self._pauses.get(carrier)
            if pause is None or time.monotonic() < pause.until:
                return pause is None
            pause.until = time.monotonic() + pause.length
            return True

    def failed(self, carrier: object) -> None:
        """Note that *carrier* could not be reached."""
        with self._lock:
            pause = self._pauses.get(carrier)
            length = min(MOST, pause.length * 2) if pause else FIRST
            self._pauses[carrier] = _Pause(length, time.monotonic() + length)

    def worked(self, carrier: object) -> None:
        """Note that *carrier* confirmed something."""
        if carrier in self._pauses:
            with self._lock:
                self._pauses.pop(carrier, None)
