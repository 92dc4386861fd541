"""Measure signalbus beside its predecessor, and beside what the machine can do at all.

Run ``python -m benchmarks --help``, or ``hatch run bench``. The way of a measurement:

====================  ==================================================================
``cases``             what is measured: the rows of the table
``measure``           a case, round after round, its subjects in turn
``databases``         a database for every measurement: filled, tidied, dropped
``subjects``          the programs that are measured, each in a process of its own
``report``, ``goals`` medians, ranges, ratios, and what was promised of them
``table``, ``plot``   how they are shown: in a terminal, and in the manual by ``docs``
====================  ==================================================================
"""

from __future__ import annotations
