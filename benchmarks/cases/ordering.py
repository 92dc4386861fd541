"""Flush in the order of a key: few keys and many, to nobody and to RabbitMQ."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from benchmarks import program
from benchmarks import spec
from benchmarks.cases import rabbitmq
from benchmarks.spec import Case
from benchmarks.spec import Goal
from benchmarks.spec import Subject

#: SQL: a number from 0 to 1 that looks like chance, but is the same for the same id.
CHANCE = "((hashint4(id)::float8 + 2147483648) / 4294967296)"

#: SQL: one of so many keys. All are equally likely; or by the law of Zipf, after which
#: one signal of ten has the first of 1,000 keys.
EQUALLY = "floor({} * " + CHANCE + ")"
ZIPF = "floor(power({}, " + CHANCE + "))"


def flush(
    job: spec.Job,
    form: str = "rows",
    key: str | None = "account",
    method: str = "flushmany",
) -> spec.Steps:
    """Flush until nothing is sent; *form* is what senders get that do nothing.

    :param key: the ordering key. Without one, the same model is sent in any order; by
        ``flushordered``, in that of the primary key.
    """
    sender = rabbitmq.to_queue(job) if job.queue else program.idle_sender(form)
    with program.running(job) as running:
        account = sa.Column(sa.Integer, nullable=False)
        model = running.signals(job, account=account, **sender)
        model.signalbus_ordering_key = key
        if key is None and method == "flushordered":
            model.signalbus_order_by = (model.id.asc(),)
        for _ in ("warm up", "work"):
            while _flush(running, method):
                pass
            running.db.session.remove()
            yield None


def _flush(running: program.Program, method: str) -> int:
    """Flush once, and return how many signals were sent."""
    return int(getattr(running.bus, method)())


UNORDERED = "flushmany without order"
KEYED = Subject(spec.OURS, flush)
PLAIN = Subject(UNORDERED, flush, {"key": None})
ALL = {"key": None, "method": "flushordered", "form": "instances"}
ONE_BY_ONE = (
    KEYED,
    Subject(f"{spec.OURS}, instances", flush, {"form": "instances"}),
    Subject(f"{spec.OURS}, flushordered without a key", flush, ALL),
    Subject(spec.THEIRS, flush, ALL, library="flask_signalbus"),
)


def _case(
    name: str,
    title: str,
    keys: int,
    *,
    subjects: t.Sequence[Subject] = (KEYED,),
    shares: str = EQUALLY,
    **options: t.Any,
) -> Case:
    """Return a case whose signals have so many *keys*, by the SQL of *shares*."""
    told = f"ordered by key, {title}"
    key = shares.format(keys)
    return Case(f"ordering/{name}", told, subjects, ordering_key=key, **options)


def _to_rabbitmq(name: str, title: str, keys: int, **options: t.Any) -> Case:
    return _case(
        f"rabbitmq-{name}", f"{title}, to RabbitMQ", keys, queue="rabbitmq", **options
    )


ONE_PROCESS = _to_rabbitmq(
    "1000",
    "1,000 keys",
    1000,
    subjects=(KEYED, PLAIN),
    goal=Goal(0.5, UNORDERED),
)

CASES = (
    ONE_PROCESS,
    _to_rabbitmq(
        "processes-2",
        "1,000 keys, two processes",
        1000,
        goal=Goal(1.5, ONE_PROCESS.title),
        processes=2,
    ),
    _case(
        "1",
        "one key",
        1,
        subjects=ONE_BY_ONE,
        goal=Goal(10, spec.THEIRS),
        size=20_000,
    ),
    _case("10", "10 keys", 10),
    _case("1000", "1,000 keys", 1000, subjects=(KEYED, PLAIN)),
    _case("100000", "100,000 keys", 100_000),
    _case("zipf", "1,000 keys by Zipf's law", 1000, shares=ZIPF),
    _case("processes-4", "1,000 keys, four processes", 1000, processes=4),
    _to_rabbitmq("1", "one key", 1, size=2000),
    _to_rabbitmq("10", "10 keys", 10, size=10_000),
    _to_rabbitmq("100000", "100,000 keys", 100_000),
    _to_rabbitmq("zipf", "1,000 keys by Zipf's law", 1000, shares=ZIPF, size=50_000),
    _to_rabbitmq("processes-4", "1,000 keys, four processes", 1000, processes=4),
)
