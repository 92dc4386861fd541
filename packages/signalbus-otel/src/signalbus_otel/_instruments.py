"""The instruments that record events. Without an SDK, they do nothing."""

from __future__ import annotations

import typing as t

from opentelemetry import metrics

from signalbus_otel.__about__ import __version__

#: The name of the meter and of the tracer.
SCOPE: t.Final = "signalbus_otel"

METER: t.Final = metrics.get_meter(SCOPE, __version__)

#: The buckets that the semantic conventions suggest for the duration of operations.
_SHORT: t.Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)

#: Larger buckets, since signals may wait long for a broker that is down.
_LONG: t.Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    *(30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0),
)

OPERATION_DURATION: t.Final = METER.create_histogram(
    "messaging.client.operation.duration",
    unit="s",
    description="How long it took to hand a burst to its broker and have it confirmed",
    explicit_bucket_boundaries_advisory=_SHORT,
)

SENT_MESSAGES: t.Final = METER.create_counter(
    "messaging.client.sent.messages",
    unit="{message}",
    description="Messages that were handed to a broker",
)

CONSUMED_MESSAGES: t.Final = METER.create_counter(
    "messaging.client.consumed.messages",
    unit="{message}",
    description="Messages that a consumer was given",
)

PROCESS_DURATION: t.Final = METER.create_histogram(
    "messaging.process.duration",
    unit="s",
    description="How long a consumer took to process a message",
    explicit_bucket_boundaries_advisory=_SHORT,
)

RECORDED: t.Final = METER.create_counter(
    "signalbus.signals.recorded",
    unit="{signal}",
    description="Signals that were committed",
)

SENT: t.Final = METER.create_counter(
    "signalbus.signals.sent",
    unit="{signal}",
    description="Signals that were confirmed, and whose rows are deleted",
)

FAILED: t.Final = METER.create_counter(
    "signalbus.signals.failed",
    unit="{signal}",
    description="Failed attempts to send a signal",
)

PARKED: t.Final = METER.create_counter(
    "signalbus.signals.parked",
    unit="{signal}",
    description="Signals that were given up after a failed attempt",
)

FAILED_BURSTS: t.Final = METER.create_counter(
    "signalbus.bursts.failed",
    unit="{burst}",
    description="Bursts with failures, also those of the broker or the database",
)

BURST_DURATION: t.Final = METER.create_histogram(
    "signalbus.burst.duration",
    unit="s",
    description="How long the transaction of a burst took",
    explicit_bucket_boundaries_advisory=_SHORT,
)

DELIVERY_DURATION: t.Final = METER.create_histogram(
    "signalbus.delivery.duration",
    unit="s",
    description="How long a signal took from its recording to the broker's confirm",
    explicit_bucket_boundaries_advisory=_LONG,
)
