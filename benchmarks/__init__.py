"""Measure signalbus beside its predecessor, and beside what the machine can do at all.

``cases`` says what is measured, ``runner`` does it in processes of ``worker``, and
``figures`` and ``tables`` show it. Run ``hatch run bench --help``.
"""

from __future__ import annotations
