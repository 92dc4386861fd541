"""A process with all its descendants, whatever sessions and groups they are in.

A server's processes may be in many groups: each backend of PostgreSQL leads a session.

As a program, ``python tree.py PID``, it kills a tree when its own standard input ends.
That is a pipe whose other end the starter of the tree holds, and never writes to: the
tree ends with its starter, however that comes about.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time


def freeze_tree(root: int) -> set[int]:
    """Stop the process *root* and its descendants, and return the ids of all."""
    frozen: set[int] = set()
    new = {root}
    while new:  # what was started before its parent was stopped is in the next look
        signal_all(new, signal.SIGSTOP)
        frozen |= new
        new = _descendants(frozen) - frozen
    return frozen


def thaw_tree(root: int) -> None:
    """Let the process *root* and its descendants go on."""
    signal_all(_descendants({root}) | {root}, signal.SIGCONT)


def kill_tree(root: int) -> set[int]:
    """Kill the process *root* and its descendants, and return the ids of all."""
    killed = freeze_tree(root)  # else what is started meanwhile would survive
    signal_all(killed, signal.SIGKILL)
    return killed


def wait_for_end(pids: set[int]) -> None:
    """Wait until none of these processes runs."""
    while pids & _parents().keys():
        time.sleep(0.01)


def signal_all(pids: set[int], number: signal.Signals) -> None:
    """Send a signal to these processes, as far as they are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _descendants(roots: set[int]) -> set[int]:
    parents = _parents()
    found = set(roots)
    while new := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= new
    return found - roots


def _parents() -> dict[int, int]:
    """Return the ids of all processes that run, each with the id of its parent."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="],  # noqa: S607 each system's own
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    rows = map(str.split, listing.splitlines())
    return {int(pid): int(parent) for pid, parent, state in rows if state[0] != "Z"}


if __name__ == "__main__":
    sys.stdin.read()
    kill_tree(int(sys.argv[1]))
