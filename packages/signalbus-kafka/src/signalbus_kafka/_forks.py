"""Keep forked processes from touching the producers of their parent.

librdkafka's threads are not forked. Without them, ending a producer takes a second, or
forever. So a child keeps the producers that it has inherited until it exits.
"""

from __future__ import annotations

import os
import typing as t
import weakref


class Owner(t.Protocol):
    """An owner of a producer that must not end in a child process."""

    producer: t.Any


_owners: weakref.WeakSet[Owner] = weakref.WeakSet()


def remember(owner: Owner) -> None:
    """Make forked processes keep the producer of *owner* forever."""
    _owners.add(owner)


def _after_fork() -> None:
    import ctypes

    for owner in list(_owners):
        if owner.producer is not None:
            # A reference that nobody has is never given up, at exit neither.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner.producer))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
