"""NATS JetStream for signalbus: a broker plugin that confirms every message."""

from __future__ import annotations
