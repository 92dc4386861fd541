"""The programs that are measured.

Each function here that a job may name is a context manager: it prepares and warms up,
gives the work to be timed, and cleans up. ``bus`` is an application with a signal bus,
ours or the predecessor's; the others are the limits of the database and of the broker.
"""

from __future__ import annotations
