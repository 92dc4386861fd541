"""The scenarios: a function each. Importing this registers them."""

from __future__ import annotations

from chaos.scenarios import applications
from chaos.scenarios import brokers
from chaos.scenarios import databases
from chaos.scenarios import processes

__all__ = ["applications", "brokers", "databases", "processes"]
