"""Failed signals: attempts, backoff, parking and replay, for signalbus."""

from __future__ import annotations

from signalbus_retry._groups import failure_groups
from signalbus_retry._operations import discard
from signalbus_retry._operations import failures
from signalbus_retry._operations import park
from signalbus_retry._operations import replay
from signalbus_retry.exceptions import Park
from signalbus_retry.exceptions import ProcessEndedError
from signalbus_retry.exceptions import RetryLater
from signalbus_retry.failure import Failure
from signalbus_retry.failure import FailureGroup
from signalbus_retry.policy import RetryPolicy

__all__ = [
    "Failure",
    "FailureGroup",
    "Park",
    "ProcessEndedError",
    "RetryLater",
    "RetryPolicy",
    "discard",
    "failure_groups",
    "failures",
    "park",
    "replay",
]
