"""How much memory this process holds, in MiB."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def now() -> float:
    """Return what the process holds now; where nobody tells, the most it has held."""
    return _status("VmRSS:") or _most()


def peak() -> float:
    """Return the most that the process has held."""
    return _status("VmHWM:") or _most()


def _status(name: str) -> float | None:
    """Return a figure of Linux, which unlike getrusage leaves out the parent's."""
    if not _STATUS.exists():
        return None
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return None


def _most() -> float:
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
