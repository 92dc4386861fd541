"""A transactional outbox for Flask-SQLAlchemy.

Record messages as rows of your own models, in the transaction that changes your data;
signalbus sends them after the commit and deletes the rows.
"""

from __future__ import annotations

from signalbus._declaration import Declaration
from signalbus._discover import get_models_to_flush
from signalbus._markers import hookimpl
from signalbus._markers import hookspec
from signalbus._mixin import SignalBusMixin
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import DBSerializationError
from signalbus.exceptions import MessageRefusedError
from signalbus.exceptions import MissingTableError
from signalbus.exceptions import NoBrokerError
from signalbus.exceptions import PartialDeliveryError
from signalbus.exceptions import SettingError
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import SignalModelError
from signalbus.extension import SignalBus
from signalbus.retry import retry_on_deadlock

__all__ = [
    "BrokerTimeoutError",
    "BrokerUnavailableError",
    "DBSerializationError",
    "Declaration",
    "MessageRefusedError",
    "MissingTableError",
    "NoBrokerError",
    "PartialDeliveryError",
    "SettingError",
    "SignalBus",
    "SignalBusError",
    "SignalBusMixin",
    "SignalModelError",
    "get_models_to_flush",
    "hookimpl",
    "hookspec",
    "retry_on_deadlock",
]
