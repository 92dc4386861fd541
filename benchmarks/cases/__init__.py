"""The cases: a module for each kind of work, with its subjects and its rows."""

from __future__ import annotations

from benchmarks.cases import background
from benchmarks.cases import celery
from benchmarks.cases import database
from benchmarks.cases import kafka
from benchmarks.cases import nats
from benchmarks.cases import ordering
from benchmarks.cases import rabbitmq
from benchmarks.cases import redis
from benchmarks.cases import relay
from benchmarks.cases import retry

#: All cases, in the order of the table. A new module is added here.
CASES = (
    *database.CASES,
    *rabbitmq.CASES,
    *nats.CASES,
    *redis.CASES,
    *kafka.CASES,
    *celery.CASES,
    *retry.CASES,
    *ordering.CASES,
    *background.CASES,
    *relay.CASES,
)
