"""Celery for signalbus: tasks that are sent if and only if the transaction commits."""

from __future__ import annotations
